"""The queue, looked at from outside: does it answer, who works on it, does anything lie in it."""

from types import TracebackType
from typing import Self

import redis

_JOURNAL = "countersign:journal"
"""A stream, from which an event goes when it is in the ledger."""

_HEARTBEATS = "countersign:__heartbeats__"
"""Dramatiq's own set of the worker processes that have asked for work."""

_TIMEOUT_SECONDS = 5.0


class Queue:
    """A look at the queue's server. What is asked of one that doesn't answer raises `redis.RedisError`."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
        )

    def is_ready(self) -> bool:
        """Say whether the queue's server answers yet."""
        try:
            return bool(self._redis.ping())
        except redis.ConnectionError:
            return False

    def workers(self) -> int:
        """Count the worker processes that have ever asked for work, dead ones included."""
        return int(self._redis.zcard(_HEARTBEATS))

    def is_empty(self) -> bool:
        """Say whether no event waits for its place in the ledger."""
        return self._redis.xlen(_JOURNAL) == 0

    def __enter__(self) -> Self:
        """Return itself; the connection opens on use."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._redis.close()
