"""Claims: who works on a case right now. A claim is a compare-and-set with a fence and a lease.

Every later write of the same work names its fence: after somebody else's claim it changes nothing and raises
`LeaseLost`. So a frozen worker that wakes up can't overwrite what its successor recorded.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, or_, select, update

from workers.cases import CaseState
from workers.ledger.books import Books, LeaseLost
from workers.ledger.record import CaseRecord, record_of
from workers.ledger.tables import CASES, SUBMISSIONS


def claim(books: Books, case_id: str) -> CaseRecord | None:
    """Claim a case that is due and nobody's. None means that there is nothing to do for this caller.

    The attempt is counted here, before the work, so that a case that kills its worker can be told.
    """
    now = books.now()
    free = or_(CASES.c.lease_until.is_(None), CASES.c.lease_until <= now)
    with books.writing() as connection:
        row = connection.execute(
            update(CASES)
            .where(CASES.c.id == case_id, CASES.c.ended_at.is_(None), CASES.c.next_at <= now, free)
            .values(
                fence=CASES.c.fence + 1,
                attempts=CASES.c.attempts + 1,
                flags_read=_flags_read(),
                lease_until=now + books.lease,
                next_at=now + books.lease,
            )
            .returning(CASES)
        ).one_or_none()
        if row is None:
            return None
        return record_of(row, _unanswered_since(connection, case_id))


def renew(books: Books, fences: Mapping[str, int]) -> None:
    """Extend the leases of cases in hand, by id and fence; a case claimed by another stays theirs."""
    until = books.now() + books.lease
    with books.writing() as connection:
        for case_id, fence in fences.items():
            connection.execute(
                update(CASES)
                .where(CASES.c.id == case_id, CASES.c.fence == fence, CASES.c.ended_at.is_(None))
                .values(lease_until=until, next_at=until)
            )


def postpone(books: Books, record: CaseRecord, after: timedelta, note: str) -> None:
    """Give a case back, to be taken up again after a while.

    Raises:
        LeaseLost: Another worker has claimed it since.

    """
    with books.writing() as connection:
        change_claimed(
            connection, record, {"next_at": books.now() + after, "lease_until": None, "note": note}
        )


def due_cases(books: Books, *, most: int) -> Sequence[str]:
    """Take the cases that are due and nobody's, to wake a worker for each.

    Each is put off by a lease, so that the next sweep does not wake a second worker for it, and so that a
    wake-up that gets lost is repeated.
    """
    now = books.now()
    with books.writing() as connection:
        due = (
            select(CASES.c.id)
            .where(
                CASES.c.environment == books.environment,
                CASES.c.ended_at.is_(None),
                CASES.c.next_at <= now,
                or_(CASES.c.lease_until.is_(None), CASES.c.lease_until <= now),
                or_(CASES.c.woken_at.is_(None), CASES.c.woken_at <= now - books.lease),
            )
            .order_by(CASES.c.next_at)
            .limit(most)
        )
        ids = list(connection.scalars(due.with_for_update(skip_locked=True)))
        if ids:
            connection.execute(update(CASES).where(CASES.c.id.in_(ids)).values(woken_at=now))
        return ids


def change_claimed(connection: Connection, record: CaseRecord, values: Mapping[str, Any]) -> None:
    """Change a case on the strength of this claim.

    Raises:
        LeaseLost: Another worker has claimed it since, or it has ended.

    """
    changed = connection.execute(
        update(CASES)
        .where(CASES.c.id == record.id, CASES.c.fence == record.fence, CASES.c.ended_at.is_(None))
        .values(**values)
    )
    if changed.rowcount != 1:
        raise LeaseLost(f"case {record.id} was claimed by another worker: nothing was written")


def _flags_read() -> ColumnElement[int]:
    # Only a case that is about to be judged reads for every flag that has come. A flag that joined a case
    # later may be for another pause, and is read again when this case has ended.
    return case((CASES.c.state == CaseState.OPENED, CASES.c.flags_seen), else_=CASES.c.flags_read)


def _unanswered_since(connection: Connection, case_id: str) -> datetime | None:
    since: datetime | None = connection.scalar(
        select(func.max(SUBMISSIONS.c.intent_at)).where(
            SUBMISSIONS.c.case_id == case_id, SUBMISSIONS.c.answered_at.is_(None)
        )
    )
    return since
