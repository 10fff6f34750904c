"""The sweep gives back what was left lying, and only one process at a time does it."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
import redis.asyncio
from prometheus_client import CollectorRegistry
from redis import Redis

from tests.ledger.making import FLAGGED
from tests.services.valkey import ValkeyDatabases
from tests.workers.one_case import OneCase
from workers.inbox import Delivery, Inbox
from workers.intake import Intake
from workers.journal import Journal, JournalEntry
from workers.ledger import listing
from workers.ledger.record import CaseRecord
from workers.metrics import WorkerMetrics
from workers.sweep import Sweep

BODY = b'{"event":"%s","data":{"settlement_id":"stl-1","state":"COMPLIANCE_CHECKING"}}' % FLAGGED.encode()
SECONDS = timedelta(seconds=1)


class Swept:
    """A ledger, a journal and a sweep between them, on a clock that the test moves."""

    def __init__(self, one: OneCase, valkey: ValkeyDatabases, client: Redis) -> None:
        self.one, self._valkey, self.client, self._journal = one, valkey, client, Journal(client)
        self.woken: list[str] = []
        self.sweep = self.another("first")

    def another(self, holder: str) -> Sweep:
        metrics = WorkerMetrics(CollectorRegistry())
        return Sweep(
            intake=Intake(self._journal, self.one.books, metrics),
            books=self.one.books,
            wake=self.woken.append,
            metrics=metrics,
            holder=holder,
            interval=SECONDS,
            left_after=5 * SECONDS,
        )

    def receive(self, *environments: str) -> None:
        async def run() -> None:
            async with redis.asyncio.Redis.from_url(self._valkey.url) as client:
                for environment in environments:
                    key = str(uuid4())
                    delivery = Delivery(str(uuid4()), environment, "main", key, self.one.time, BODY)
                    await Inbox(client).put([delivery])

        asyncio.run(run())

    def journal_length(self) -> int:
        with self._valkey.client() as client:
            return int(client.xlen("countersign:journal"))


@pytest.fixture
def swept(one: OneCase, valkey: ValkeyDatabases) -> Iterator[Swept]:
    # The journal's ids carry the true time, so the ledger's clock is set far ahead of it.
    one.time = one.time.replace(year=2100)
    with valkey.client() as client:
        yield Swept(one, valkey, client)


def test_an_event_that_no_worker_took_is_taken_and_its_case_given_to_a_worker(swept: Swept) -> None:
    swept.receive("test")

    swept.sweep.sweep()

    cases, total = listing.list_cases(swept.one.books, limit=0)
    assert total == 1
    assert swept.woken == [cases[0]["case_id"]]
    assert swept.journal_length() == 0


def test_events_of_another_environment_stay_and_hold_nobody_up(swept: Swept) -> None:
    swept.receive(*["other"] * 3, "test")

    swept.sweep.sweep()

    assert listing.list_events(swept.one.books, limit=0)[1] == 1
    assert swept.journal_length() == 3


def test_an_event_that_cannot_be_taken_stays_and_holds_nobody_up(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept.receive("test", "test")
    first = next(iter(Journal(swept.client).leftovers(older_than=SECONDS, now=swept.one.time)))
    take = Intake.take

    def fail_for_the_first(self: Intake, entry: JournalEntry, *, by: str) -> CaseRecord | None:
        if entry == first:
            raise ZeroDivisionError
        return take(self, entry, by=by)

    monkeypatch.setattr(Intake, "take", fail_for_the_first)

    swept.sweep.sweep()

    assert len(swept.woken) == 1
    assert swept.journal_length() == 1


def test_a_due_case_is_woken_and_not_again_at_once(swept: Swept) -> None:
    swept.receive("test")
    swept.sweep.sweep()
    swept.one.time += SECONDS

    swept.sweep.sweep()

    assert len(swept.woken) == 1


def test_one_process_sweeps_and_another_takes_over_when_it_is_gone(swept: Swept) -> None:
    other = swept.another("second")
    swept.sweep.sweep()
    swept.receive("test")

    other.sweep()
    assert swept.woken == []

    swept.one.time += 4 * SECONDS
    other.sweep()
    assert len(swept.woken) == 1
