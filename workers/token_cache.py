"""The fleet's machine token in Redis: sealed, kept no longer than it lives, fetched by one at a time.

The names of the keys and the sealing key both derive from the client's credentials, so a client with another
secret neither opens this token nor is held up by the pauses that a wrong one has earned.
"""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import structlog
from redis import Redis, RedisError

from countersign.keystone.errors import RefusedBecause, TryAgainLater
from countersign.keystone.machine_token import MachineToken
from countersign.keystone.token_cache import CacheView, Dropped, Pause
from countersign.keystone.token_endpoint import ClientCredentials
from countersign.sealing import SealBroken, Sealer, derived_key

_log = structlog.get_logger(__name__)

AFTER_AN_OUTAGE = timedelta(seconds=2)
FAILURES_FORGOTTEN_AFTER = timedelta(hours=1)
_MILLISECOND = timedelta(milliseconds=1)

_RELEASE = """
if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end
return 0
"""

_DROP = """
if redis.call("HGET", KEYS[1], "id") ~= ARGV[1] then return "replaced" end
if not redis.call("SET", KEYS[2], "1", "NX", "PX", ARGV[2]) then return "too_soon" end
redis.call("DEL", KEYS[1])
return "fetch_another"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Where the token is kept, and who fetched it or fetches it now, as `host:process id`."""

    key: str
    fetched_by: str | None
    fetching_by: str | None


class RedisTokenCache:
    """Keeps the token in the cache's database. Redis' clock counts its life, so no other clock matters.

    Reading and claiming raise `TryAgainLater` where Redis can't be reached. What only tells others (a token,
    a pause) is then left undone: it must not cost a caller the token that it has just fetched.
    """

    def __init__(self, client: Redis, credentials: ClientCredentials) -> None:
        secret = credentials.client_secret.encode()
        self._sealer = Sealer([derived_key(secret, "machine token")])
        who = f"{credentials.token_url}\n{credentials.audience}\n{credentials.client_id}"
        name = derived_key(secret, f"machine token name\n{who}").hex()[:32]
        self._belongs_to = f"machine token {name}"
        # The braces keep the keys together, should the server be one of a cluster.
        self._token, self._claim, self._pause, self._failures, self._dropped = (
            f"countersign:token:{{{name}}}:{part}"
            for part in ("token", "claim", "pause", "failures", "dropped")
        )
        self._client = client
        self._release_script = client.register_script(_RELEASE)
        self._drop_script = client.register_script(_DROP)

    def read(self) -> CacheView:
        """Return the token, if there is one, and the pause, if there is one."""
        with _reachable(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.hget(self._token, "sealed")
            pipeline.pttl(self._token)
            pipeline.get(self._pause)
            pipeline.pttl(self._pause)
            sealed, left, pause, pause_left = pipeline.execute()
        token = None if sealed is None else self._opened(sealed)
        return CacheView(
            token=token,
            left=timedelta(0) if token is None else max(left, 0) * _MILLISECOND,
            pause=None if pause is None else _pause(pause, max(pause_left, 1) * _MILLISECOND),
        )

    def claim(self, lease: timedelta) -> str | None:
        """Become the one that fetches, for at most `lease`."""
        proof = f"{_who()} {secrets.token_hex(16)}"
        with _reachable():
            return proof if self._client.set(self._claim, proof, nx=True, px=lease) else None

    def release(self, claim: str) -> None:
        """Stop being the one that fetches, if that is still so."""
        with _best_effort("release"):
            self._release_script(keys=[self._claim], args=[claim])

    def store(self, token: MachineToken) -> None:
        """Keep a token, sealed, for as long as it lives; end any pause."""
        sealed = self._sealer.seal(token.to_bytes(), self._belongs_to)
        with _best_effort("store"), self._client.pipeline(transaction=True) as pipeline:
            pipeline.hset(self._token, mapping={"id": token.id, "sealed": sealed, "by": _who()})
            pipeline.pexpire(self._token, token.life)
            pipeline.delete(self._pause, self._failures)
            pipeline.execute()

    def pause(self, pause: Pause) -> None:
        """Keep everybody from asking the token endpoint, for as long as `pause.left`."""
        told = {"message": pause.message, "why": pause.why, "status": pause.status}
        with _best_effort("pause"):
            self._client.set(self._pause, msgspec.json.encode(told), px=max(pause.left, _MILLISECOND))

    def count_failure(self) -> int:
        """Count one more failed fetch since the last token, and return the number."""
        counts = [1]
        with _best_effort("count_failure"), self._client.pipeline(transaction=True) as pipeline:
            pipeline.incr(self._failures)
            pipeline.pexpire(self._failures, FAILURES_FORGOTTEN_AFTER)
            counts = pipeline.execute()
        return int(counts[0])

    def drop(self, token_id: str, *, at_most_every: timedelta) -> Dropped:
        """Drop this token if it is the one kept, and none was dropped within `at_most_every`."""
        with _reachable():
            became = self._drop_script(
                keys=[self._token, self._dropped], args=[token_id, at_most_every // _MILLISECOND]
            )
        return Dropped(became.decode() if isinstance(became, bytes) else became)

    def keeping(self) -> Keeping:
        """Say where the token is kept and who sees to it, for people."""
        with _reachable(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.hget(self._token, "by")
            pipeline.get(self._claim)
            by, claim = pipeline.execute()
        return Keeping(
            key=self._token,
            fetched_by=None if by is None else by.decode(),
            fetching_by=None if claim is None else claim.decode().partition(" ")[0],
        )

    def _opened(self, sealed: bytes) -> MachineToken | None:
        try:
            return MachineToken.from_bytes(self._sealer.open(sealed, self._belongs_to))
        except SealBroken:
            # Whoever changed it gains nothing: it is as if there were none, and a new one takes its place.
            _log.error("sealed_token_does_not_open")
            return None


def _who() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _pause(stored: bytes, left: timedelta) -> Pause:
    told = msgspec.json.decode(stored)
    why = None if told["why"] is None else RefusedBecause(told["why"])
    return Pause(message=told["message"], left=left, why=why, status=told["status"])


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise TryAgainLater(
            f"the token cache (CACHE_URL) can't be reached ({type(error).__name__})", after=AFTER_AN_OUTAGE
        ) from None


@contextmanager
def _best_effort(what: str) -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        _log.warning("token_cache_not_reached", what=what, error=type(error).__name__)
