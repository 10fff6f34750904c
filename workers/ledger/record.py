"""A claimed case as the ledger hands it to a worker."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from countersign.verdict import Decision
from workers.cases import CaseState, Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """What is recorded of a case at the moment of its claim. `fence` is the claim's number.

    `unanswered_since` is when an intent was written whose answer never was: the decision may have been
    applied, and nothing may be sent before KeyStone was read.
    """

    id: str
    settlement_id: str
    event: str
    flag_state: str | None
    flag_received_at: datetime
    opened_at: datetime
    state: CaseState
    attempts: int
    fence: int
    lease_until: datetime
    pause: Pause | None
    timeout_at: datetime | None
    decision: Decision | None
    unanswered_since: datetime | None = None


def record_of(row: Row[Any], unanswered_since: datetime | None = None) -> CaseRecord:
    """Read a row of `cases`."""
    pause = None
    if row.paused_state is not None:
        pause = Pause(state=row.paused_state, sequence=row.pause_sequence, content_hash=row.pause_hash)
    return CaseRecord(
        id=row.id,
        settlement_id=row.settlement_id,
        event=row.event,
        flag_state=row.flag_state,
        flag_received_at=row.flag_received_at,
        opened_at=row.opened_at,
        state=CaseState(row.state),
        attempts=row.attempts,
        fence=row.fence,
        lease_until=row.lease_until,
        pause=pause,
        timeout_at=row.timeout_at,
        decision=None if row.decision is None else Decision(row.decision),
        unanswered_since=unanswered_since,
    )
