"""Suspicions: a case that was found by age alone, and what becomes of it when a flag comes after all."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, select, update
from sqlalchemy.exc import IntegrityError

from countersign.keystone.events import Event
from workers.cases import FOUND_BY_AGE, CaseState
from workers.ledger.books import Books
from workers.ledger.columns import new_id
from workers.ledger.opened import open_case
from workers.ledger.tables import CASES, REVIEWS


def open_suspected(books: Books, settlement_id: str, since: datetime) -> str | None:
    """Open a case for a settlement that nobody flagged, unless one has been opened since it came there."""
    now = books.now()
    ours = (CASES.c.environment == books.environment) & (CASES.c.settlement_id == settlement_id)
    try:
        with books.writing() as connection:
            known = exists().where(ours, CASES.c.ended_at.is_(None) | (CASES.c.opened_at >= since))
            if connection.scalar(select(known)):
                return None
            case_id = new_id("case")
            open_case(connection, books, _suspected(books, case_id, settlement_id, now), now)
            return case_id
    except IntegrityError:
        return None  # Its flag came at this very moment, and has opened the case.


def flag_came(
    connection: Connection, case_id: str, event: Event, received_at: datetime, now: datetime
) -> None:
    """Let a suspected case be judged anew as the flagged one that it is now."""
    joined = connection.execute(
        update(CASES)
        .where(CASES.c.id == case_id, CASES.c.state == CaseState.SUSPECTED)
        .values(
            state=CaseState.OPENED,
            event=event.name,
            flag_state=event.state,
            flag_received_at=received_at,
            next_at=now,
        )
    )
    if joined.rowcount:
        connection.execute(
            update(REVIEWS)
            .where(REVIEWS.c.case_id == case_id, REVIEWS.c.closed_at.is_(None))
            .values(closed_at=now)
        )


def _suspected(books: Books, case_id: str, settlement_id: str, now: datetime) -> dict[str, Any]:
    return {
        "id": case_id,
        "environment": books.environment,
        "settlement_id": settlement_id,
        "event": FOUND_BY_AGE,
        "flag_state": None,
        "state": CaseState.OPENED,
        "flags_seen": 0,
        "flags_read": 0,
        "next_at": now,
        "flag_received_at": now,
        "opened_at": now,
    }
