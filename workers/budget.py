"""The rate budget in Redis: one count for the fleet, atomic, on the server's own clock."""

from datetime import timedelta
from importlib.resources import files
from typing import Any

import structlog
from redis import Redis, RedisError

from countersign.keystone.budget import Permit, Priority, Wait
from countersign.keystone.budget_memory import share_in_thousandths
from countersign.keystone.budget_rules import SHARE
from countersign.keystone.errors import TryAgainLater
from countersign.keystone.rate import RateSeen

_log = structlog.get_logger(__name__)

AFTER_AN_OUTAGE = timedelta(seconds=2)
_MILLISECOND = timedelta(milliseconds=1)


class RedisBudgetStore:
    """Keeps the count of one environment's rate limit in the cache's database.

    It raises `TryAgainLater` where Redis can't be reached: without the count, no call is made.
    """

    def __init__(self, client: Redis, environment: str, *, share: float = SHARE) -> None:
        self._share = share_in_thousandths(share)
        self._key = f"countersign:budget:{environment}"
        self._script = client.register_script(files("workers").joinpath("budget.lua").read_text("utf-8"))

    def take(self, priority: Priority, *, now_ms: int | None = None) -> Permit | Wait:
        """Take the right to make one call, or learn how long to wait. A test may give a time of its own."""
        try:
            answer = self._run(now_ms, "take", int(priority), self._share)
        except RedisError as error:
            raise TryAgainLater(
                f"the rate budget (CACHE_URL) can't be reached ({type(error).__name__})",
                after=AFTER_AN_OUTAGE,
            ) from None
        if answer[0] == 1:
            return Permit(int(answer[1]))
        return Wait(recheck=int(answer[1]) * _MILLISECOND, until=int(answer[2]) * _MILLISECOND)

    def observe(self, permit: Permit, seen: RateSeen, *, now_ms: int | None = None) -> None:
        """Enter what the answer to one call told. An answer is never lost because this can't be done."""
        try:
            self._run(
                now_ms,
                "observe",
                permit.window,
                _told(seen.limit),
                _told(seen.remaining),
                _told(seen.ends_in),
                _told(seen.throttled),
            )
        except RedisError as error:
            _log.warning("budget_not_updated", error=type(error).__name__)

    def _run(self, now_ms: int | None, operation: str, *rest: str | int) -> Any:  # noqa: ANN401 - as the script says.
        return self._script(keys=[self._key], args=[operation, "" if now_ms is None else now_ms, *rest])


def _told(value: int | timedelta | None) -> str | int:
    if value is None:
        return ""
    return value // _MILLISECOND if isinstance(value, timedelta) else value
