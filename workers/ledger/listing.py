"""Listing: the ledger's rows as plain data, for commands and scripts. Nothing personal is opened here."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from workers.ledger.books import Books
from workers.ledger.tables import CASES, ENTRIES, EVENTS, VOTES

CASE_FIELDS = (
    "environment",
    "settlement_id",
    "pause_sequence",
    "template",
    "state",
    "verdict",
    "why",
    "decision",
    "decided_by",
    "note",
    "repeat_of",
    "attempts",
    "timeout_at",
    "flag_received_at",
    "opened_at",
    "decided_at",
    "submitted_at",
    "ended_at",
)
VOTE_FIELDS = ("handler", "version", "outcome", "reason", "note", "mode", "required", "duration_ms")
EVENT_FIELDS = (
    "environment",
    "endpoint",
    "event_key",
    "name",
    "is_flag",
    "settlement_id",
    "state",
    "received_at",
    "recorded_at",
    "case_id",
    "body_sha256",
)


def list_cases(
    books: Books, *, limit: int, settlement_id: str | None = None, state: str | None = None
) -> tuple[list[dict[str, Any]], int]:
    """List cases with their votes, newest first, and count them all. A limit of 0 is none."""
    conditions = [CASES.c.environment == books.environment]
    if settlement_id is not None:
        conditions.append(CASES.c.settlement_id == settlement_id)
    if state is not None:
        conditions.append(CASES.c.state == state)
    with books.reading() as connection:
        rows, total = _page(connection, CASES, conditions, "id", limit)
        votes = _votes_of(connection, [row.id for row in rows])
    return [
        {"case_id": row.id, **_plain(row, CASE_FIELDS), "votes": votes.get(row.id, [])} for row in rows
    ], total


def list_events(
    books: Books, *, limit: int, settlement_id: str | None = None
) -> tuple[list[dict[str, Any]], int]:
    """List events, newest first, and count them all. A limit of 0 is none."""
    conditions = [EVENTS.c.environment == books.environment]
    if settlement_id is not None:
        conditions.append(EVENTS.c.settlement_id == settlement_id)
    with books.reading() as connection:
        rows, total = _page(connection, EVENTS, conditions, "recorded_at", limit)
    return [{"event_id": row.id, **_plain(row, EVENT_FIELDS)} for row in rows], total


def timeline(books: Books, case_id: str) -> list[dict[str, Any]]:
    """List what the chain tells of one case, in order."""
    with books.reading() as connection:
        rows = connection.execute(
            select(ENTRIES).where(ENTRIES.c.case_id == case_id).order_by(ENTRIES.c.position)
        )
        return [_plain(row, ("position", "at", "kind", "body", "hash")) for row in rows]


def _page(
    connection: Connection, table: Table, conditions: Sequence[Any], newest_by: str, limit: int
) -> tuple[Sequence[Row[Any]], int]:
    query = select(table).where(*conditions).order_by(table.c[newest_by].desc())
    rows = connection.execute(query.limit(limit) if limit else query).all()
    total = connection.scalar(select(func.count()).select_from(table).where(*conditions)) or 0
    return rows, total


def _votes_of(connection: Connection, case_ids: Sequence[str]) -> Mapping[str, list[dict[str, Any]]]:
    votes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for start in range(0, len(case_ids), 500):
        some = case_ids[start : start + 500]
        query = select(VOTES).where(VOTES.c.case_id.in_(some)).order_by(VOTES.c.handler)
        for row in connection.execute(query):
            votes[row.case_id].append(_plain(row, VOTE_FIELDS))
    return votes


def _plain(row: Row[Any], names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }
