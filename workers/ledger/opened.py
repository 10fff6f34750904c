"""Opening a case: its row, and the first entry that the chain has of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from workers.ledger.books import Books
from workers.ledger.chain import Entry, append
from workers.ledger.tables import CASES


def open_case(connection: Connection, books: Books, values: dict[str, Any], now: datetime) -> None:
    """Insert a case within the caller's transaction, and put its opening into the chain."""
    connection.execute(insert(CASES).values(**values))
    opened = Entry(
        kind="case_opened",
        case_id=values["id"],
        settlement_id=values["settlement_id"],
        at=now,
        body={"event": values["event"], "flag_state": values["flag_state"]},
    )
    append(connection, books.environment, [opened])
