"""`wallet_list`: a denied wallet rejects, what can't be seen or shown is escalated, and no wallet is told."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from countersign import Party, Reason, Vote, VoteOutcome
from tests.handlers.cases import JUDGED_AT, OTHER_WALLET, WALLET, a_case, a_party, vote_of
from workers.handlers.wallet_list import wallet_list

BITCOIN_WALLET = "bc1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7K"


def entry(address: str = WALLET, **more: str) -> dict[str, str]:
    return {"address": address, "owner": "compliance", "reason": "case 17", **more}


def vote_on(*parties: Party, judged_at: datetime = JUDGED_AT, **settings: Any) -> Vote:  # noqa: ANN401 - any setting.
    return vote_of(wallet_list, a_case(parties=parties, judged_at=judged_at), **settings)


def test_a_denied_wallet_is_rejected_even_if_it_is_allowed_too() -> None:
    vote = vote_on(a_party(), deny=[entry()], allow=[entry()])

    assert vote.outcome is VoteOutcome.REJECT
    assert vote.reason is Reason.WALLET_DENIED


def test_one_denied_wallet_is_enough_and_weighs_more_than_a_missing_one() -> None:
    parties = (a_party(None, "buyer"), a_party(OTHER_WALLET, "agent"), a_party(WALLET, "seller"))

    assert vote_on(*parties, deny=[entry()]).outcome is VoteOutcome.REJECT


@pytest.mark.parametrize("shown", [WALLET.lower(), "0X" + WALLET[2:].upper(), f" {WALLET} "])
def test_an_evm_wallet_is_the_same_in_any_case(shown: str) -> None:
    assert vote_on(a_party(shown), deny=[entry()]).outcome is VoteOutcome.REJECT
    assert vote_on(a_party(), deny=[entry(shown)]).outcome is VoteOutcome.REJECT


def test_any_other_wallet_must_match_exactly() -> None:
    denied = [entry(BITCOIN_WALLET)]

    assert vote_on(a_party(BITCOIN_WALLET), deny=denied).outcome is VoteOutcome.REJECT
    assert vote_on(a_party(BITCOIN_WALLET.lower()), deny=denied).outcome is VoteOutcome.ESCALATE


def test_the_hint_of_the_other_side_can_deny_but_not_allow() -> None:
    hinted = a_party(None, hint=WALLET)

    assert vote_on(hinted, deny=[entry()]).outcome is VoteOutcome.REJECT
    assert vote_on(hinted, allow=[entry()]).reason is Reason.WALLET_MISSING


@pytest.mark.parametrize("wallet", [None, "", "  "])
def test_a_missing_wallet_is_escalated(wallet: str | None) -> None:
    vote = vote_on(a_party(), a_party(wallet, "seller"), allow=[entry()], approve_when="none_denied")

    assert vote.outcome is VoteOutcome.ESCALATE
    assert vote.reason is Reason.WALLET_MISSING


def test_a_settlement_without_parties_is_escalated() -> None:
    assert vote_on(deny=[entry()], approve_when="none_denied").reason is Reason.WALLET_MISSING


def test_it_approves_when_all_are_allowed() -> None:
    parties = (a_party(WALLET, "buyer"), a_party(OTHER_WALLET, "seller"))

    both = vote_on(*parties, allow=[entry(), entry(OTHER_WALLET)])
    one = vote_on(*parties, allow=[entry()])

    assert (both.outcome, both.reason) == (VoteOutcome.APPROVE, Reason.WALLET_ALLOWED)
    assert (one.outcome, one.reason) == (VoteOutcome.ESCALATE, Reason.REVIEW_WANTED)


def test_it_approves_what_is_not_denied_only_where_that_is_set() -> None:
    denied = [entry(OTHER_WALLET)]

    assert vote_on(a_party(), deny=denied).outcome is VoteOutcome.ESCALATE
    assert vote_on(a_party(), deny=denied, approve_when="none_denied").reason is Reason.CHECKED_CLEAR


def test_an_empty_deny_list_proves_nothing() -> None:
    expired = [entry(OTHER_WALLET, expires="2026-05-31")]

    assert vote_on(a_party()).outcome is VoteOutcome.ESCALATE
    assert vote_on(a_party(), approve_when="none_denied").outcome is VoteOutcome.ESCALATE
    assert vote_on(a_party(), deny=expired, approve_when="none_denied").outcome is VoteOutcome.ESCALATE


@pytest.mark.parametrize(
    ("expires", "counts"),
    [
        ("2026-06-01", True),
        ("2026-05-31", False),
        ("2026-06-01T12:00:00+00:00", True),
        ("2026-06-01T13:59:59+02:00", False),
        ("9999-12-31", True),
    ],
)
def test_an_entry_counts_to_the_end_of_its_last_day(expires: str, *, counts: bool) -> None:
    vote = vote_on(a_party(), deny=[entry(expires=expires)])

    assert (vote.outcome is VoteOutcome.REJECT) == counts


def test_an_expired_entry_gives_way_to_another_for_the_same_wallet() -> None:
    vote = vote_on(a_party(), deny=[entry(expires="2020-01-01"), entry(reason="case 18")])

    assert vote.evidence["parties"][0]["reason"] == "case 18"


def test_time_is_the_cases_own_so_that_a_replay_says_the_same() -> None:
    denied = [entry(expires="2026-06-01")]

    before = vote_on(a_party(), deny=denied, judged_at=datetime(2026, 6, 1, tzinfo=UTC))
    after = vote_on(a_party(), deny=denied, judged_at=datetime(2026, 6, 2, tzinfo=UTC))

    assert before.outcome is VoteOutcome.REJECT
    assert after.outcome is VoteOutcome.ESCALATE


def test_evidence_names_party_and_entry_and_never_a_wallet_or_a_name() -> None:
    parties = (a_party(WALLET, "buyer"), a_party(OTHER_WALLET, "seller"), a_party(None, "agent"))
    vote = vote_on(*parties, deny=[entry(BITCOIN_WALLET), entry()])
    told = json.dumps([vote.note, vote.evidence]).lower()

    assert vote.evidence["parties"] == [
        {
            "party": "party-buyer",
            "role": "buyer",
            "found": "deny",
            "entry": 2,
            "owner": "compliance",
            "reason": "case 17",
        },
        {"party": "party-seller", "role": "seller", "found": "nothing"},
        {"party": "party-agent", "role": "agent", "found": "missing"},
    ]
    assert len(vote.evidence["list_revision"]) == 64
    assert WALLET.lower() not in told
    assert OTHER_WALLET.lower() not in told
    assert "jane" not in told


def test_the_revision_follows_what_the_lists_say_and_not_how(tmp_path: Path) -> None:
    csv = tmp_path / "wallets.csv"
    csv.write_text(f"list,address,owner,reason,expires\ndeny,{WALLET.lower()},compliance,case 17,\n")

    def revision(**settings: object) -> object:
        return vote_of(wallet_list, a_case(), **settings).evidence["list_revision"]

    assert revision(file=str(csv)) == revision(deny=[entry()])
    assert revision(deny=[entry()]) != revision(allow=[entry()])
    assert revision(deny=[entry()]) != revision(deny=[entry(expires="2030-01-01")])


def test_lists_are_read_from_a_toml_file_with_its_own_dates(tmp_path: Path) -> None:
    toml = tmp_path / "wallets.toml"
    toml.write_text(
        f'[[deny]]\naddress = "{WALLET}"\nowner = "compliance"\nreason = "case 17"\nexpires = 2026-06-01\n'
    )

    assert vote_on(a_party(), file=str(toml)).outcome is VoteOutcome.REJECT


def test_lists_are_read_from_a_csv_file_as_spreadsheets_write_it(tmp_path: Path) -> None:
    csv = tmp_path / "wallets.csv"
    csv.write_text(
        "\ufefflist,address,owner,reason,expires\r\n"
        f'allow,{OTHER_WALLET},desk,"known, good",2026-12-31\r\ndeny,{WALLET},compliance,case 17,\r\n'
    )

    assert vote_on(a_party(), file=str(csv)).outcome is VoteOutcome.REJECT
    assert vote_on(a_party(OTHER_WALLET), file=str(csv)).reason is Reason.WALLET_ALLOWED


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"approve_when": "always"}, "approve_when must be one of: all_allowed, none_denied"),
        ({"deny": [{"address": WALLET}]}, "deny entry 1 has no owner; deny entry 1 has no reason"),
        ({"deny": [entry(), entry(address=" ")]}, "deny entry 2 has no address"),
        ({"allow": [entry(expries="2030-01-01")]}, "allow entry 1 has an unknown key"),
        ({"allow": [entry(expires="soon")]}, "allow entry 1: expires must be a day"),
        ({"allow": [entry(expires="2030-01-01T10:00:00")]}, "allow entry 1: expires must be a day"),
        ({"allow": [{**entry(), "expires": 7}]}, "allow entry 1: expires must be a day"),
        ({"deny": WALLET}, "deny must be a list of entries"),
        ({"deny": [WALLET]}, "deny entry 1 must have address, owner and reason"),
        ({"file": "wallets.xls"}, "file must be the path of a .toml or .csv file"),
        ({"file": 7}, "file must be the path of a .toml or .csv file"),
        ({"file": "nowhere.toml"}, "file nowhere.toml can't be read: FileNotFoundError"),
    ],
)
def test_a_list_that_can_be_misread_is_refused_without_showing_a_wallet(
    settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as refused:
        wallet_list.make(settings)

    assert WALLET not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.toml", "deny = [", "is not valid TOML"),
        ("a.toml", "[[denied]]\naddress = 'x'", "unknown list 'denied'"),
        ("a.csv", "list,address,owner,reason\ndenied,x,y,z\n", "unknown list 'denied'"),
        ("a.csv", "list,address,owner,reason\ndeny,x,y,z,too,many\n", "deny entry 1 has an unknown key"),
        ("a.csv", 'list,address\ndeny,"x', "is not valid CSV"),
        ("a.csv", "list,address,owner,reason\ndeny,x\n", "deny entry 1 has no owner"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, name: str, content: str, told: str) -> None:
    file = tmp_path / name
    file.write_text(content)

    with pytest.raises(ValueError, match=told):
        wallet_list.make({"file": str(file)})
