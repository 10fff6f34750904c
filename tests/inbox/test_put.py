"""What the script writes: journal, mark, message, queue and bell together, and never twice."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import redis
import redis.asyncio

from tests.inbox.stored import Stored
from tests.services.valkey import ValkeyDatabases, ValkeyServer
from workers.inbox import Delivery, Inbox, Put
from workers.inbox.names import JOURNAL, PENDING
from workers.inbox.put import MAX_GROUP, RINGS_KEPT

RECEIVED_AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


@pytest.fixture
def stored(valkey: ValkeyDatabases) -> Iterator[Stored]:
    with valkey.client() as client:
        yield Stored(client)


def delivery(event_key: str, body: bytes = b"{}") -> Delivery:
    return Delivery(str(uuid4()), "development", "keystone", event_key, RECEIVED_AT, body)


def put(url: str, *groups: Sequence[Delivery]) -> list[list[Put]]:
    async def go() -> list[list[Put]]:
        async with redis.asyncio.Redis.from_url(url) as client:
            inbox = Inbox(client)
            return [await inbox.put(group) for group in groups]

    return asyncio.run(go())


def test_an_event_is_in_the_journal_and_in_the_queue(valkey: ValkeyDatabases, stored: Stored) -> None:
    body = b'{"event": "\xff\x00not even text"}'
    one = delivery("key-1", body)

    assert put(valkey.url, [one]) == [[Put.ACCEPTED]]

    [entry] = stored.journal()
    assert entry.fields == {
        "id": one.event_id.encode(),
        "environment": b"development",
        "endpoint": b"keystone",
        "event_key": b"key-1",
        "received_at": b"2026-01-02T03:04:05.678000+00:00",
        "body": body,
    }
    assert stored.pending() == {"key-1": entry.id}
    assert stored.queued() == [one.event_id]
    message = stored.message(one.event_id)
    assert message["args"] == [entry.id, one.event_id]
    assert message["message_timestamp"] == 1767323045678
    assert stored.rings() == 1


def test_a_repeat_of_an_event_that_waits_is_merged(valkey: ValkeyDatabases, stored: Stored) -> None:
    groups = [delivery("a"), delivery("b"), delivery("a")], [delivery("b"), delivery("c")]

    assert put(valkey.url, *groups) == [
        [Put.ACCEPTED, Put.ACCEPTED, Put.MERGED],
        [Put.MERGED, Put.ACCEPTED],
    ]

    assert len(stored.journal()) == len(stored.queued()) == 3


def test_a_repeat_that_comes_during_the_work_is_a_new_event(valkey: ValkeyDatabases, stored: Stored) -> None:
    put(valkey.url, [delivery("a")])
    stored.client.hdel(PENDING, "a")

    assert put(valkey.url, [delivery("a")]) == [[Put.ACCEPTED]]
    assert len(stored.journal()) == 2


def test_a_mark_that_was_left_behind_swallows_no_event(valkey: ValkeyDatabases, stored: Stored) -> None:
    put(valkey.url, [delivery("a")])
    stored.client.delete(JOURNAL)

    assert put(valkey.url, [delivery("a")]) == [[Put.ACCEPTED]]
    assert len(stored.journal()) == 1


def test_a_group_whose_reply_was_lost_is_not_put_again(valkey: ValkeyDatabases, stored: Stored) -> None:
    """The worst order: executed, reply lost, events taken and marks removed, and only then sent again."""

    class LosesTheFirstReply(redis.asyncio.Redis):
        lost = False

        async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's own.
            reply = await self.really(*args, **options)
            if args[0] == "EVALSHA" and not self.lost:
                self.lost = True
                stored.client.delete(PENDING)
                return await self.really(*args, **options)
            return reply

        really: Any = redis.asyncio.Redis.execute_command

    async def go() -> list[Put]:
        async with LosesTheFirstReply.from_url(valkey.url) as lossy:
            return await Inbox(lossy).put([delivery("a"), delivery("b"), delivery("a")])

    assert asyncio.run(go()) == [Put.ACCEPTED, Put.ACCEPTED, Put.MERGED]
    assert len(stored.journal()) == len(stored.queued()) == 2


def test_groups_put_at_the_same_time_all_arrive(valkey: ValkeyDatabases, stored: Stored) -> None:
    async def go() -> list[list[Put]]:
        async with redis.asyncio.Redis.from_url(valkey.url) as shared:
            inbox = Inbox(shared)
            return await asyncio.gather(*(inbox.put([delivery(f"key-{n}")]) for n in range(20)))

    assert asyncio.run(go()) == [[Put.ACCEPTED]] * 20
    assert len(stored.queued()) == 20


def test_two_senders_do_not_mistake_each_other(valkey: ValkeyDatabases, stored: Stored) -> None:
    assert put(valkey.url, [delivery("a")]) == put(valkey.url, [delivery("b")]) == [[Put.ACCEPTED]]
    assert len(stored.queued()) == 2


def test_a_full_group_fits_and_keeps_few_rings(valkey: ValkeyDatabases, stored: Stored) -> None:
    group = [delivery(f"key-{n}", b"x" * 100) for n in range(MAX_GROUP)]

    assert put(valkey.url, group) == [[Put.ACCEPTED] * MAX_GROUP]

    assert stored.queued() == [each.event_id for each in group]
    assert stored.rings() == RINGS_KEPT


def test_a_group_that_is_too_big_is_refused_and_none_is_nothing(
    valkey: ValkeyDatabases, stored: Stored
) -> None:
    with pytest.raises(ValueError, match="at most 256"):
        put(valkey.url, [delivery(str(n)) for n in range(MAX_GROUP + 1)])
    assert put(valkey.url, []) == [[]]
    assert stored.keys() == []


def test_a_server_that_is_out_of_memory_takes_nothing(own_valkey: ValkeyServer) -> None:
    with own_valkey.client() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            put(own_valkey.url(), [delivery("a"), delivery("b")])
        assert Stored(client).keys() == []
        client.config_set("maxmemory", 0)
        assert put(own_valkey.url(), [delivery("a")]) == [[Put.ACCEPTED]]
