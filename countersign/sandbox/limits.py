"""The rate limit: so many calls a window and environment, with the documented headers (keystone-api.md 4.3).

Whether the real window is fixed or sliding is unknown. `X-RateLimit-Reset` is a moment, so a fixed one fits.
"""

import math
import time
from dataclasses import dataclass

from countersign.sandbox.clock import Clock
from countersign.sandbox.tenants import Environment


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one call was told about the budget."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    """Unix time at which the window ends, by the platform's clock."""
    wait_seconds: int

    def headers(self) -> dict[str, str]:
        """Return the documented headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


@dataclass(slots=True)
class _Window:
    ends: float
    used: int = 0


class RateLimit:
    """Counts calls by environment."""

    def __init__(self, limit: int, window_seconds: float, clock: Clock) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def take(self, environment: Environment, calls: int = 1) -> Allowance | None:
        """Take `calls` from the environment's budget. None means that there is no limit."""
        limit = self._limit if environment.rate_limit_rpm is None else environment.rate_limit_rpm
        if not limit:
            return None
        now = time.monotonic()
        window = self._windows.get(environment.id)
        if window is None or window.ends <= now:
            window = self._windows[environment.id] = _Window(now + self._window_seconds)
        allowed = window.used < limit
        if allowed:
            window.used = min(limit, window.used + calls)
        left = window.ends - now
        return Allowance(
            allowed=allowed,
            limit=limit,
            remaining=limit - window.used,
            reset=math.ceil(self._clock.now().timestamp() + left),
            wait_seconds=max(1, math.ceil(left)),
        )
