"""The desk: what every step has at hand, and the few things that all of them do."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from countersign.keystone.client import KeystoneClient
from countersign.keystone.exchange import READ_SECONDS, TO_SEND_SECONDS
from countersign.keystone.history import HistoryEvent
from countersign.settlement import Settlement
from workers.cases import CaseState, Pause, Reading, Shown, read_pause
from workers.judging import Judging
from workers.leases import LeaseKeeper
from workers.ledger import claims, endings, judgements
from workers.ledger.books import Books
from workers.ledger.endings import Ending
from workers.ledger.record import CaseRecord
from workers.metrics import WorkerMetrics

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long things may take; the worker's settings name each of them.

    `send` bounds one decision call. `not_ready_limit` is how long handlers may keep asking for later. A
    review is due `review_margin` before KeyStone's deadline. A held case is read again `after_deadline`, and
    before that every `look_again`.
    """

    send: timedelta = timedelta(seconds=TO_SEND_SECONDS + READ_SECONDS)
    not_ready_limit: timedelta = timedelta(minutes=10)
    review_margin: timedelta = timedelta(minutes=5)
    after_deadline: timedelta = timedelta(seconds=1)
    look_again: timedelta = timedelta(minutes=15)


class Seen(NamedTuple):
    """One reading of KeyStone: the settlement as it is, and how it came there."""

    settlement: Settlement
    history: tuple[HistoryEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that a step needs. One desk serves all threads of a worker."""

    books: Books
    keystone: KeystoneClient
    judging: Judging
    keeper: LeaseKeeper
    metrics: WorkerMetrics
    client_id: str
    timings: Timings = field(default_factory=Timings)

    def read(self, record: CaseRecord) -> Seen:
        """Read the settlement and its history from KeyStone: two calls of the budget."""
        settlement = self.keystone.settlement(record.settlement_id)
        return Seen(settlement, self.keystone.history(record.settlement_id))

    def reading(self, pause: Pause, seen: Seen, timeout_at: datetime | None) -> Reading:
        """Say what became of a pause."""
        return read_pause(
            pause, seen.settlement.state, seen.history, timeout_at=timeout_at, client_id=self.client_id
        )

    def case_at(self, record: CaseRecord, pause: Pause) -> str | None:
        """Find another case that has had this pause already."""
        if pause.sequence is None:
            return None
        earlier = judgements.case_at_pause(self.books, record.settlement_id, pause.sequence)
        return None if earlier == record.id else earlier

    def end(self, record: CaseRecord, how: Ending) -> None:
        """End a case, and tell."""
        endings.end_case(self.books, record, how)
        self.metrics.ended(record, how.state, self.books.now())
        told = log.error if how.state is CaseState.CONFLICT else log.info
        told("case_ended", state=how.state, note=how.note)

    def end_as_over(self, record: CaseRecord, seen: Seen) -> None:
        """End a case whose flag speaks of a pause that is over."""
        flagged = Pause(state=record.flag_state or "", sequence=None)
        reading = self.reading(flagged, seen, seen.settlement.timeout_at)
        expired = reading.shown is Shown.EXPIRED
        note = f"KeyStone waits for no decision: the settlement is {seen.settlement.state}"
        state = CaseState.EXPIRED if expired else CaseState.SUPERSEDED
        self.end(record, Ending(state=state, note=note, reading=reading))

    def postpone(self, record: CaseRecord, after: timedelta, why: str) -> None:
        """Give a case back, to be taken up again after a while."""
        log.info("case_postponed", seconds=round(after.total_seconds(), 3), why=why)
        claims.postpone(self.books, record, after, why)

    def review_due_at(self, deadline: datetime | None) -> datetime | None:
        """Say when an officer must have decided: before KeyStone's deadline, even where that is near."""
        if deadline is None:
            return None
        left = max(deadline - self.books.now(), timedelta(0))
        return deadline - min(self.timings.review_margin, left / 4)

    def look_at(self, deadline: datetime | None) -> datetime:
        """Say when to look at a held case again: right after its deadline, and now and then before."""
        now = self.books.now()
        again = now + self.timings.look_again
        return (
            again
            if deadline is None or deadline < now
            else min(again, deadline + self.timings.after_deadline)
        )
