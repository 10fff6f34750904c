"""The policy file: nothing is on unless it says so, and nothing in it is misread in silence."""

import hashlib
from pathlib import Path

import pytest

from countersign import Settlement
from countersign.verdict import Mode, Powers
from workers.policy import Policy, PolicyInvalid, parse_policy, read_policy

FULL = b"""
[powers]
auto_approve = ["dvp-bond"]
auto_reject = ["*"]

[handlers.wallet_list]
required = false
[handlers.wallet_list.settings]
approve_when = "none_denied"
since = 2026-01-31
days = [2026-02-01]

[handlers.mine]
mode = "shadow"
module = "mine.rules:mine"

[handlers.limits]
mode = "off"
"""


def settlement(slug: str | None = None, id_: str | None = None) -> Settlement:
    return Settlement(id="s-1", state="COMPLIANCE_CHECKING", template_slug=slug, template_id=id_)


def problems_of(content: str) -> str:
    with pytest.raises(PolicyInvalid) as invalid:
        parse_policy(content.encode())
    return str(invalid.value)


def test_without_a_file_nothing_is_decided_here() -> None:
    policy = read_policy(None)

    assert policy.powers(settlement("dvp-bond"), deposited=False) == Powers()
    assert policy.for_handler("any").mode is Mode.ENFORCE
    assert policy.digest == hashlib.sha256(b"").hexdigest()


def test_a_file_is_read_with_its_digest_and_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(FULL)

    policy = read_policy(file)

    assert policy.digest == hashlib.sha256(FULL).hexdigest()
    assert policy.folder == tmp_path
    assert policy.for_handler("wallet_list").required is False
    assert policy.for_handler("mine").mode is Mode.SHADOW
    assert policy.for_handler("mine").module == "mine.rules:mine"
    assert policy.for_handler("limits").mode is Mode.OFF
    assert policy.for_handler("unmentioned").required is None


def test_a_date_in_settings_is_its_text_because_settings_cross_into_a_process() -> None:
    policy = parse_policy(FULL)

    assert policy.for_handler("wallet_list").settings == {
        "approve_when": "none_denied",
        "since": "2026-01-31",
        "days": ["2026-02-01"],
    }


def test_powers_go_by_template_slug_or_id_and_never_to_a_nameless_one() -> None:
    policy = parse_policy(FULL)

    assert policy.powers(settlement("dvp-bond", "t-1"), deposited=False) == Powers(
        auto_approve=True, auto_reject=True
    )
    assert policy.powers(settlement(None, "dvp-bond"), deposited=False).auto_approve
    assert policy.powers(settlement("repo"), deposited=True) == Powers(auto_reject=True, deposited=True)
    assert policy.powers(settlement(), deposited=False) == Powers()


def test_every_problem_is_told_at_once() -> None:
    told = problems_of(
        """
        [powers]
        auto_aprove = ["*"]
        auto_reject = "*"
        [handlers.Mine]
        [handlers.a]
        mode = "on"
        required = "yes"
        module = "mine"
        setings = {}
        [handlers.b]
        mode = "off"
        required = true
        [other]
        """
    )

    assert told.splitlines() == [
        "the policy can't be used:",
        "  - powers.auto_reject: input should be a valid list",
        "  - unknown key powers.auto_aprove",
        "  - handlers.Mine is no handler's name: small letters, digits and underscores, 64 at most",
        "  - handlers.a.mode: input should be 'enforce', 'shadow' or 'off'",
        "  - handlers.a.required: input should be a valid boolean",
        "  - handlers.a.module must be written `package.module:name`",
        "  - unknown key handlers.a.setings",
        "  - handlers.b: it is required and switched off at once",
        "  - unknown key other",
    ]


def test_what_is_no_toml_is_refused() -> None:
    assert "not valid TOML: Invalid value (at line 1, column 5)" in problems_of("a = nothing")
    assert "powers must be a table" in problems_of("powers = 3")
    with pytest.raises(PolicyInvalid, match="not UTF-8"):
        parse_policy(b"\xff")


def test_a_file_that_cannot_be_read_is_an_error_and_not_a_missing_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match=r"nowhere\.toml can't be read \(FileNotFoundError\)"):
        read_policy(tmp_path / "nowhere.toml")


def test_settings_do_not_show_in_a_repr() -> None:
    policy = parse_policy(b"[handlers.a.settings]\nurl = 'https://user:hidden@example.com'")

    assert "hidden" not in repr(policy)
    assert isinstance(policy, Policy)
