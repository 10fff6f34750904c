"""The rate budget: one for the fleet, shared by all its processes, and by priority within it.

The limit belongs to the environment, and the platform's own backend draws on it too. So we take at most a
share, less where others are seen to draw, and keep a part for decisions. The rules are in
`budget_rules.py`; where the count is kept is a `BudgetStore`, in memory here and in Redis for a fleet.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Protocol

from countersign.keystone.errors import TryAgainLater
from countersign.keystone.hooks import Hooks
from countersign.keystone.rate import RateSeen


class Priority(IntEnum):
    """Whose turn it is when there is not enough for all: the lowest number first."""

    DECISION = 0
    FETCH = 1
    SWEEP = 2


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to make one call, in the window in which it was given."""

    window: int


@dataclass(frozen=True, slots=True)
class Wait:
    """No call now: ask again after `recheck`; `until` is when it is sure to look different."""

    recheck: timedelta
    until: timedelta


class BudgetStore(Protocol):
    """Where the fleet's count is kept. Both operations are atomic and use the store's own clock."""

    def take(self, priority: Priority) -> Permit | Wait:
        """Take the right to make one call, or learn how long to wait."""

    def observe(self, permit: Permit, seen: RateSeen) -> None:
        """Say that the call is over, and what its answer told of the limit."""


PATIENCE = {
    Priority.DECISION: timedelta(seconds=5),
    Priority.FETCH: timedelta(seconds=2),
    Priority.SWEEP: timedelta(0),
}
"""How long a call of each priority waits in its thread. After that its case waits in the ledger instead."""

_STAGGER_SECONDS = {Priority.DECISION: (0.0, 0.03), Priority.FETCH: (0.05, 0.25), Priority.SWEEP: (0.5, 2.0)}
"""After a wait, decisions look first, and no two callers at the same instant."""


class Budget:
    """Hands out the right to make calls, and waits a little where there is none."""

    def __init__(
        self,
        store: BudgetStore,
        *,
        patience: Mapping[Priority, timedelta] = PATIENCE,
        hooks: Hooks | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._patience = patience
        self._hooks = hooks or Hooks()
        self._sleep = sleep

    def acquire(self, priority: Priority) -> Permit:
        """Return the right to make one call; hand it back to `observe` whatever becomes of the call.

        Raises:
            TryAgainLater: There is none, and waiting any longer would only hold a thread.

        """
        began = time.monotonic()
        answer = self._store.take(priority)
        if isinstance(answer, Permit):
            return answer
        give_up_at = began + self._patience[priority].total_seconds()
        try:
            return self._waited(priority, answer, give_up_at)
        finally:
            self._hooks.on_wait(priority.name.lower(), time.monotonic() - began)

    def observe(self, permit: Permit, seen: RateSeen) -> None:
        """Say that a call is over and what its answer told."""
        self._store.observe(permit, seen)
        if seen.limit is not None and seen.remaining is not None:
            self._hooks.on_budget(seen.limit, seen.remaining)

    def _waited(self, priority: Priority, wait: Wait, give_up_at: float) -> Permit:
        while True:
            pause = wait.recheck.total_seconds() + random.uniform(*_STAGGER_SECONDS[priority])  # noqa: S311 - jitter.
            if time.monotonic() + pause > give_up_at:
                raise TryAgainLater("our share of the rate limit is used up", after=_spread(priority, wait))
            self._sleep(pause)
            answer = self._store.take(priority)
            if isinstance(answer, Permit):
                return answer
            wait = answer


def _spread(priority: Priority, wait: Wait) -> timedelta:
    # Callers that all came back at the same instant would meet an empty window together once more.
    bounds = (0.05, 0.25) if priority == Priority.DECISION else (0.3, 2.0)
    return wait.until + timedelta(seconds=random.uniform(*bounds))  # noqa: S311 - jitter, no secret.
