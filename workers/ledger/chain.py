"""The hash chain: each entry's hash covers the entry before it, so that nothing can be changed unseen."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from workers.ledger.canonical import canonical, sha256_of
from workers.ledger.tables import CHAIN_HEADS, ENTRIES

GENESIS = "0" * 64
PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened to a case, before it has its place in the chain."""

    kind: str
    case_id: str
    settlement_id: str
    at: datetime
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLink:
    """Where a chain stops being what was written, and what is wrong there."""

    environment: str
    position: int
    problem: str


def append(connection: Connection, environment: str, entries: Iterable[Entry]) -> None:
    """Add entries to the chain within the caller's transaction.

    The head's row stays locked until the commit, so call this last: nothing slow may come after it.
    """
    head = connection.execute(
        select(CHAIN_HEADS.c.position, CHAIN_HEADS.c.hash)
        .where(CHAIN_HEADS.c.environment == environment)
        .with_for_update()
    ).one_or_none()
    position, previous = head or (0, GENESIS)
    rows = []
    for entry in entries:
        position += 1
        body = canonical(entry.body)
        link = _hash(environment, position, previous, entry, body)
        rows.append(
            {
                "environment": environment,
                "position": position,
                "kind": entry.kind,
                "case_id": entry.case_id,
                "settlement_id": entry.settlement_id,
                "at": entry.at,
                "body": body,
                "previous_hash": previous,
                "hash": link,
            }
        )
        previous = link
    connection.execute(insert(ENTRIES), rows)
    if head:
        connection.execute(
            update(CHAIN_HEADS)
            .where(CHAIN_HEADS.c.environment == environment)
            .values(position=position, hash=previous)
        )
    else:
        connection.execute(
            insert(CHAIN_HEADS).values(environment=environment, position=position, hash=previous)
        )


def broken_links(connection: Connection) -> list[BrokenLink]:
    """Walk every chain from its start and name the first broken link of each; none is a whole chain."""
    found = []
    for head in connection.execute(select(CHAIN_HEADS).order_by("environment")):
        problem = _first_broken(connection, head.environment, head.position, head.hash)
        if problem:
            found.append(problem)
    return found


def chain_lengths(connection: Connection) -> dict[str, int]:
    """Count the entries of each environment's chain."""
    rows = connection.execute(select(CHAIN_HEADS.c.environment, CHAIN_HEADS.c.position))
    return {row.environment: row.position for row in rows}


def _first_broken(connection: Connection, environment: str, last: int, last_hash: str) -> BrokenLink | None:
    previous, walked = GENESIS, 0
    for expected, row in enumerate(_entries(connection, environment, last), start=1):
        problem = _problem(environment, expected, previous, row)
        if problem:
            return BrokenLink(environment=environment, position=expected, problem=problem)
        previous, walked = row.hash, expected
    if last and (walked, previous) != (last, last_hash):
        return BrokenLink(environment=environment, position=walked + 1, problem="newer entries are missing")
    return None


def _entries(connection: Connection, environment: str, last: int) -> Iterator[Row[Any]]:
    """Read the entries up to the head, page by page: a chain may be longer than memory, and is growing."""
    after = 0
    while True:
        page = connection.execute(
            select(ENTRIES)
            .where(
                ENTRIES.c.environment == environment,
                ENTRIES.c.position > after,
                ENTRIES.c.position <= last,
            )
            .order_by(ENTRIES.c.position)
            .limit(PAGE)
        ).all()
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].position


def _problem(environment: str, expected: int, previous: str, row: Row[Any]) -> str | None:
    entry = Entry(kind=row.kind, case_id=row.case_id, settlement_id=row.settlement_id, at=row.at, body={})
    if row.position != expected:
        return f"entry {expected} is missing"
    if row.previous_hash != previous:
        return "it does not follow the entry before it"
    if row.hash != _hash(environment, row.position, previous, entry, row.body):
        return "its content was changed"
    return None


def _hash(environment: str, position: int, previous: str, entry: Entry, body: str) -> str:
    return sha256_of(
        canonical(
            {
                "environment": environment,
                "position": position,
                "previous": previous,
                "kind": entry.kind,
                "case_id": entry.case_id,
                "settlement_id": entry.settlement_id,
                "at": entry.at,
                "body_sha256": sha256_of(body),
            }
        )
    )
