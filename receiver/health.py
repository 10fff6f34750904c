"""Health: `live` says that the process answers, `ready` that it can take a webhook in, and why not."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from redis import RedisError
from redis.asyncio import Redis

from workers.inbox.names import JOURNAL, NAMESPACE

PROBE = f"{NAMESPACE}:probe"
"""A key that is written to see that Redis takes writes. It lives for a second."""

_KEPT_SECONDS = 1.0


class Readiness:
    """Looks at Redis, at most once a second: whoever asks more often gets the last answer."""

    def __init__(
        self, redis: Redis, timeout_seconds: float, journal_age_seconds: float | None = None
    ) -> None:
        self._redis: Any = redis  # Its own annotations allow every kind of answer to every command.
        self._timeout_seconds = timeout_seconds
        self._journal_age_seconds = journal_age_seconds
        self._one_at_a_time = asyncio.Lock()
        self._checked_at = -_KEPT_SECONDS
        self._checks: dict[str, str] = {}

    async def checks(self) -> dict[str, str]:
        """Return what was found by name: `ok`, or what is wrong."""
        async with self._one_at_a_time:
            if time.monotonic() - self._checked_at >= _KEPT_SECONDS:
                self._checks = await self._look()
                self._checked_at = time.monotonic()
        return self._checks

    async def _look(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._redis.set(PROBE, 1, ex=1)
                persistence = await self._redis.info("persistence")
                oldest = await self._redis.xrange(JOURNAL, count=1)
        except (RedisError, OSError) as error:
            return {"redis": f"does not take writes ({type(error).__name__})"}
        return {"redis": "ok", "disk": _disk(persistence), "journal": self._journal(oldest)}

    def _journal(self, oldest: list[tuple[bytes, Any]]) -> str:
        if not oldest or self._journal_age_seconds is None:
            return "ok"
        milliseconds = int(oldest[0][0].partition(b"-")[0])
        age = datetime.now(UTC).timestamp() - milliseconds / 1000
        return "ok" if age <= self._journal_age_seconds else f"its oldest event waits for {age:.0f} s"


def _disk(persistence: dict[str, Any]) -> str:
    written = persistence.get("aof_last_write_status", "ok")
    return "ok" if written == "ok" else "the last write of the append-only file failed"


def health_routes(readiness: Readiness) -> list[HTTPRouteHandler]:
    """Make the two routes."""

    @get("/health/live", summary="The process answers", sync_to_thread=False)
    def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/health/ready", summary="A webhook can be taken in")
    async def ready() -> Response[dict[str, Any]]:
        checks = await readiness.checks()
        is_ready = all(found == "ok" for found in checks.values())
        return Response(
            {"status": "ready" if is_ready else "not ready", "checks": checks},
            status_code=200 if is_ready else 503,
        )

    return [live, ready]
