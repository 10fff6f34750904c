"""A case's life as a state machine, in plain Python: given what is recorded and shown, what happens next.

Nothing here does any work. `workers/casework.py` reads and writes what these functions ask for, and a
property test drives them through every order of events.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto

from countersign.keystone.history import HistoryEvent
from countersign.verdict import Decision

STATES_PAST_COMPLIANCE = frozenset(
    {
        "COMPLIANCE_CLEARED",
        "REGISTERING_ESCROW",
        "AWAITING_DEPOSITS",
        "EXECUTING_SWAP",
        "SETTLED",
        "FINALIZED",
    }
)
"""States that follow an approval (keystone-api.md 3.4). The set is open: any other state tells nothing."""

_STATES_WITH_DEPOSITS = frozenset({"AWAITING_DEPOSITS", "EXECUTING_SWAP", "SETTLED", "FINALIZED"})

ROLLED_BACK, TIMED_OUT = "ROLLED_BACK", "TIMED_OUT"
TERMINAL_STATES = frozenset({"FINALIZED", ROLLED_BACK, TIMED_OUT})

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=1)


FOUND_BY_AGE = "(found by age)"
"""What stands in the place of an event's name where no flag came: the case is only suspected."""


class CaseState(StrEnum):
    """Where a case is in its life. The last five end it."""

    OPENED = auto()
    DECIDED = auto()
    SUBMITTED = auto()
    HELD = auto()
    SUSPECTED = auto()
    CONFIRMED = auto()
    MATCHED = auto()
    CONFLICT = auto()
    EXPIRED = auto()
    SUPERSEDED = auto()

    @property
    def ended(self) -> bool:
        """Whether nothing more will be done for this case."""
        return self in _ENDED


_ENDED = frozenset(
    {CaseState.CONFIRMED, CaseState.MATCHED, CaseState.CONFLICT, CaseState.EXPIRED, CaseState.SUPERSEDED}
)


class Step(StrEnum):
    """What a worker does with a claimed case."""

    JUDGE = auto()
    """Read the settlement, ask the handlers, record; then submit what was decided."""
    SUBMIT = auto()
    """Read the settlement, and send the recorded decision if its pause still waits for one."""
    LOOK = auto()
    """Read the settlement, to see whether the pause ended without us."""
    NOTHING = auto()


def next_step(state: CaseState) -> Step:
    """Say what a case in this state needs. Only a case that was never decided is ever judged."""
    match state:
        case CaseState.OPENED:
            return Step.JUDGE
        case CaseState.DECIDED | CaseState.SUBMITTED:
            return Step.SUBMIT
        case CaseState.HELD | CaseState.SUSPECTED:
            return Step.LOOK
        case _:
            return Step.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Where a settlement waits for a decision: its state, and the history event at which it came there."""

    state: str
    sequence: int | None
    content_hash: str | None = None


class Shown(StrEnum):
    """What KeyStone shows to have become of a pause."""

    WAITING = auto()
    APPROVED = auto()
    REJECTED = auto()
    EXPIRED = auto()
    UNTOLD = auto()
    """The settlement left the pause, but nothing tells how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at a pause. `by_us` is true only where KeyStone's record names our own client."""

    shown: Shown
    by_us: bool = False
    sequence: int | None = None


def find_pause(state: str, history: Iterable[HistoryEvent]) -> Pause | None:
    """Find where a flagged settlement waits, or None if it is over.

    It counts as paused where it is, even if the flag names another state: a recheck may pause a settlement
    where it stands and send a flag that looks exactly like the first. A decision that nobody waits for is
    answered 409; a flag that is dropped is lost.
    """
    return None if state in TERMINAL_STATES else _last_entry(state, history)


def left_pause(flag_state: str | None, state: str, history: Iterable[HistoryEvent]) -> Pause | None:
    """Find the earlier pause that a flag names, if it was left since: the flag may be a late repeat."""
    events = list(history)
    if flag_state in {None, state} or all(event.from_state != flag_state for event in events):
        return None
    return _last_entry(str(flag_state), events)


