"""Carrying deliveries to the inbox: those that come together share one round trip to Redis.

A lone delivery does not wait for company: its group leaves at once. What comes while a group is under way
forms the next one. Each group has the time that its oldest delivery still has, so nobody waits longer than
the bound, however slow Redis is.
"""

import asyncio
from typing import NamedTuple

from redis import RedisError
from redis import TimeoutError as RedisTimeout

from receiver.refusals import Refusal, Refused
from receiver.tally import Tally
from workers.inbox import Delivery, Inbox, Put
from workers.inbox.put import MAX_GROUP


class _Letter(NamedTuple):
    delivery: Delivery
    put: asyncio.Future[Put]
    arrived: float

    def fail(self, error: Exception) -> None:
        if not self.put.done():  # It is, where the request was cancelled.
            self.put.set_exception(error)


class Carrier:
    """Carries for one process. Only one group is under way at a time."""

    def __init__(self, inbox: Inbox, timeout_seconds: float, tally: Tally) -> None:
        self._inbox = inbox
        self._timeout_seconds = timeout_seconds
        self._tally = tally
        self._waiting: list[_Letter] = []
        self._rounds: asyncio.Task[None] | None = None

    async def carry(self, delivery: Delivery) -> Put:
        """Put one delivery in, and return once Redis has confirmed it.

        Raises:
            Refused: Redis did not confirm it in time. It may have it all the same: a repeat merges then.

        """
        loop = asyncio.get_running_loop()
        letter = _Letter(delivery, loop.create_future(), loop.time())
        self._waiting.append(letter)
        if self._rounds is None:
            self._rounds = loop.create_task(self._carry_all())
        return await letter.put

    async def finish(self) -> None:
        """Wait until everything that waits has been carried."""
        if self._rounds is not None:
            await self._rounds

    async def _carry_all(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                await self._carry(group)
        finally:
            self._rounds = None

    async def _carry(self, group: list[_Letter]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout_at(group[0].arrived + self._timeout_seconds):
                puts = await self._inbox.put([letter.delivery for letter in group])
        except (TimeoutError, RedisTimeout) as error:
            self._refuse(group, Refusal.QUEUE_TOO_SLOW, error)
        except (RedisError, OSError) as error:
            self._refuse(group, Refusal.QUEUE_UNAVAILABLE, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it.
            for letter in group:
                letter.fail(error)
        else:
            self._tally.put(len(group), loop.time() - started)
            for letter, put in zip(group, puts, strict=True):
                if not letter.put.done():
                    letter.put.set_result(put)

    def _refuse(self, group: list[_Letter], refusal: Refusal, error: Exception) -> None:
        self._tally.put_failed(len(group), error)
        for letter in group:
            letter.fail(Refused(refusal))
