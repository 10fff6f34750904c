"""The case's state machine: what happens next, given what is recorded and what KeyStone shows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.keystone.history import HistoryEvent
from countersign.verdict import Decision
from workers.cases import (
    CaseState,
    Pause,
    Reading,
    Shown,
    Step,
    ending,
    find_pause,
    left_pause,
    moves_forward,
    next_step,
    read_pause,
    retry_delay,
)

CHECKING, CLEARED, DEPOSITS = "COMPLIANCE_CHECKING", "COMPLIANCE_CLEARED", "AWAITING_DEPOSITS"
TIMEOUT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
OURS = "m2m:our-client"


def event(
    sequence: int,
    from_state: str | None,
    to_state: str,
    *,
    by: str | None = "system:engine",
    payload: object = None,
    at: datetime = TIMEOUT - timedelta(minutes=30),
) -> HistoryEvent:
    return HistoryEvent(
        id=f"e-{sequence}",
        sequence=sequence,
        from_state=from_state,
        to_state=to_state,
        triggered_by=by,
        payload=payload,
        content_hash=f"hash-{sequence}",
        created_at=at,
    )


PAUSED = [event(1, None, "INSTRUCTED"), event(2, "INSTRUCTED", CHECKING)]
AT_TWO = Pause(state=CHECKING, sequence=2, content_hash="hash-2")


def read(state: str, *after: HistoryEvent, pause: Pause = AT_TWO) -> Reading:
    return read_pause(pause, state, [*PAUSED, *after], timeout_at=TIMEOUT, client_id="our-client")


class TestFindingThePauseOfAFlag:
    def test_it_is_where_the_settlement_last_came_to_its_state(self) -> None:
        assert find_pause(CHECKING, PAUSED) == AT_TWO

    def test_history_in_any_order_tells_the_same(self) -> None:
        assert find_pause(CHECKING, PAUSED[::-1]) == AT_TWO

    def test_a_flag_recorded_as_an_event_of_its_own_is_the_pause(self) -> None:
        pause = find_pause(CHECKING, [*PAUSED, event(3, CHECKING, CHECKING)])

        assert pause is not None
        assert pause.sequence == 3

    def test_a_recheck_that_comes_back_to_the_state_is_another_pause(self) -> None:
        rechecked = [*PAUSED, event(3, CHECKING, CLEARED), event(4, CLEARED, CHECKING)]

        pause = find_pause(CHECKING, rechecked)

        assert pause is not None
        assert pause.sequence == 4

    def test_it_is_where_the_settlement_is_whatever_state_the_flag_names(self) -> None:
        """In doubt: a decision that nobody waits for is answered 409, a flag that is dropped is lost."""
        pause = find_pause(DEPOSITS, [*PAUSED, event(3, CHECKING, DEPOSITS)])

        assert pause == Pause(state=DEPOSITS, sequence=3, content_hash="hash-3")

    def test_a_pause_that_the_flag_names_and_that_was_left_is_found_beside_it(self) -> None:
        history = [*PAUSED, event(3, CHECKING, CLEARED)]

        assert left_pause(CHECKING, CLEARED, history) == AT_TWO
        assert left_pause(None, CLEARED, history) is None
        assert left_pause(CLEARED, CLEARED, history) is None
        assert left_pause("FLAGGED", CLEARED, history) is None

    def test_without_any_history_the_pause_has_no_sequence(self) -> None:
        assert find_pause(CHECKING, []) == Pause(state=CHECKING, sequence=None)

    @pytest.mark.parametrize("state", ["FINALIZED", "ROLLED_BACK", "TIMED_OUT"])
    def test_a_finished_settlement_waits_for_nothing(self, state: str) -> None:
        assert find_pause(state, PAUSED) is None


class TestReadingWhatBecameOfAPause:
    def test_it_waits_while_nothing_happened(self) -> None:
        assert read(CHECKING) == Reading(shown=Shown.WAITING)

    def test_leaving_for_a_later_state_is_an_approval(self) -> None:
        assert read(CLEARED, event(3, CHECKING, CLEARED)).shown is Shown.APPROVED

    def test_leaving_for_rolled_back_is_a_rejection(self) -> None:
        shown = read("ROLLED_BACK", event(3, CHECKING, "ROLLED_BACK", by="user:dashboard"))

        assert shown == Reading(shown=Shown.REJECTED, sequence=3)

    def test_the_deadline_is_told_from_a_rejection(self) -> None:
        late = event(3, CHECKING, "ROLLED_BACK", at=TIMEOUT + timedelta(seconds=1))

        assert read("ROLLED_BACK", late).shown is Shown.EXPIRED
        assert read("TIMED_OUT", event(3, CHECKING, "TIMED_OUT")).shown is Shown.EXPIRED

    def test_a_decision_told_in_the_history_counts_whatever_the_state(self) -> None:
        told = event(3, CHECKING, CHECKING, by=OURS, payload={"decision": "reject"})

        assert read(CHECKING, told) == Reading(shown=Shown.REJECTED, by_us=True, sequence=3)

    def test_only_a_record_that_names_our_client_is_ours(self) -> None:
        assert read(CLEARED, event(3, CHECKING, CLEARED, by=OURS)).by_us
        assert not read(CLEARED, event(3, CHECKING, CLEARED, by="m2m:platform")).by_us
        assert not read(CLEARED, event(3, CHECKING, CLEARED, by=None)).by_us

    def test_a_new_pause_in_the_same_state_does_not_hide_how_ours_ended(self) -> None:
        shown = read(CHECKING, event(3, CHECKING, CLEARED), event(4, CLEARED, CHECKING))

        assert shown.shown is Shown.APPROVED

    def test_somebody_acting_within_the_state_ends_the_pause_untold(self) -> None:
        assert read(CHECKING, event(3, CHECKING, CHECKING, by="user:officer")).shown is Shown.UNTOLD

    def test_the_flags_own_event_does_not_end_the_pause(self) -> None:
        assert read(CHECKING, event(3, CHECKING, CHECKING)).shown is Shown.WAITING

    def test_an_unknown_state_is_never_taken_for_an_approval(self) -> None:
        assert read("QUARANTINED", event(3, CHECKING, "QUARANTINED")).shown is Shown.UNTOLD

    def test_without_history_the_state_alone_tells(self) -> None:
        pause = Pause(state=CHECKING, sequence=None)

        reading = read_pause(pause, "ROLLED_BACK", [], timeout_at=None, client_id="our-client")

        assert reading == Reading(shown=Shown.REJECTED)


class TestEnding:
    @pytest.mark.parametrize(
        ("decision", "reading", "state"),
        [
            (Decision.APPROVE, Reading(shown=Shown.WAITING), None),
            (Decision.APPROVE, Reading(shown=Shown.APPROVED, by_us=True), CaseState.CONFIRMED),
            (Decision.APPROVE, Reading(shown=Shown.APPROVED), CaseState.MATCHED),
            (Decision.REJECT, Reading(shown=Shown.APPROVED), CaseState.CONFLICT),
            (Decision.APPROVE, Reading(shown=Shown.REJECTED, by_us=True), CaseState.CONFLICT),
            (Decision.REJECT, Reading(shown=Shown.REJECTED), CaseState.MATCHED),
            (Decision.REJECT, Reading(shown=Shown.EXPIRED), CaseState.EXPIRED),
            (Decision.APPROVE, Reading(shown=Shown.UNTOLD), CaseState.SUPERSEDED),
            (Decision.APPROVE, Reading(shown=Shown.UNTOLD, by_us=True), CaseState.CONFIRMED),
            (None, Reading(shown=Shown.WAITING), None),
            (None, Reading(shown=Shown.APPROVED), CaseState.SUPERSEDED),
            (None, Reading(shown=Shown.REJECTED), CaseState.SUPERSEDED),
            (None, Reading(shown=Shown.EXPIRED), CaseState.EXPIRED),
            (None, Reading(shown=Shown.UNTOLD, by_us=True), CaseState.SUPERSEDED),
        ],
    )
    def test_each_outcome_has_its_end(
        self, decision: Decision | None, reading: Reading, state: CaseState | None
    ) -> None:
        assert ending(decision, reading) is state


def test_only_a_case_that_was_never_decided_is_judged() -> None:
    judged = {state for state in CaseState if next_step(state) is Step.JUDGE}

    assert judged == {CaseState.OPENED}


def test_an_ended_case_needs_nothing_and_every_other_needs_something() -> None:
    for state in CaseState:
        assert (next_step(state) is Step.NOTHING) is state.ended


@given(st.integers(min_value=0, max_value=10_000))
def test_waiting_grows_and_stays_within_a_minute(attempts: int) -> None:
    assert timedelta(seconds=1) <= retry_delay(attempts) <= timedelta(minutes=1)
    assert retry_delay(attempts) <= retry_delay(attempts + 1)


LIFE = ["INSTRUCTED", CHECKING, CLEARED, DEPOSITS, "EXECUTING_SWAP", "FINALIZED"]


@given(st.permutations(range(len(LIFE))), st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_events_in_any_order_never_take_a_settlement_back(order: list[int], gaps: list[int]) -> None:
    """Times are whole seconds, so events of one second can't be told apart by their time alone."""
    start = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    times = [start + timedelta(seconds=sum(gaps[: index + 1])) for index in range(len(LIFE))]
    known, known_at = LIFE[order[0]], times[order[0]]
    for index in order[1:]:
        previous = LIFE[index - 1] if index else None
        if moves_forward(known, known_at, previous, times[index]):
            assert index > LIFE.index(known)
            known, known_at = LIFE[index], times[index]


def test_a_state_that_must_be_left_first_is_not_skipped_by_a_late_event() -> None:
    assert not moves_forward("FINALIZED", TIMEOUT, CHECKING, TIMEOUT + timedelta(seconds=5))
    assert moves_forward(CHECKING, None, "INSTRUCTED", TIMEOUT)
    assert moves_forward(CHECKING, TIMEOUT, CHECKING, None)
    assert not moves_forward(CHECKING, TIMEOUT, "INSTRUCTED", None)
