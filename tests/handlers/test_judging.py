"""Judging a case: who is asked, what is recorded of each vote, and what comes of them together."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from countersign import Case, Reason, TryLater, VoteOutcome
from countersign.verdict import Mode, Verdict
from tests.handlers.authors.nasty import COUNTRY
from tests.handlers.cases import OTHER_WALLET, WALLET, a_case, a_leg, a_party
from tests.handlers.conftest import AUTHORS, Bench, nasty
from workers.deposits import may_be_deposited
from workers.judging import Judging, open_judging
from workers.policy import PolicyInvalid
from workers.registry import HandlersInvalid

POWERS = '[powers]\nauto_approve = ["dvp-bond"]\nauto_reject = ["dvp-bond"]\n'
DENIED = f"""
[handlers.wallet_list.settings]
approve_when = "none_denied"
deny = [{{ address = "{WALLET}", owner = "compliance", reason = "case 17" }}]
"""
CLEAN = a_case(parties=(a_party(OTHER_WALLET),))
DIRTY = a_case(parties=(a_party(WALLET),))


def outcomes(judging: Judging, case: Case, **more: Any) -> dict[str, VoteOutcome]:  # noqa: ANN401 - passed on.
    return {vote.handler: vote.outcome for vote in judging.judge(case, **more).votes}


def test_a_vote_is_recorded_with_who_cast_it_and_when(open_bench: Bench) -> None:
    judging = open_bench(POWERS + DENIED + nasty("counts"))
    before = datetime.now(UTC)

    judgement = judging.judge(CLEAN)

    counts, wallet_list = judgement.votes
    assert (counts.handler, counts.version, counts.origin) == ("counts", "1", "module nasty")
    assert (wallet_list.handler, wallet_list.mode, wallet_list.required) == (
        "wallet_list",
        Mode.ENFORCE,
        True,
    )
    assert wallet_list.reason is Reason.CHECKED_CLEAR
    assert before <= counts.started_at <= datetime.now(UTC)
    assert 0 < counts.duration_ms < 20_000
    assert counts.digest != wallet_list.digest
    assert judgement.policy_digest == judging.policy.digest
    assert (judgement.verdict, judgement.why) == (Verdict.APPROVE, "approved by counts, wallet_list")
    json.dumps([dict(vote.evidence) for vote in judgement.votes])


def test_all_are_asked_even_when_one_rejects(open_bench: Bench) -> None:
    judging = open_bench(POWERS + DENIED + nasty("counts"))

    assert outcomes(judging, DIRTY) == {"counts": VoteOutcome.APPROVE, "wallet_list": VoteOutcome.REJECT}
    assert judging.judge(DIRTY).verdict is Verdict.REJECT


def test_without_powers_for_the_template_everything_is_held(open_bench: Bench) -> None:
    judging = open_bench(POWERS + DENIED)

    assert judging.judge(a_case(parties=CLEAN.settlement.parties, template="repo")).verdict is Verdict.HOLD
    assert judging.judge(a_case(parties=DIRTY.settlement.parties, template="repo")).verdict is Verdict.HOLD


def test_nothing_is_rejected_once_something_may_be_deposited(open_bench: Bench) -> None:
    judging = open_bench(POWERS + DENIED)
    deposited = a_case(parties=(a_party(WALLET),), state="AWAITING_DEPOSITS")

    assert judging.judge(deposited).verdict is Verdict.HOLD
    assert judging.judge(DIRTY, deposited=True).verdict is Verdict.HOLD
    assert judging.judge(DIRTY, deposited=False).verdict is Verdict.REJECT


def test_a_handler_whose_fact_is_missing_is_not_asked_and_has_failed(open_bench: Bench) -> None:
    judging = open_bench(POWERS + nasty("looks"))

    (vote,) = judging.judge(a_case()).votes

    assert (vote.outcome, vote.reason) == (VoteOutcome.ERROR, Reason.FACT_MISSING)
    assert vote.evidence == {"missing": ["country"]}
    assert outcomes(judging, a_case(facts=COUNTRY)) == {"looks": VoteOutcome.ESCALATE}


def test_a_handler_is_not_asked_about_what_it_does_not_want(open_bench: Bench) -> None:
    judging = open_bench(POWERS + nasty("looks"))

    judgement = judging.judge(a_case(event="settlement.compliance.failed", facts=COUNTRY))

    assert judgement.votes == ()
    assert (judgement.verdict, judgement.why) == (Verdict.HOLD, "no required handler voted")


def test_no_handlers_at_all_hold(open_bench: Bench) -> None:
    assert open_bench(POWERS).judge(CLEAN).verdict is Verdict.HOLD


def test_a_shadow_is_asked_and_recorded_and_does_not_count(open_bench: Bench) -> None:
    shadow = '[handlers.exits]\nmode = "shadow"\nmodule = "nasty:exits"\n'
    judging = open_bench(POWERS + DENIED + shadow)

    judgement = judging.judge(CLEAN)

    assert [(vote.handler, vote.mode, vote.outcome) for vote in judgement.votes] == [
        ("exits", Mode.SHADOW, VoteOutcome.ERROR),
        ("wallet_list", Mode.ENFORCE, VoteOutcome.APPROVE),
    ]
    assert judgement.verdict is Verdict.APPROVE


def test_one_that_asks_for_later_makes_the_case_wait_and_at_the_last_chance_fails(open_bench: Bench) -> None:
    judging = open_bench(POWERS + DENIED + nasty("waits", seconds=90))

    with pytest.raises(TryLater) as later:
        judging.judge(CLEAN)
    last = judging.judge(CLEAN, last_chance=True)

    assert later.value.after == timedelta(seconds=90)
    assert {vote.handler: vote.reason for vote in last.votes}["waits"] is Reason.HANDLER_NEVER_READY
    assert last.verdict is Verdict.HOLD


def test_a_shadow_never_makes_a_case_wait(open_bench: Bench) -> None:
    judging = open_bench(POWERS + DENIED + '[handlers.waits]\nmode = "shadow"\nmodule = "nasty:waits"\n')

    assert outcomes(judging, CLEAN)["waits"] is VoteOutcome.ERROR
    assert judging.judge(CLEAN).verdict is Verdict.APPROVE


def test_votes_and_failures_are_counted(open_bench: Bench, registry: CollectorRegistry) -> None:
    judging = open_bench(POWERS + DENIED + nasty("raises"))

    judging.judge(CLEAN)

    labels = {"handler": "raises", "mode": "enforce", "outcome": "error", "reason": "handler.error"}
    assert registry.get_sample_value("countersign_handler_votes_total", labels) == 1
    assert registry.get_sample_value("countersign_handler_seconds_count", {"handler": "raises"}) == 1


def test_a_handler_whose_files_change_under_a_running_worker_is_not_asked(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    module = tmp_path / "mine.py"
    module.write_text((AUTHORS / "nasty.py").read_text())
    policy = tmp_path / "policy.toml"
    off = "".join(f'[handlers.{name}]\nmode = "off"\n' for name in ("limits", "wallet_list"))
    policy.write_text(f'{POWERS}{off}[handlers.exits]\nmodule = "mine:exits"\n')
    judging = open_judging(policy, environ={}, registry=registry)
    try:
        (first,) = judging.judge(a_case()).votes
        module.write_text(module.read_text() + "\n# Changed.\n")
        (second,) = judging.judge(a_case()).votes
    finally:
        judging.close()

    assert first.reason is Reason.HANDLER_DIED
    assert second.reason is Reason.HANDLER_ERROR
    assert "have changed" in second.note


def test_judging_does_not_open_on_what_is_wrong(tmp_path: Path, registry: CollectorRegistry) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[handlers.nothing]\n")

    with pytest.raises(HandlersInvalid):
        open_judging(policy, environ={}, registry=registry)
    with pytest.raises(PolicyInvalid):
        open_judging(tmp_path / "nowhere.toml", environ={}, registry=registry)


def test_without_a_policy_everything_is_held(registry: CollectorRegistry) -> None:
    judging = open_judging(None, environ={}, registry=registry)

    judgement = judging.judge(a_case())

    assert {vote.outcome for vote in judgement.votes} == {VoteOutcome.ESCALATE}
    assert judgement.verdict is Verdict.HOLD
    judging.close()


@pytest.mark.parametrize(
    ("state", "leg_status", "deposited"),
    [
        ("COMPLIANCE_CHECKING", "pending", False),
        ("COMPLIANCE_CHECKING", None, False),
        ("COMPLIANCE_CHECKING", "PENDING", False),
        ("INSTRUCTED", "created", False),
        ("COMPLIANCE_CHECKING", "deposited", True),
        ("COMPLIANCE_CHECKING", "something new", True),
        ("AWAITING_DEPOSITS", "pending", True),
        ("EXECUTING_SWAP", None, True),
        ("SETTLED", None, True),
        ("FINALIZED", None, True),
        ("A_STATE_OF_ITS_OWN", "pending", True),
    ],
)
def test_what_can_not_be_ruled_out_counts_as_deposited(
    state: str, leg_status: str | None, *, deposited: bool
) -> None:
    case = a_case(state=state, legs=(a_leg(), a_leg("1", "BOND", leg_status)))

    assert case.settlement.legs[0].quantity == Decimal(100)
    assert may_be_deposited(case.settlement) is deposited
