"""docs/handlers.md says what the code does: the example, the reason codes, the keys of the policy file."""

import re
from dataclasses import fields
from inspect import signature
from pathlib import Path

from countersign import Handler, Reason
from countersign.verdict import Mode
from workers.handlers.limits import Limits
from workers.handlers.wallet_list import WalletList
from workers.policy import HandlerPolicy, parse_policy
from workers.registry import load_handlers

REPOSITORY = Path(__file__).parents[2]
BUILT_IN = ["limits", "wallet_list"]
PAGE = (REPOSITORY / "docs" / "handlers.md").read_text()


def block(language: str, holding: str, page: str = PAGE) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return next(text for text in blocks if holding in text)


def test_the_example_is_the_one_that_is_tested() -> None:
    assert block("python", "def big_trades") == (REPOSITORY / "examples" / "big_trades.py").read_text()
    assert block("toml", "[powers]") == (REPOSITORY / "examples" / "policy.toml").read_text()


def test_every_reason_code_is_on_the_page_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| `([A-Z_]+)` \|", PAGE, re.MULTILINE)

    assert rows == [(reason.value, reason.name) for reason in Reason]


def test_every_key_of_the_policy_file_is_on_the_page() -> None:
    keys = re.findall(r"^\| `(?:powers|handlers\.NAME)\.(\w+)` \|", PAGE, re.MULTILINE)

    assert keys == ["auto_approve", "auto_reject", *(field.name for field in fields(HandlerPolicy))]
    assert all(f"`{mode}`" in PAGE for mode in Mode)


def test_every_part_of_a_handlers_description_is_on_the_page() -> None:
    parts = re.findall(r"^    (\w+)=", block("python", "handler(\n"), re.MULTILINE)

    # `make` is what `handler` makes of the function, and `inline` is for our own.
    assert set(parts) == {field.name for field in fields(Handler)} - {"make", "inline"}


def test_the_settings_on_the_pages_of_the_built_in_handlers_are_accepted(tmp_path: Path) -> None:
    pages = {name: (REPOSITORY / "docs" / "handlers" / f"{name}.md").read_text() for name in BUILT_IN}
    wallets = tmp_path / "wallets.csv"
    wallets.write_text(block("csv", "list,address", pages["wallet_list"]))
    policy = "".join(block("toml", "settings", page) for page in pages.values())
    policy = policy.replace("/etc/countersign/wallets.csv", str(wallets))

    bound = load_handlers(parse_policy(policy.encode()))

    assert [each.name for each in bound] == BUILT_IN


def test_every_setting_of_the_built_in_handlers_is_on_their_page() -> None:
    for name, made_by in zip(BUILT_IN, (Limits, WalletList), strict=True):
        page = (REPOSITORY / "docs" / "handlers" / f"{name}.md").read_text()
        table = page.partition("| setting |")[2].partition("\n\n")[0]
        named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE))))
        assert named == set(signature(made_by).parameters)
