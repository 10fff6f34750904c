"""Counts of what was called and what was answered."""

from collections import Counter
from typing import Any

CUT = "cut"
"""Counted in place of a status where the connection was dropped before one."""


class Counts:
    """Calls of the platform's side; the control API is not counted."""

    def __init__(self) -> None:
        self._calls: Counter[tuple[str, str]] = Counter()

    def add(self, route: str, status: str) -> None:
        """Count one call."""
        self._calls[route, status] += 1

    def shown(self) -> dict[str, Any]:
        """Return token requests apart, and the other calls by status and by route."""
        calls: Counter[str] = Counter()
        by_route: dict[str, dict[str, int]] = {}
        tokens = 0
        for (route, status), number in sorted(self._calls.items()):
            by_route.setdefault(route, {})[status] = number
            if route == "token":
                tokens += number
            else:
                calls[status] += number
        return {"token_requests": tokens, "calls": dict(calls), "calls_by_route": by_route}
