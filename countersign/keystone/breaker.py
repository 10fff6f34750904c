"""A circuit breaker: while KeyStone is down, one call at a time finds out whether it is back.

No library is used, and docs/decisions/0017 says why: each that was looked at either holds a lock for the
length of the call, so that 32 threads would work like one, or lets every thread through as a probe at once.
"""

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from countersign.keystone.errors import TryAgainLater

FAILURES = 5
"""How many failures in a row open it."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 15.0
PROBE_SECONDS = 30.0
"""A probe that was never heard of again stops counting after this: its thread died."""


class CircuitBreaker:
    """Counts failures in a row; after too many it lets one probe through every few seconds."""

    def __init__(
        self,
        upstream: str,
        *,
        on_change: Callable[[str, str], None] = lambda _upstream, _state: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._next_probe_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Say whether calls are being refused."""
        return self._next_probe_at is not None

    def enter(self) -> bool:
        """Ask to make one call, and return whether it is the probe; report it with `succeeded` or `failed`.

        Raises:
            TryAgainLater: The upstream is down, and it is not this call's turn to probe.

        """
        if not self.is_open:  # A single read: the healthy way takes no lock.
            return False
        with self._lock:
            probe_at, now = self._next_probe_at, self._clock()
            if probe_at is None:
                return False
            left = probe_at - now
            if left > 0:
                raise TryAgainLater(
                    f"{self._upstream} is down, and probed every few seconds",
                    after=timedelta(seconds=left + random.uniform(0.1, 1.0)),  # noqa: S311 - jitter.
                )
            self._next_probe_at = now + PROBE_SECONDS
        return True

    def left(self, *, probe: bool) -> None:
        """Say that the call was not made after all: if it was the probe, the next one is."""
        if probe:
            with self._lock:
                self._next_probe_at = self._clock()

    def succeeded(self) -> None:
        """Say that the upstream answered and is well, whatever it answered."""
        if not self._failures:
            return
        with self._lock:
            was_open = self.is_open
            self._failures, self._next_probe_at = 0, None
            self._pause_seconds = FIRST_PAUSE_SECONDS
        if was_open:
            self._on_change(self._upstream, "closed")

    def failed(self, *, probe: bool) -> None:
        """Say that no answer came, or one that says that the upstream is not well."""
        with self._lock:
            self._failures += 1
            opened = not self.is_open
            if self._failures < FAILURES or not (opened or probe):
                return  # Calls that were under way when it opened tell nothing new.
            if probe:
                self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
            self._next_probe_at = self._clock() + self._pause_seconds * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret.
        if opened:
            self._on_change(self._upstream, "open")
