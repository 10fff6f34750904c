"""The receivers' secret store as the command line uses it: one call, one connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from countersign.keystone.signature import WebhookSecret
from countersign.sealing import Sealer
from receiver.connection import connect
from receiver.secret_store import SecretStore

T = TypeVar("T")

TIMEOUT_SECONDS = 5.0


class StoredSecrets:
    """The store at `cache_address`. Every call may raise `redis.RedisError`."""

    def __init__(self, cache_address: str, sealer: Sealer) -> None:
        self._cache_address = cache_address
        self._sealer = sealer

    def keep(self, endpoint: str, identity: str, secret: WebhookSecret) -> WebhookSecret:
        """Store a secret unless there is one already, and return the one that is there."""
        return self._run(lambda store: store.keep(endpoint, identity, secret))

    def add(self, endpoint: str, secret: WebhookSecret) -> str:
        """Store one more secret, and return its id."""
        return self._run(lambda store: store.add(endpoint, secret))

    def has(self, endpoint: str, identity: str) -> bool:
        """Say whether there is a secret under this id."""
        return self._run(lambda store: store.has(endpoint, identity))

    def _run(self, act: Callable[[SecretStore], Awaitable[T]]) -> T:
        async def go() -> T:
            async with connect(self._cache_address, TIMEOUT_SECONDS) as redis:
                return await act(SecretStore(redis, self._sealer))

        return asyncio.run(go())
