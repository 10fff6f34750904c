"""The contract with Dramatiq: a stock broker and worker consume what our script wrote, each once."""

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import dramatiq
import redis.asyncio
from dramatiq.brokers.redis import RedisBroker

from tests.inbox.stored import Stored
from tests.services.valkey import ValkeyDatabases
from workers.inbox import Delivery, Inbox
from workers.inbox.names import EVENTS_QUEUE, NAMESPACE, TAKE_EVENT

EVENTS = 300


def delivery(event_key: str) -> Delivery:
    return Delivery(str(uuid4()), "development", "keystone", event_key, datetime.now(UTC), b"{}")


def test_a_stock_worker_consumes_each_message_once(valkey: ValkeyDatabases) -> None:
    events = [delivery(f"key-{n}") for n in range(EVENTS)]
    taken: Counter[tuple[str, str]] = Counter()
    all_taken = threading.Event()

    def take_event(entry_id: str, event_id: str) -> None:
        taken[entry_id, event_id] += 1
        if taken.total() >= EVENTS:
            all_taken.set()

    with valkey.client() as client:
        broker: Any = RedisBroker(client=client, namespace=NAMESPACE)  # type: ignore[no-untyped-call] # Dramatiq's.
        dramatiq.actor(actor_name=TAKE_EVENT, queue_name=EVENTS_QUEUE, broker=broker)(take_event)
        worker = dramatiq.Worker(broker, worker_threads=4, worker_timeout=50)
        worker.start()
        try:
            asyncio.run(put_in_groups(valkey.url, events))
            assert all_taken.wait(30)
            broker.join(EVENTS_QUEUE, timeout=30_000)
        finally:
            worker.stop()
        journal = {(entry.id, entry.event_id) for entry in Stored(client).journal()}

    assert {event_id for _, event_id in journal} == {event.event_id for event in events}
    assert taken == dict.fromkeys(journal, 1)


async def put_in_groups(url: str, events: list[Delivery]) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        inbox = Inbox(client)
        for start in range(0, len(events), 100):
            await inbox.put(events[start : start + 100])


def test_our_message_is_what_dramatiq_would_have_written(valkey: ValkeyDatabases) -> None:
    event = delivery("key")
    asyncio.run(put_in_groups(valkey.url, [event]))

    with valkey.client() as client:
        stored = Stored(client)
        [entry] = stored.journal()
        ours = stored.raw_message(event.event_id)
    theirs: dramatiq.Message[None] = dramatiq.Message(
        queue_name=EVENTS_QUEUE,
        actor_name=TAKE_EVENT,
        args=(entry.id, event.event_id),
        kwargs={},
        options={"redis_message_id": event.event_id},
        message_id=event.event_id,
        message_timestamp=int(event.received_at.timestamp() * 1000),
    )
    assert ours == theirs.encode()


def test_the_door_imports_neither_dramatiq_nor_sql_nor_litestar() -> None:
    code = (
        "import sys, workers.inbox, workers.inbox.names, workers.inbox.message;"
        "print({name.partition('.')[0] for name in sys.modules}"
        " & {'dramatiq', 'litestar', 'sqlalchemy', 'sqlmodel', 'alembic', 'httpx', 'jwt'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
