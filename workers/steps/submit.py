"""Submitting: the recorded decision, and no other, reaches KeyStone once.

KeyStone has no idempotency key and no expected state (keystone-api.md 3.5). So each POST follows a committed
intent, and no second POST follows an open question: KeyStone is read first, and only a pause that still waits
gets the identical decision again.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus

import structlog

from countersign.keystone.errors import CredentialsRefused, OutcomeUnknown, StateConflict, TryAgainLater
from workers.cases import CaseState, Pause, Reading, ending, left_pause, retry_delay
from workers.ledger import submissions
from workers.ledger.endings import Ending
from workers.ledger.record import CaseRecord
from workers.ledger.submissions import Answer, Intent
from workers.steps.desk import Desk
from workers.steps.look import has_ended

log = structlog.get_logger(__name__)


def submit(desk: Desk, record: CaseRecord) -> None:
    """Send a decision that was recorded before, after making sure that its own pause still waits for it."""
    if has_ended(desk, record) or record.pause is None:
        return
    if record.unanswered_since is not None:
        again_at = record.unanswered_since + _may_still_arrive(desk)
        if desk.books.now() < again_at:
            # It still waits, but the last call may be on its way: a second one now could meet another pause.
            desk.postpone(record, again_at - desk.books.now(), "the last call may still arrive")
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
    again_after = retry_delay(record.attempts)
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
    seen = desk.read(record)
    reading = desk.reading(pause, seen, timeout_at)
    state = ending(intent.decision, reading)
    if state is not None:
        note = f"KeyStone no longer waited, and shows it {reading.shown}"
        desk.end(record, Ending(state=state, note=note, reading=reading, answered=(intent, answer)))
        return
    left = left_pause(record.flag_state, seen.settlement.state, seen.history)
    if left is not None:
        how = _late_repeat(desk, record, left, desk.reading(left, seen, timeout_at), intent)
        desk.end(record, replace(how, answered=(intent, answer)))
        return
    log.info("not_waiting_yet")
    again_after = retry_delay(record.attempts)
    submissions.record_answer(desk.books, record, intent, answer, again_after=again_after)


def _late_repeat(desk: Desk, record: CaseRecord, left: Pause, reading: Reading, intent: Intent) -> Ending:
    """Say how a case ends whose flag spoke of a pause that was left before we read it."""
    earlier = desk.case_at(record, left)
    if earlier is not None:
        note = f"the flag repeats that of {earlier}, and KeyStone waits for nothing more"
        return Ending(state=CaseState.SUPERSEDED, note=note, repeat_of=earlier, reading=reading)
    state = ending(intent.decision, replace(reading, by_us=False)) or CaseState.SUPERSEDED
    note = f"the pause of the flag was over before it was read: KeyStone shows it {reading.shown}"
    return Ending(state=state, note=note, reading=reading, pause=left)
