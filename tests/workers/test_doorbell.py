"""The doorbell wakes an idle consumer at once, and changes nothing else of Dramatiq's contract."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import dramatiq
import pytest

from tests.services.valkey import ValkeyDatabases
from tests.services.waiting import eventually
from workers.doorbell import DoorbellBroker
from workers.inbox.names import ADVANCE_CASE, CASES_QUEUE, NAMESPACE, bell
from workers.wake import CaseWaker

Run = Counter[str]


@contextmanager
def worker(broker: DoorbellBroker, threads: int = 2) -> Iterator[None]:
    running = dramatiq.Worker(broker, worker_threads=threads)
    running.start()
    try:
        yield
    finally:
        running.stop()


@pytest.fixture
def broker(valkey: ValkeyDatabases) -> Iterator[DoorbellBroker]:
    with valkey.client() as client, valkey.client() as bell_client:
        yield DoorbellBroker(client=client, bell_client=bell_client, namespace=NAMESPACE, middleware=[])


def test_a_ring_starts_the_work_of_an_idle_worker_at_once(
    broker: DoorbellBroker, valkey: ValkeyDatabases
) -> None:
    ran_at: list[float] = []
    ran = threading.Event()

    def advance_case(_case_id: str) -> None:
        ran_at.append(time.monotonic())
        ran.set()

    dramatiq.actor(actor_name=ADVANCE_CASE, queue_name=CASES_QUEUE, broker=broker)(advance_case)
    with worker(broker), valkey.client() as client:
        eventually(lambda: blocked_consumers(valkey) >= 1, told="the consumer blocks on its bell")
        waker = CaseWaker(broker, client)
        waited = []
        for number in range(5):
            ran.clear()
            sent_at = time.monotonic()
            waker(f"case-{number}")
            assert ran.wait(5)
            waited.append(ran_at[-1] - sent_at)

    # Dramatiq's own consumer sleeps up to a second by then; the best of five is free of the machine's noise.
    assert min(waited) < 0.1


def test_each_message_is_run_once_however_many_there_are(
    broker: DoorbellBroker, valkey: ValkeyDatabases
) -> None:
    run: Run = Counter()

    def advance_case(case_id: str) -> None:
        run.update([case_id])

    dramatiq.actor(actor_name=ADVANCE_CASE, queue_name=CASES_QUEUE, broker=broker)(advance_case)
    with valkey.client() as client:
        waker = CaseWaker(broker, client)
        for number in range(300):
            waker(f"case-{number}")
        assert client.llen(bell(CASES_QUEUE)) <= 64
        with worker(broker, threads=4):
            eventually(lambda: run.total() >= 300, within_seconds=20)
            broker.join(CASES_QUEUE, timeout=10_000)

    assert run == Counter({f"case-{number}": 1 for number in range(300)})


def test_a_message_that_fails_is_gone_and_not_retried(
    broker: DoorbellBroker, valkey: ValkeyDatabases
) -> None:
    """Retries are in the ledger: Dramatiq's own lose a message when Redis is away at the wrong moment."""
    run: Run = Counter()

    def advance_case(case_id: str) -> None:
        run.update([case_id])
        if case_id == "bad":
            raise RuntimeError("made to fail")

    dramatiq.actor(actor_name=ADVANCE_CASE, queue_name=CASES_QUEUE, broker=broker)(advance_case)
    with worker(broker), valkey.client() as client:
        waker = CaseWaker(broker, client)
        waker("bad")
        waker("good")
        eventually(lambda: run.total() >= 2)
        broker.join(CASES_QUEUE, timeout=10_000)

    assert run == Counter(bad=1, good=1)


def blocked_consumers(valkey: ValkeyDatabases) -> int:
    with valkey.client() as client:
        return int(client.info("clients")["blocked_clients"])
