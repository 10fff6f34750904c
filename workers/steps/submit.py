"""Submitting: the recorded decision, and no other, reaches KeyStone once.

KeyStone has no idempotency key and no expected state (keystone-api.md 3.5). So each POST follows a committed
intent, and no second POST follows an open question: KeyStone is read first, and only a pause that still waits
gets the identical decision again.
"""

from datetime import datetime, timedelta
from http import HTTPStatus

import structlog

from countersign.keystone.errors import CredentialsRefused, OutcomeUnknown, StateConflict, TryAgainLater
from workers.cases import CaseState, Pause, ending, retry_delay
from workers.ledger import submissions
from workers.ledger.endings import Ending
from workers.ledger.record import CaseRecord
from workers.ledger.submissions import Answer, Intent
from workers.steps.desk import Desk
from workers.steps.look import has_ended

log = structlog.get_logger(__name__)


def submit(desk: Desk, record: CaseRecord) -> None:
    """Send a decision that was recorded before, after making sure that its own pause still waits for it."""
    if record.unanswered_since is not None:
        again_at = record.unanswered_since + _may_still_arrive(desk)
        if desk.books.now() < again_at:
            # The last call may still be on its way to KeyStone: reading now would prove nothing.
            desk.postpone(record, again_at - desk.books.now(), "the last call may still arrive")
            return
    if has_ended(desk, record) or record.pause is None:
        return
    intent = submissions.intend_again(desk.books, record)
    send(desk, record, record.pause, record.timeout_at, intent)


def send(desk: Desk, record: CaseRecord, pause: Pause, timeout_at: datetime | None, intent: Intent) -> None:
    """POST once, on the strength of a committed intent, and record what came of it.

    Nothing is sent later than a lease after the intent: whoever stood still for so long, or waited for its
    turn, may not be alone with the case any more.
    """
    send_by = intent.made_at_seconds + desk.books.lease.total_seconds()
    try:
        shown = desk.keystone.decide(record.settlement_id, intent.decision, send_by=send_by)
    except StateConflict as conflict:
        _after_conflict(desk, record, pause, timeout_at, intent, conflict.status)
    except OutcomeUnknown as unknown:
        _after_unknown(desk, record, intent, unknown.status)
    except (TryAgainLater, CredentialsRefused) as trouble:
        answer = Answer(told="not_taken", status=trouble.status)
        log.warning("decision_not_taken", status=trouble.status, why=str(trouble))
        again_after = max(trouble.after, retry_delay(record.attempts))
        submissions.record_answer(desk.books, record, intent, answer, again_after=again_after)
    else:
        _confirmed(desk, record, intent, f"KeyStone accepted it and shows {shown.state}", None)


def _may_still_arrive(desk: Desk) -> timedelta:
    """Say how long after its intent a call may reach KeyStone: it starts within a lease, and is bounded."""
    return desk.books.lease + desk.timings.send


def _confirmed(desk: Desk, record: CaseRecord, intent: Intent, note: str, status: int | None) -> None:
    answered = (intent, Answer(told="accepted", status=status))
    desk.end(record, Ending(state=CaseState.CONFIRMED, note=note, answered=answered))


def _after_unknown(desk: Desk, record: CaseRecord, intent: Intent, status: int | None) -> None:
    if status is not None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        _confirmed(
            desk, record, intent, "KeyStone accepted it; the rest of its answer was unreadable", status
        )
        return
    log.warning("decision_outcome_unknown", status=status)
    answer = Answer(told="unknown", status=status, known=False)
    again_after = _may_still_arrive(desk)
    submissions.record_answer(desk.books, record, intent, answer, again_after=again_after)


def _after_conflict(
    desk: Desk,
    record: CaseRecord,
    pause: Pause,
    timeout_at: datetime | None,
    intent: Intent,
    status: int | None,
) -> None:
    answer = Answer(told="conflict", status=status)
    reading = desk.reading(pause, desk.read(record), timeout_at)
    state = ending(intent.decision, reading)
    if state is None:
        log.info("not_waiting_yet")
        again_after = retry_delay(record.attempts)
        submissions.record_answer(desk.books, record, intent, answer, again_after=again_after)
        return
    note = f"KeyStone no longer waited, and shows it {reading.shown}"
    desk.end(record, Ending(state=state, note=note, reading=reading, answered=(intent, answer)))
