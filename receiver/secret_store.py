"""Webhook secrets that all receivers share: sealed, in the cache's Redis, put there by `countersign webhook`.

Each secret is sealed with `SEAL_KEYS` to its endpoint's name and its expiry, so that nobody who can write to
Redis can give a secret to another endpoint or a longer life. A mark says that an endpoint's secret is being
rotated: KeyStone may then sign with one that is not here yet.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from redis.asyncio import Redis

from countersign.keystone.signature import WebhookSecret
from countersign.sealing import SealBroken, Sealer
from receiver.secret_lines import Secrets

SECRETS_KEY = "countersign:webhook-secrets"
"""A hash from `endpoint/id` to the expiry, a line end, and the sealed secret."""

ROTATIONS_KEY = "countersign:webhook-rotations"
"""A hash from endpoint to the time at which its rotation began."""


class Stored(NamedTuple):
    """What the store holds. `broken` counts secrets that do not open with our keys."""

    secrets: Secrets
    rotating: frozenset[str]
    broken: int


class SecretStore:
    """The store, through a client that does not decode responses. Every call may raise `redis.RedisError`."""

    def __init__(self, redis: Redis, sealer: Sealer) -> None:
        self._redis: Any = redis  # Its own annotations allow every kind of answer to every command.
        self._sealer = sealer

    async def read(self) -> Stored:
        """Read every secret and every mark. One that does not open is left out and counted."""
        async with self._redis.pipeline(transaction=True) as both:
            both.hgetall(SECRETS_KEY)
            both.hkeys(ROTATIONS_KEY)
            sealed, rotating = await both.execute()
        secrets: dict[str, tuple[WebhookSecret, ...]] = {}
        broken = 0
        for field, value in sealed.items():
            endpoint = field.decode().partition("/")[0]
            try:
                secrets[endpoint] = (*secrets.get(endpoint, ()), self._opened(endpoint, value))
            except (SealBroken, ValueError):
                broken += 1
        return Stored(secrets, frozenset(each.decode() for each in rotating), broken)

    async def add(self, endpoint: str, secret: WebhookSecret) -> str:
        """Store a secret, and return the id by which it can be removed."""
        identity = str(uuid4())
        await self.keep(endpoint, identity, secret)
        return identity

    async def keep(self, endpoint: str, identity: str, secret: WebhookSecret) -> WebhookSecret:
        """Store a secret under this id unless there is one already, and return the one that is there.

        Raises:
            SealBroken: There is one, and it does not open with our keys.

        """
        expiry = "" if secret.not_after is None else secret.not_after.astimezone(UTC).isoformat()
        sealed = self._sealer.seal(secret.value, _belongs_to(endpoint, expiry))
        field = f"{endpoint}/{identity}"
        if await self._redis.hsetnx(SECRETS_KEY, field, f"{expiry}\n".encode() + sealed):
            return secret
        return self._opened(endpoint, await self._redis.hget(SECRETS_KEY, field))

    async def has(self, endpoint: str, identity: str) -> bool:
        """Say whether there is a secret under this id."""
        return bool(await self._redis.hexists(SECRETS_KEY, f"{endpoint}/{identity}"))

    async def remove(self, endpoint: str, identity: str) -> None:
        """Remove a secret: from the next reading on, nothing that it signed is accepted."""
        await self._redis.hdel(SECRETS_KEY, f"{endpoint}/{identity}")

    async def begin_rotation(self, endpoint: str, now: datetime) -> None:
        """Set the mark: what can't be verified at this endpoint is sent again (503) and not refused (401)."""
        await self._redis.hset(ROTATIONS_KEY, endpoint, now.isoformat())

    async def end_rotation(self, endpoint: str) -> None:
        """Remove the mark."""
        await self._redis.hdel(ROTATIONS_KEY, endpoint)

    def _opened(self, endpoint: str, value: bytes) -> WebhookSecret:
        expiry, _, sealed = value.partition(b"\n")
        opened = self._sealer.open(sealed, _belongs_to(endpoint, expiry.decode()))
        return WebhookSecret(
            value=opened, not_after=datetime.fromisoformat(expiry.decode()) if expiry else None
        )


def _belongs_to(endpoint: str, expiry: str) -> str:
    return f"webhook secret of {endpoint} until {expiry or 'it is removed'}"
