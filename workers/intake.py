"""Intake: an event goes from the journal into the ledger, and only then out of the journal."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog

from countersign.keystone.events import Event, EventUnreadable, parse_event
from workers.journal import Journal, JournalEntry
from workers.ledger import intake
from workers.ledger.books import Books
from workers.ledger.intake import ReceivedEvent
from workers.ledger.record import CaseRecord
from workers.metrics import WorkerMetrics

log = structlog.get_logger(__name__)


class Intake:
    """Takes events in. Doing it twice for one event does no harm."""

    def __init__(self, journal: Journal, books: Books, metrics: WorkerMetrics) -> None:
        self._journal = journal
        self._books = books
        self._metrics = metrics

    def leftovers(self, *, older_than: timedelta, now: datetime) -> Iterator[JournalEntry]:
        """Find events of our environment that have waited in the journal for too long, oldest first."""
        for entry in self._journal.leftovers(older_than=older_than, now=now):
            if entry.environment == self._books.environment:
                yield entry

    def take(self, entry: JournalEntry, *, by: str) -> CaseRecord | None:
        """Record an event. Return the case that it opened, already claimed, if it opened one."""
        if entry.environment != self._books.environment:
            # Left in the journal on purpose: the workers of its own environment may share this Redis.
            log.error("event_of_another_environment", event_id=entry.event_id, environment=entry.environment)
            return None
        self._journal.let_repeats_in(entry)
        event = _read(entry)
        record = intake.take(self._books, _received(entry, event))
        self._journal.forget(entry)
        self._metrics.took(_kind(event), by)
        log.info(
            "event_recorded",
            event_id=entry.event_id,
            event_key=entry.event_key,
            event_name=event.name if event else None,
            settlement_id=event.settlement_id if event else None,
            case_id=record.id if record else None,
        )
        return record


def _read(entry: JournalEntry) -> Event | None:
    try:
        return parse_event(entry.body)
    except EventUnreadable as unreadable:
        # The receiver could read it, so this is an older worker beside a newer receiver: keep it, and tell.
        log.error("event_unreadable", event_id=entry.event_id, reason=unreadable.reason)  # noqa: TRY400 - expected.
        return None


def _received(entry: JournalEntry, event: Event | None) -> ReceivedEvent:
    return ReceivedEvent(
        id=entry.event_id,
        endpoint=entry.endpoint,
        event_key=entry.event_key,
        received_at=entry.received_at,
        body=entry.body,
        event=event,
    )


def _kind(event: Event | None) -> str:
    if event is None:
        return "unreadable"
    return "flag" if event.is_flag else "ping" if event.is_ping else "other"
