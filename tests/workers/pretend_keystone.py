"""A KeyStone in memory that can be made to fail at any moment: what no real server can be timed to do.

It has one settlement. It keeps what really happened, so that a test can compare it with the ledger.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from countersign import Settlement
from countersign.keystone.errors import (
    CredentialsRefused,
    NotFound,
    OutcomeUnknown,
    RefusedBecause,
    StateConflict,
    TryAgainLater,
)
from countersign.keystone.history import HistoryEvent
from countersign.verdict import Decision

CHECKING, CLEARED = "COMPLIANCE_CHECKING", "COMPLIANCE_CLEARED"
CLIENT = "our-client"


class Fault(Enum):
    """What happens to the next decision call."""

    NONE = auto()
    REPLY_LOST = auto()
    NEVER_ARRIVED = auto()
    BUSY = auto()
    FORBIDDEN = auto()
    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()


class WorkerDied(BaseException):
    """The worker is gone at this point: nothing in it may catch this, as nothing catches SIGKILL."""


@dataclass
class Sent:
    """One decision that arrived."""

    decision: Decision
    pause: int | None
    applied: bool


@dataclass
class PretendKeystone:
    """Implements the three calls that the steps make."""

    now: datetime
    names_the_client: bool = True
    tells_the_decision: bool = True
    state: str = CHECKING
    waiting: bool = True
    fault: Fault = Fault.NONE
    history_events: list[HistoryEvent] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    reads: int = 0
    missing: bool = False
    knows_us: bool = True

    def __post_init__(self) -> None:
        self.deadline = self.now + timedelta(hours=1)
        self._record(None, "INSTRUCTED")
        self._record("INSTRUCTED", CHECKING)

    @property
    def pause(self) -> int | None:
        """The sequence of the pause that waits now."""
        return self.history_events[-1].sequence if self.waiting else None

    # What the steps call.

    def settlement(self, settlement_id: str) -> Settlement:
        self.reads += 1
        if not self.knows_us:
            raise _refused(401)
        if self.missing:
            raise NotFound("not in this environment", status=404)
        return Settlement(id=settlement_id, state=self.state, timeout_at=self.deadline)

    def history(self, _settlement_id: str) -> tuple[HistoryEvent, ...]:
        return tuple(self.history_events)

    def decide(self, settlement_id: str, decision: Decision, *, send_by: float) -> Settlement:
        if time.monotonic() > send_by:
            raise TryAgainLater("waited too long", after=timedelta(0))
        fault, self.fault = self.fault, Fault.NONE
        if fault is Fault.CRASH_BEFORE:
            raise WorkerDied
        if fault is Fault.BUSY:
            raise TryAgainLater("busy", after=timedelta(seconds=2), status=429)
        if fault is Fault.FORBIDDEN:
            raise _refused(403)
        if fault is Fault.NEVER_ARRIVED:
            raise OutcomeUnknown("no answer")
        applied = self._arrive(decision)
        if fault is Fault.CRASH_AFTER:
            raise WorkerDied
        if fault is Fault.REPLY_LOST:
            raise OutcomeUnknown("no answer")
        if not applied:
            raise StateConflict("not awaiting a compliance decision", status=409)
        return self.settlement(settlement_id)

    # What others do.

    def decide_in_dashboard(self, decision: Decision) -> None:
        """An officer of the other platform decides the same flag, where it waits."""
        if self.waiting:
            self._leave(decision, "user:officer")

    def flag_again(self, *, in_place: bool = False) -> None:
        """A recheck flags a cleared settlement again: it takes it back, or pauses it where it is."""
        if self.state != CLEARED or self.waiting:
            return
        self.waiting = True
        if not in_place:
            self._record(CLEARED, CHECKING)
            self.state = CHECKING

    def time_out(self) -> None:
        """The deadline passes."""
        if self.waiting:
            self._record(self.state, "TIMED_OUT")
            self.state, self.waiting = "TIMED_OUT", False

    def _arrive(self, decision: Decision) -> bool:
        self.sent.append(Sent(decision=decision, pause=self.pause, applied=self.waiting))
        applied = self.waiting
        if applied:
            self._leave(decision, f"m2m:{CLIENT}" if self.names_the_client else "m2m:platform")
        return applied

    def _leave(self, decision: Decision, by: str) -> None:
        to = CLEARED if decision is Decision.APPROVE else "ROLLED_BACK"
        payload = {"decision": decision.value} if self.tells_the_decision else None
        self._record(self.state, to, by, payload)
        self.state, self.waiting = to, False

    def _record(
        self, from_state: str | None, to: str, by: str = "system:engine", payload: object = None
    ) -> None:
        sequence = len(self.history_events) + 1
        self.history_events.append(
            HistoryEvent(
                id=f"e-{sequence}",
                sequence=sequence,
                from_state=from_state,
                to_state=to,
                triggered_by=by,
                payload=payload,
                content_hash=f"h-{sequence}",
                created_at=self.now,
            )
        )


def _refused(status: int) -> CredentialsRefused:
    why = RefusedBecause.CLIENT_REFUSED
    return CredentialsRefused("check CLIENT_SECRET", why=why, after=timedelta(minutes=1), status=status)
