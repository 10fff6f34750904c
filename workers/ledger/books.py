"""What every ledger function needs: the database, the keys, whose environment it is, and the clock."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine

from workers.ledger.personal import PersonalData

DEFAULT_LEASE = timedelta(seconds=10)


def utc_now() -> datetime:
    """Return the time now, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """An open ledger of one environment. `lease` is how long a claim on a case holds without renewal."""

    engine: Engine
    personal: PersonalData
    environment: str
    lease: timedelta = DEFAULT_LEASE
    now: Callable[[], datetime] = utc_now
    turn: AbstractContextManager[object] = field(init=False)

    def __post_init__(self) -> None:
        """Let this process's threads write one after the other on SQLite, and as they like elsewhere.

        SQLite has one writer, and a second one sleeps and tries again: a queue is both quicker and fairer.
        """
        one_writer = self.engine.dialect.name == "sqlite"
        object.__setattr__(self, "turn", threading.Lock() if one_writer else nullcontext())

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run one transaction: it commits at the end of the block, or not at all."""
        with self.turn, self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read outside any transaction, and so without waiting for writers."""
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")


class LeaseLost(Exception):
    """Another worker has claimed the case since: whatever this one was about to write is void."""
