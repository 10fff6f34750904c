"""The audit: what counts as lost, what counts as doubled, and that every settlement is counted once."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.sandbox.demo.comparison import Fate, compare
from countersign.sandbox.demo.records import (
    AppliedDecision,
    RecordUnreadable,
    ledger_record,
    platform_record,
)
from tests.demo.honest_run import NOON, Run


@pytest.fixture
def run() -> Run:
    return Run()


def test_an_honest_run_holds_and_each_settlement_has_its_fate(run: Run) -> None:
    expected = {
        run.passed(): Fate.PASSED,
        run.decided("approve"): Fate.APPROVED,
        run.decided("reject"): Fate.REJECTED,
        run.decided("approve", "reject"): Fate.REJECTED,
        run.held(): Fate.HELD,
        run.held(expired=True): Fate.EXPIRED,
    }

    comparison = compare(*run.record())

    assert comparison.fates == expected
    assert (comparison.lost, comparison.doubled) == ((), ())
    assert comparison.holds


@given(
    st.lists(
        st.sampled_from(["passed", "approve", "reject", "held", "expired", "approve twice"]),
        max_size=12,
    )
)
def test_the_counts_add_up_whatever_the_mix(kinds: list[str]) -> None:
    run = Run()
    for kind in kinds:
        match kind:
            case "passed":
                run.passed()
            case "held" | "expired":
                run.held(expired=kind == "expired")
            case "approve twice":
                run.decided("approve", "approve")
            case decision:
                run.decided(decision)

    comparison = compare(*run.record())

    assert sum(comparison.count(fate) for fate in Fate) == len(kinds)
    assert comparison.holds


@given(st.data())
def test_taking_any_case_out_of_the_ledger_loses_its_flag(data: st.DataObject) -> None:
    run = Run()
    for decisions in data.draw(
        st.lists(st.lists(st.sampled_from(["approve", "reject"]), min_size=1, max_size=3), min_size=1)
    ):
        run.decided(*decisions)
    run.cases.pop(data.draw(st.integers(0, len(run.cases) - 1)))

    comparison = compare(*run.record())

    assert len(comparison.lost) == 1
    assert not comparison.holds


@given(st.data())
def test_taking_any_event_out_of_the_ledger_loses_it(data: st.DataObject) -> None:
    run = Run()
    for _ in range(data.draw(st.integers(1, 5))):
        run.decided("approve")
    run.events.pop(data.draw(st.integers(0, len(run.events) - 1)))

    comparison = compare(*run.record())

    assert len(comparison.lost) == 1
    assert "has no such event" in comparison.lost[0]


def test_an_event_that_was_not_accepted_is_not_lost(run: Run) -> None:
    settlement_id = run.passed()
    run.delivery(settlement_id, "settlement.state.compliance_cleared", status=503)
    run.delivery(settlement_id, "settlement.state.compliance_cleared", status=None)

    assert compare(*run.record()).holds


def test_a_body_in_the_ledger_under_another_settlement_is_lost(run: Run) -> None:
    run.passed()
    run.events[0] = msgspec.structs.replace(run.events[0], settlement_id="another")

    assert len(compare(*run.record()).lost) == 1


def test_the_same_body_accepted_twice_needs_one_row(run: Run) -> None:
    run.passed()
    run.deliveries.append(run.deliveries[0])

    assert compare(*run.record()).holds


def test_a_decision_taken_out_of_its_case_is_lost(run: Run) -> None:
    run.decided("approve")
    run.cases[0] = msgspec.structs.replace(run.cases[0], decision=None)

    comparison = compare(*run.record())

    assert "KeyStone has a decision" in comparison.lost[0]
    assert not comparison.holds


@pytest.mark.parametrize("state", ["opened", "decided", "submitted", "suspected"])
def test_a_case_that_has_not_ended_is_lost(run: Run, state: str) -> None:
    run.held()
    run.cases[0] = msgspec.structs.replace(run.cases[0], state=state)

    comparison = compare(*run.record())

    assert len(comparison.lost) == 1
    assert comparison.count(Fate.OPEN) == 1


def test_a_case_that_was_not_confirmed_yet_is_lost_even_if_keystone_has_the_decision(run: Run) -> None:
    run.decided("approve")
    run.cases[0] = msgspec.structs.replace(run.cases[0], state="submitted")

    assert compare(*run.record()).lost == (
        "the flag 2 of settlement settlement-0: its case is submitted, which is no end",
    )


def test_a_confirmed_case_whose_decision_never_reached_keystone_is_lost(run: Run) -> None:
    run.held()
    run.cases[0] = msgspec.structs.replace(run.cases[0], state="confirmed", decision="approve")

    comparison = compare(*run.record())

    assert "KeyStone still waits" in comparison.lost[0]


def test_two_applied_decisions_are_doubled_even_if_they_agree(run: Run) -> None:
    run.decided("approve")
    flag = run.settlements[0].flags[0]
    twice = msgspec.structs.replace(flag, applied=flag.applied * 2)
    run.settlements[0] = msgspec.structs.replace(run.settlements[0], flags=(twice,))

    comparison = compare(*run.record())

    assert comparison.doubled == ("the flag 2 of settlement settlement-0: 2 decisions were applied",)


@pytest.mark.parametrize("sequence", [2, None], ids=["for the flag", "when nothing waited"])
def test_a_different_decision_is_doubled_even_if_keystone_refused_it(run: Run, sequence: int | None) -> None:
    settlement_id = run.decided("approve")
    run.call(settlement_id, "reject", sequence, applied=False)

    comparison = compare(*run.record())

    assert comparison.doubled == (
        "the flag 2 of settlement settlement-0: different decisions were sent: approve, reject",
    )


def test_the_same_decision_sent_again_and_refused_is_not_doubled(run: Run) -> None:
    settlement_id = run.decided("approve")
    run.call(settlement_id, "approve", None, applied=False)

    assert compare(*run.record()).holds


def test_different_decisions_for_two_flags_of_one_settlement_are_not_doubled(run: Run) -> None:
    run.decided("approve", "reject")

    assert compare(*run.record()).holds


def test_a_refused_call_is_about_the_last_flag_before_it(run: Run) -> None:
    settlement_id = run.decided("approve", "reject")
    run.call(settlement_id, "reject", None, applied=False, received_at=NOON + timedelta(seconds=30))

    assert compare(*run.record()).doubled == (
        "the flag 2 of settlement settlement-0: different decisions were sent: approve, reject",
    )


def test_an_applied_decision_that_is_not_the_recorded_one_is_doubled(run: Run) -> None:
    run.decided("approve")
    run.cases[0] = msgspec.structs.replace(run.cases[0], decision="reject")

    comparison = compare(*run.record())

    assert "the ledger says reject, but approve was sent" in comparison.doubled[0]


def test_a_case_without_a_sequence_answers_for_one_flag_only(run: Run) -> None:
    run.decided("approve")
    run.cases[0] = msgspec.structs.replace(run.cases[0], pause_sequence=None)
    assert compare(*run.record()).holds

    run.decided("approve", "approve")
    run.cases[1:] = [msgspec.structs.replace(run.cases[1], pause_sequence=None)]

    assert len(compare(*run.record()).lost) == 2


def test_a_settlement_still_screening_is_open_and_not_passed(run: Run) -> None:
    run.passed()
    run.settlements[0] = msgspec.structs.replace(run.settlements[0], state="COMPLIANCE_CHECKING")

    comparison = compare(*run.record())

    assert comparison.count(Fate.OPEN) == 1
    assert not comparison.holds


def test_a_settlement_that_ended_unflagged_without_passing_is_open_and_not_passed(run: Run) -> None:
    run.passed()
    run.settlements[0] = msgspec.structs.replace(run.settlements[0], outcome="fail", state="ROLLED_BACK")

    assert compare(*run.record()).count(Fate.OPEN) == 1


def test_one_finding_is_enough_to_fail() -> None:
    clean = compare(*Run().record())

    assert clean.holds
    assert not replace(clean, lost=("one",)).holds
    assert not replace(clean, doubled=("one",)).holds


def test_records_are_read_from_the_agreed_json() -> None:
    platform = platform_record(
        {
            "items": [
                {
                    "id": "s",
                    "state": "ROLLED_BACK",
                    "outcome": "flag",
                    "flags": [
                        {
                            "pause_sequence": 2,
                            "flagged_at": "2026-01-02T12:00:00Z",
                            "ended_at": "2026-01-02T12:00:01Z",
                            "ended_by": "decision",
                            "applied": [{"decision": "reject", "client_id": "ours"}],
                        }
                    ],
                }
            ]
        },
        {"items": []},
        {"items": [{"event": "test.ping", "body_sha256": "00", "status": 202}]},
    )

    assert platform.settlements[0].flags[0].applied == (AppliedDecision(decision="reject"),)
    assert platform.deliveries[0].accepted


@pytest.mark.parametrize("cases", [{}, [], None, {"items": [{"case_id": "c"}]}])
def test_a_misshapen_record_is_an_error_and_not_an_empty_one(cases: object) -> None:
    with pytest.raises(RecordUnreadable, match="the ledger's cases can't be read"):
        ledger_record(cases, {"items": []})
