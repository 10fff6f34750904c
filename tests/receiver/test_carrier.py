"""Deliveries that come together share a round trip, and a lone one leaves at once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from receiver.carrier import Carrier
from receiver.tally import Tally
from tests.inbox.stored import Stored
from tests.services.valkey import ValkeyDatabases
from workers.inbox import Delivery, Inbox, Put
from workers.inbox.put import MAX_GROUP


class WatchedInbox(Inbox):
    """The real inbox, which notes the size of each group."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.groups: list[int] = []
        self.left = asyncio.Event()

    async def put(self, deliveries: Sequence[Delivery]) -> list[Put]:
        self.groups.append(len(deliveries))
        self.left.set()
        return await super().put(deliveries)


def delivery() -> Delivery:
    return Delivery(str(uuid4()), "development", "keystone", str(uuid4()), datetime.now(UTC), b"{}")


def carrier(inbox: Inbox) -> Carrier:
    return Carrier(inbox, 5, Tally(CollectorRegistry()))


def test_what_comes_together_goes_together(valkey: ValkeyDatabases) -> None:
    async def go() -> list[int]:
        async with Redis.from_url(valkey.url) as redis:
            inbox = WatchedInbox(redis)
            carried = carrier(inbox)
            puts = await asyncio.gather(*(carried.carry(delivery()) for _ in range(MAX_GROUP + 44)))
            assert set(puts) == {Put.ACCEPTED}
            return inbox.groups

    assert asyncio.run(go()) == [MAX_GROUP, 44]
    with valkey.client() as client:
        assert len(Stored(client).journal()) == MAX_GROUP + 44


def test_a_lone_delivery_leaves_at_once_and_those_that_come_meanwhile_form_the_next_group(
    valkey: ValkeyDatabases,
) -> None:
    async def go() -> list[int]:
        async with Redis.from_url(valkey.url) as redis:
            inbox = WatchedInbox(redis)
            carried = carrier(inbox)
            first = asyncio.create_task(carried.carry(delivery()))
            await inbox.left.wait()
            await asyncio.gather(first, *(carried.carry(delivery()) for _ in range(10)))
            await carried.carry(delivery())
            return inbox.groups

    assert asyncio.run(go()) == [1, 10, 1]


def test_one_that_goes_away_does_not_disturb_the_others(valkey: ValkeyDatabases) -> None:
    async def go() -> Put:
        async with Redis.from_url(valkey.url) as redis:
            carried = carrier(Inbox(redis))
            gone, stays = (asyncio.create_task(carried.carry(delivery())) for _ in range(2))
            await asyncio.sleep(0)
            gone.cancel()
            return await stays

    assert asyncio.run(go()) is Put.ACCEPTED


def test_a_mistake_of_ours_reaches_all_who_wait_and_the_next_goes_on(valkey: ValkeyDatabases) -> None:
    class Mistaken(Inbox):
        mistakes = 1

        async def put(self, deliveries: Sequence[Delivery]) -> list[Put]:
            if self.mistakes:
                self.mistakes -= 1
                raise ZeroDivisionError
            return await super().put(deliveries)

    async def go() -> None:
        async with Redis.from_url(valkey.url) as redis:
            carried = carrier(Mistaken(redis))
            both = await asyncio.gather(
                *(carried.carry(delivery()) for _ in range(2)), return_exceptions=True
            )
            assert [type(each) for each in both] == [ZeroDivisionError] * 2
            assert await carried.carry(delivery()) is Put.ACCEPTED

    asyncio.run(go())


def test_finish_waits_for_what_was_handed_over(valkey: ValkeyDatabases) -> None:
    async def go() -> bool:
        async with Redis.from_url(valkey.url) as redis:
            carried = carrier(Inbox(redis))
            task = asyncio.create_task(carried.carry(delivery()))
            await asyncio.sleep(0)
            await carried.finish()
            await asyncio.sleep(0)
            return task.done()

    assert asyncio.run(go())


@pytest.mark.parametrize("timeout_seconds", [0.0])
def test_a_delivery_whose_time_is_up_is_refused(valkey: ValkeyDatabases, timeout_seconds: float) -> None:
    async def go() -> object:
        async with Redis.from_url(valkey.url) as redis:
            carried = Carrier(Inbox(redis), timeout_seconds, Tally(CollectorRegistry()))
            [outcome] = await asyncio.gather(carried.carry(delivery()), return_exceptions=True)
            return outcome

    assert str(asyncio.run(go())) == "queue_too_slow"
