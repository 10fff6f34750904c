"""Intake: an event enters the ledger, and a flag opens a case or joins the one that is open."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from countersign.keystone.events import Event
from workers.cases import CaseState, moves_forward
from workers.ledger.books import Books
from workers.ledger.canonical import sha256_of
from workers.ledger.columns import new_id
from workers.ledger.inserting import insert_if_new
from workers.ledger.opened import open_case
from workers.ledger.record import CaseRecord, record_of
from workers.ledger.suspicions import flag_came
from workers.ledger.tables import CASES, EVENTS, SETTLEMENTS

UNREADABLE = "(unreadable)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """A verified event out of the journal. `event` is None where its body can't be read as one."""

    id: str
    endpoint: str
    event_key: str
    received_at: datetime
    body: bytes
    event: Event | None


def take(books: Books, received: ReceivedEvent) -> CaseRecord | None:
    """Record an event, once. Return the case that it opened, already claimed, if it opened one.

    The whole of it is one commit: after it, the journal may forget the event.
    """
    try:
        return _take(books, received)
    except IntegrityError:
        # Two flags of one settlement were taken at the same moment, and the other one opened the case:
        # this one now finds it and joins.
        return _take(books, received)


def _take(books: Books, received: ReceivedEvent) -> CaseRecord | None:
    now = books.now()
    with books.writing() as connection:
        if not _recorded(connection, books, received, now):
            return None
        event = received.event
        if event is None or event.settlement_id is None:
            return None
        _move_settlement(connection, books, event, now)
        if event.is_flag:
            return _open_or_join(connection, books, received, event, now)
        _wake_waiting_case(connection, books, event.settlement_id, now)
        return None


def _recorded(connection: Connection, books: Books, received: ReceivedEvent, now: datetime) -> bool:
    event = received.event
    values = {
        "id": received.id,
        "environment": books.environment,
        "endpoint": received.endpoint,
        "event_key": received.event_key,
        "name": event.name if event else UNREADABLE,
        "is_flag": bool(event and event.is_flag),
        "settlement_id": event.settlement_id if event else None,
        "state": event.state if event else None,
        "previous_state": event.previous_state if event else None,
        "occurred_at": event.occurred_at if event else None,
        "received_at": received.received_at,
        "recorded_at": now,
        "body_sealed": books.personal.seal(received.body, received.id),
        "body_sha256": sha256_of(received.body),
    }
    return insert_if_new(connection, EVENTS, values)


def _move_settlement(connection: Connection, books: Books, event: Event, now: datetime) -> None:
    if event.state is None:
        return
    mine = (SETTLEMENTS.c.environment == books.environment) & (
        SETTLEMENTS.c.settlement_id == event.settlement_id
    )
    known = connection.execute(select(SETTLEMENTS).where(mine).with_for_update()).one_or_none()
    values = {"state": event.state, "state_at": event.occurred_at, "updated_at": now}
    if known is None:
        key = {"environment": books.environment, "settlement_id": event.settlement_id}
        insert_if_new(connection, SETTLEMENTS, key | values)
    elif moves_forward(known.state, known.state_at, event.previous_state, event.occurred_at):
        connection.execute(update(SETTLEMENTS).where(mine).values(**values))


def _open_or_join(
    connection: Connection, books: Books, received: ReceivedEvent, event: Event, now: datetime
) -> CaseRecord | None:
    if _join(connection, books, received, event, now):
        return None
    lease_until = now + books.lease
    values = {
        "id": new_id("case"),
        "environment": books.environment,
        "settlement_id": event.settlement_id,
        "event": event.name,
        "flag_state": event.state,
        "state": CaseState.OPENED,
        "flags_seen": 1,
        "flags_read": 1,
        "attempts": 1,
        "fence": 1,
        "next_at": lease_until,
        "lease_until": lease_until,
        "flag_received_at": received.received_at,
        "opened_at": now,
    }
    open_case(connection, books, values, now)
    connection.execute(update(EVENTS).where(EVENTS.c.id == received.id).values(case_id=values["id"]))
    return record_of(connection.execute(select(CASES).where(CASES.c.id == values["id"])).one())


def _join(connection: Connection, books: Books, received: ReceivedEvent, event: Event, now: datetime) -> bool:
    row = connection.execute(
        update(CASES)
        .where(_open_case(books, event.settlement_id))
        .values(flags_seen=CASES.c.flags_seen + 1)
        .returning(CASES.c.id)
    ).one_or_none()
    if row is None:
        return False
    held = CASES.c.state == CaseState.HELD
    connection.execute(update(CASES).where(CASES.c.id == row.id, held).values(next_at=now))
    flag_came(connection, row.id, event, received.received_at, now)
    connection.execute(update(EVENTS).where(EVENTS.c.id == received.id).values(case_id=row.id))
    return True


def _wake_waiting_case(connection: Connection, books: Books, settlement_id: str, now: datetime) -> None:
    """Have a held case look at KeyStone again: the event may say that somebody else decided it."""
    waiting = CASES.c.state.in_([CaseState.HELD, CaseState.SUSPECTED])
    connection.execute(update(CASES).where(_open_case(books, settlement_id), waiting).values(next_at=now))


def _open_case(books: Books, settlement_id: str | None) -> Any:  # noqa: ANN401 - an SQL expression.
    return (
        (CASES.c.environment == books.environment)
        & (CASES.c.settlement_id == settlement_id)
        & CASES.c.ended_at.is_(None)
    )
