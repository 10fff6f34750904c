"""The budget's count in memory: for one process alone, such as a command, and for tests."""

import threading
import time
from collections.abc import Callable

from countersign.keystone import budget_rules
from countersign.keystone.budget import Permit, Priority, Wait
from countersign.keystone.rate import RateSeen


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class MemoryBudgetStore:
    """Keeps the count in this process. Safe for threads; other processes count for themselves."""

    def __init__(
        self, *, share: float = budget_rules.SHARE, clock_ms: Callable[[], int] = _monotonic_ms
    ) -> None:
        self._share = share_in_thousandths(share)
        self._clock_ms = clock_ms
        self._book = budget_rules.Book()
        self._lock = threading.Lock()

    def take(self, priority: Priority) -> Permit | Wait:
        """Take the right to make one call, or learn how long to wait."""
        with self._lock:
            return budget_rules.take(self._book, priority, now=self._clock_ms(), share=self._share)

    def observe(self, permit: Permit, seen: RateSeen) -> None:
        """Enter what the answer to one call told."""
        with self._lock:
            budget_rules.observe(self._book, permit.window, seen, now=self._clock_ms())


def share_in_thousandths(share: float) -> int:
    """Return a share of the limit as the rules take it.

    Raises:
        ValueError: It is not above 0 and at most 1.

    """
    if not 0 < share <= 1:
        raise ValueError(f"RATE_SHARE is {share}: it is our part of the rate limit, above 0 and at most 1")
    return max(1, round(share * budget_rules.THOUSANDTHS))
