"""An open ledger on each database, with a clock that the test moves."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from workers.ledger import migrate
from workers.ledger.books import Books
from workers.ledger.engine import ledger_engine
from workers.ledger.personal import PersonalData


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, seconds: float) -> datetime:
        self.time += timedelta(seconds=seconds)
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def books(database_url: str, clock: Clock) -> Iterator[Books]:
    engine = ledger_engine(database_url)
    migrate.upgrade(engine)
    yield Books(
        engine=engine,
        personal=PersonalData([os.urandom(32)]),
        environment="test",
        lease=timedelta(seconds=10),
        now=clock,
    )
    engine.dispose()
