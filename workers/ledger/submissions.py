"""Submissions: the intent that is committed before each POST, and the answer that came of it."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from countersign.verdict import Decision
from workers.cases import CaseState
from workers.ledger.books import Books
from workers.ledger.chain import Entry, append
from workers.ledger.claims import change_claimed
from workers.ledger.columns import new_id
from workers.ledger.record import CaseRecord
from workers.ledger.tables import DECISIONS, SUBMISSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A committed intent: the permission to POST this decision once, soon after.

    `made_at_seconds` is this process's monotonic clock, which goes on while the process is frozen.
    """

    id: str
    decision: Decision
    made_at_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a POST: `told` is a short slug, `status` the HTTP status if there was one.

    `known` is false where the decision may have been applied although no usable answer came.
    """

    told: str
    status: int | None = None
    known: bool = True


def intend(
    connection: Connection, books: Books, record: CaseRecord, decision_id: str, now: datetime
) -> tuple[Intent, Entry]:
    """Write an intent within the caller's transaction; the entry goes last into the chain."""
    decision = connection.execute(
        select(DECISIONS.c.decision).where(DECISIONS.c.id == decision_id)
    ).scalar_one()
    intent = Intent(id=new_id("submission"), decision=Decision(decision), made_at_seconds=time.monotonic())
    connection.execute(
        insert(SUBMISSIONS).values(
            id=intent.id,
            environment=books.environment,
            case_id=record.id,
            decision_id=decision_id,
            fence=record.fence,
            intent_at=now,
        )
    )
    return intent, _entry(record, "submission_intended", now, {"id": intent.id, "decision": decision})


def intend_again(books: Books, record: CaseRecord) -> Intent:
    """Write another intent for the decision that is recorded: the identical one is all that can be sent.

    Raises:
        LeaseLost: Another worker has claimed the case since.

    """
    now = books.now()
    with books.writing() as connection:
        change_claimed(connection, record, {"state": CaseState.SUBMITTED, "submitted_at": now})
        decision_id = connection.scalar(select(DECISIONS.c.id).where(DECISIONS.c.case_id == record.id))
        if decision_id is None:
            raise RuntimeError(
                f"case {record.id} is {record.state} but has no decision: the ledger was changed"
            )
        intent, entry = intend(connection, books, record, decision_id, now)
        append(connection, books.environment, [entry])
        return intent


def record_answer(
    books: Books, record: CaseRecord, intent: Intent, answer: Answer, *, again_after: timedelta
) -> None:
    """Record an answer that did not end the case, which is taken up again after `again_after`.

    Raises:
        LeaseLost: Another worker has claimed the case since.

    """
    now = books.now()
    with books.writing() as connection:
        change_claimed(
            connection, record, {"next_at": now + again_after, "lease_until": None, "note": answer.told}
        )
        append(connection, books.environment, [answer_entry(connection, record, intent, answer, now)])


def answer_entry(
    connection: Connection, record: CaseRecord, intent: Intent, answer: Answer, now: datetime
) -> Entry:
    """Write an answer within the caller's transaction, and return its entry for the chain."""
    if answer.known:
        connection.execute(
            update(SUBMISSIONS)
            .where(SUBMISSIONS.c.id == intent.id)
            .values(answered_at=now, answer=answer.told, status=answer.status)
        )
    return _entry(
        record, "submission_answered", now, {"id": intent.id, "answer": answer.told, "status": answer.status}
    )


def _entry(record: CaseRecord, kind: str, at: datetime, body: dict[str, str | int | None]) -> Entry:
    return Entry(kind=kind, case_id=record.id, settlement_id=record.settlement_id, at=at, body=body)
