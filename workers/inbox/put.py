"""Putting events in: one script call writes a group of deliveries to the journal and the queue, or none.

Redis runs a script without anything in between, and refuses it at its first write when it may not write (out
of memory, read-only, disk error): so an event is never in the journal without its message, nor the other way.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from importlib.resources import files
from typing import Any, NamedTuple
from uuid import uuid4

from redis.asyncio import Redis

from workers.inbox.message import BEFORE_ENTRY_ID, after_entry_id
from workers.inbox.names import EVENTS_QUEUE, JOURNAL, PENDING, bell, last_put, messages_key, queue_key

MAX_GROUP = 256
"""The most deliveries that one call takes: above that Redis would be blocked for too long at once."""

RINGS_KEPT = 64
"""More rings than this wake nobody: no queue has that many consumers that block."""

REMEMBER_SECONDS = 60
"""How long the last group of a sender is known; longer than any client goes on sending a group again."""


class Delivery(NamedTuple):
    """One verified delivery. `event_id` is ours and new for each; `event_key` is by what repeats are known.

    `endpoint` is the name of the endpoint that it came to, and `body` the raw bytes that were signed.
    """

    event_id: str
    environment: str
    endpoint: str
    event_key: str
    received_at: datetime
    body: bytes


class Put(Enum):
    """What became of a delivery: a new event, or a repeat of one that still waits. Both are safe now."""

    ACCEPTED = "accepted"
    MERGED = "merged"


_PUT = {ord("1"): Put.ACCEPTED, ord("0"): Put.MERGED}


class Inbox:
    """Puts events in for one sender. The client must not decode responses."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(
            files(__package__).joinpath("put.lua").read_text(encoding="utf-8")
        )
        self._keys = [
            JOURNAL,
            PENDING,
            queue_key(EVENTS_QUEUE),
            messages_key(EVENTS_QUEUE),
            bell(EVENTS_QUEUE),
            last_put(str(uuid4())),
        ]
        self._number = 0
        self._one_at_a_time = asyncio.Lock()

    async def put(self, deliveries: Sequence[Delivery]) -> list[Put]:
        """Put a group in, at most `MAX_GROUP` of them; the answers are in the same order.

        Once this returns, Redis has all of them. Groups of one inbox go one after the other: the script
        remembers only the last, by which it knows a group that the client sends again after a lost reply.

        Raises:
            redis.RedisError: Redis did not confirm it. It may have it all the same, if the reply was lost.
            ValueError: The group is too big.

        """
        if not deliveries:
            return []
        if len(deliveries) > MAX_GROUP:
            raise ValueError(f"a group of {len(deliveries)} is too big: put at most {MAX_GROUP} at once")
        async with self._one_at_a_time:
            self._number += 1
            arguments: list[Any] = [self._number, REMEMBER_SECONDS, RINGS_KEPT, BEFORE_ENTRY_ID]
            for delivery in deliveries:
                arguments += _arguments(delivery)
            outcome: bytes = await self._script(self._keys, arguments)
        return [_PUT[told] for told in outcome]


def _arguments(delivery: Delivery) -> tuple[Any, ...]:
    event_id, environment, endpoint, event_key, received_at, body = delivery
    return (
        event_id,
        environment,
        endpoint,
        event_key,
        received_at.isoformat(),
        body,
        after_entry_id(event_id, int(received_at.timestamp() * 1000)),
    )