def read_pause(
    pause: Pause,
    state: str,
    history: Iterable[HistoryEvent],
    *,
    timeout_at: datetime | None,
    client_id: str,
) -> Reading:
    """Say what became of a pause, from the settlement's state and history (keystone-api.md 3.3)."""
    for event in sorted(history, key=lambda event: event.sequence):
        if pause.sequence is not None and event.sequence <= pause.sequence:
            continue
        shown = _shown_by(event, pause, timeout_at)
        if shown is not None:
            by_us = event.triggered_by == f"m2m:{client_id}"
            return Reading(shown=shown, by_us=by_us, sequence=event.sequence)
    if state != pause.state:
        return Reading(shown=_shown_by_state(state))
    return Reading(shown=Shown.WAITING)


def was_deposited(history: Iterable[HistoryEvent]) -> bool:
    """Say whether assets may have been deposited already: then a reject would hand them back."""
    return any(event.to_state in _STATES_WITH_DEPOSITS for event in history)


def ending(decision: Decision | None, reading: Reading) -> CaseState | None:
    """Say how a case ends on this reading, or None if its pause still waits."""
    match reading.shown:
        case Shown.WAITING:
            return None
        case Shown.EXPIRED:
            return CaseState.EXPIRED
        case Shown.UNTOLD:
            return CaseState.CONFIRMED if decision and reading.by_us else CaseState.SUPERSEDED
        case Shown.APPROVED | Shown.REJECTED:
            if decision is None:
                return CaseState.SUPERSEDED
            if (decision is Decision.APPROVE) is not (reading.shown is Shown.APPROVED):
                return CaseState.CONFLICT
            return CaseState.CONFIRMED if reading.by_us else CaseState.MATCHED


def retry_delay(attempts: int) -> timedelta:
    """Say how long to wait after this many attempts: one second, doubling, at most a minute."""
    doublings = min(max(attempts - 1, 0), 10)
    return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)


def moves_forward(
    known_state: str, known_at: datetime | None, previous_state: str | None, occurred_at: datetime | None
) -> bool:
    """Say whether an event is newer than what is known of a settlement.

    Events come late and in any order, and their times are whole seconds: within the same second only an event
    that continues from the known state is newer. A terminal state is never left.
    """
    if known_state in TERMINAL_STATES:
        return False
    if known_at is None or occurred_at is None:
        return previous_state == known_state or known_at is None
    if occurred_at == known_at:
        return previous_state == known_state
    return occurred_at > known_at


def _last_entry(state: str, history: Iterable[HistoryEvent]) -> Pause:
    entered = [event for event in history if event.to_state == state]
    if not entered:
        return Pause(state=state, sequence=None)
    last = max(entered, key=lambda event: event.sequence)
    return Pause(state=state, sequence=last.sequence, content_hash=last.content_hash)


def _shown_by(event: HistoryEvent, pause: Pause, timeout_at: datetime | None) -> Shown | None:
    if event.to_state is None:
        return None
    told = _told_decision(event.payload)
    if told is not None:
        return Shown.APPROVED if told is Decision.APPROVE else Shown.REJECTED
    if event.to_state != pause.state and event.from_state in {pause.state, None}:
        return Shown.EXPIRED if _timed_out(event, timeout_at) else _shown_by_state(event.to_state)
    if event.to_state == pause.state and not _by_the_engine(event.triggered_by):
        return Shown.UNTOLD  # Somebody acted on the pause without leaving it: a recheck within one state.
    return None


def _timed_out(event: HistoryEvent, timeout_at: datetime | None) -> bool:
    # A deadline may end as ROLLED_BACK too (keystone-api.md 3.4): by the engine, and not before the deadline.
    late = timeout_at is not None and event.created_at is not None and event.created_at >= timeout_at
    return event.to_state == ROLLED_BACK and late and _by_the_engine(event.triggered_by)


def _shown_by_state(state: str) -> Shown:
    if state == TIMED_OUT:
        return Shown.EXPIRED
    if state == ROLLED_BACK:
        return Shown.REJECTED
    return Shown.APPROVED if state in STATES_PAST_COMPLIANCE else Shown.UNTOLD


def _told_decision(payload: object) -> Decision | None:
    told = payload.get("decision") if isinstance(payload, dict) else None
    match told:
        case "approve" | "approved":
            return Decision.APPROVE
        case "reject" | "rejected":
            return Decision.REJECT
        case _:
            return None


def _by_the_engine(triggered_by: str | None) -> bool:
    return triggered_by is None or triggered_by.startswith("system")
