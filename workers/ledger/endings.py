"""Endings: a case ends once, with its reason; if another flag came meanwhile, the next case opens with it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, update

from workers.cases import CaseState, Pause, Reading
from workers.ledger.books import Books, LeaseLost
from workers.ledger.chain import Entry, append
from workers.ledger.columns import new_id
from workers.ledger.opened import open_case
from workers.ledger.record import CaseRecord
from workers.ledger.submissions import Answer, Intent, answer_entry
from workers.ledger.tables import CASES, REVIEWS, SUBMISSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a case ends: its last state, one line for people, and what KeyStone showed.

    `pause` is given where the case turned out to be about another pause than the one that was judged.
    """

    state: CaseState
    note: str
    reading: Reading | None = None
    repeat_of: str | None = None
    pause: Pause | None = None
    answered: tuple[Intent, Answer] | None = None


def end_case(books: Books, record: CaseRecord, ending: Ending) -> None:
    """End a case.

    Raises:
        LeaseLost: Another worker has claimed the case since.

    """
    now = books.now()
    with books.writing() as connection:
        row = _ended(connection, record, ending, now)
        entries = []
        if ending.answered:
            entries.append(answer_entry(connection, record, *ending.answered, now))
        _close_what_hangs_on_it(connection, record, ending, now)
        entries.append(_entry(record, ending, now))
        append(connection, books.environment, entries)
        if row.flags_seen > row.flags_read:
            _open_next(connection, books, row, now)


def _ended(connection: Connection, record: CaseRecord, ending: Ending, now: datetime) -> Row[Any]:
    row = connection.execute(
        update(CASES)
        .where(CASES.c.id == record.id, CASES.c.fence == record.fence, CASES.c.ended_at.is_(None))
        .values(
            state=ending.state,
            note=ending.note,
            repeat_of=ending.repeat_of,
            ended_at=now,
            lease_until=None,
            **_pause_of(ending),
        )
        .returning(CASES)
    ).one_or_none()
    if row is None:
        raise LeaseLost(f"case {record.id} was claimed by another worker: it is not ended here")
    return row


def _pause_of(ending: Ending) -> dict[str, Any]:
    """Give the pause back that a superseded case never had: the next flag may really be about it."""
    if ending.state is CaseState.SUPERSEDED:
        return {"pause_sequence": None}
    if ending.pause is not None:
        return {"pause_sequence": ending.pause.sequence, "pause_hash": ending.pause.content_hash}
    return {}


def _close_what_hangs_on_it(
    connection: Connection, record: CaseRecord, ending: Ending, now: datetime
) -> None:
    connection.execute(
        update(REVIEWS)
        .where(REVIEWS.c.case_id == record.id, REVIEWS.c.closed_at.is_(None))
        .values(closed_at=now)
    )
    connection.execute(
        update(SUBMISSIONS)
        .where(SUBMISSIONS.c.case_id == record.id, SUBMISSIONS.c.answered_at.is_(None))
        .values(answered_at=now, answer=f"read:{ending.state}")
    )


def _entry(record: CaseRecord, ending: Ending, now: datetime) -> Entry:
    reading = ending.reading
    return Entry(
        kind="case_ended",
        case_id=record.id,
        settlement_id=record.settlement_id,
        at=now,
        body={
            "state": ending.state,
            "note": ending.note,
            "repeat_of": ending.repeat_of,
            "shown": None if reading is None else reading.shown,
            "shown_by_us": None if reading is None else reading.by_us,
            "keystone_sequence": None if reading is None else reading.sequence,
        },
    )


def _open_next(connection: Connection, books: Books, row: Row[Any], now: datetime) -> None:
    """Open a case for the flag that came after this one was judged: it may be about another pause."""
    open_case(
        connection,
        books,
        {
            "id": new_id("case"),
            "environment": books.environment,
            "settlement_id": row.settlement_id,
            "event": row.event,
            "flag_state": row.flag_state,
            "state": CaseState.OPENED,
            "flags_seen": 1,
            "flags_read": 0,
            "next_at": now,
            "flag_received_at": now,
            "opened_at": now,
        },
        now,
    )
