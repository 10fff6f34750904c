"""Where the fleet keeps its one token: a port, and its twin in memory for a single process.

The cache also holds who is fetching at the moment (a lease, so that a holder that died is replaced), and
until when nobody should ask the token endpoint again.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, auto
from typing import Protocol

from countersign.keystone.errors import CredentialsRefused, KeystoneError, RefusedBecause, TryAgainLater
from countersign.keystone.machine_token import MachineToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why nobody should ask the token endpoint now. `why` is set where a person must act."""

    message: str
    left: timedelta
    why: RefusedBecause | None = None
    status: int | None = None

    def error(self) -> KeystoneError:
        """Return what a caller without a token gets."""
        if self.why is None:
            return TryAgainLater(self.message, after=self.left, status=self.status)
        told = f"{self.message}; the token endpoint is asked again in {self.left.total_seconds():.0f} s"
        return CredentialsRefused(told, why=self.why, after=self.left, status=self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheView:
    """What the cache holds at one moment; `left` is how long the token still lives."""

    token: MachineToken | None = None
    left: timedelta = timedelta(0)
    pause: Pause | None = None


class Dropped(StrEnum):
    """What became of a token that the API refused."""

    FETCH_ANOTHER = auto()
    """It was the fleet's token and is gone now."""
    REPLACED = auto()
    """The fleet has another one already, or is fetching it."""
    TOO_SOON = auto()
    """One was dropped a moment ago, and this is what came instead: fetching yet another would not help."""


class TokenCache(Protocol):
    """Where the fleet keeps its token. Every operation is atomic and uses the cache's own clock."""

    def read(self) -> CacheView:
        """Return the token, if there is one, and the pause, if there is one."""

    def claim(self, lease: timedelta) -> str | None:
        """Become the one that fetches, for at most `lease`; return a proof of it, or `None` if another is."""

    def release(self, claim: str) -> None:
        """Stop being the one that fetches, if that is still so."""

    def store(self, token: MachineToken) -> None:
        """Keep a token for as long as it lives; end any pause."""

    def pause(self, pause: Pause) -> None:
        """Keep everybody from asking the token endpoint, for as long as `pause.left`."""

    def count_failure(self) -> int:
        """Count one more failed fetch since the last token, and return the number."""

    def drop(self, token_id: str, *, at_most_every: timedelta) -> Dropped:
        """Drop this token if it is the one kept, and none was dropped within `at_most_every`."""


class MemoryTokenCache:
    """Keeps the token in this process alone. Safe for threads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._token: MachineToken | None = None
        self._token_until = 0.0
        self._claim: str | None = None
        self._claim_until = 0.0
        self._claims = 0
        self._pause: Pause | None = None
        self._pause_until = 0.0
        self._failures = 0
        self._no_drop_until = 0.0

    def read(self) -> CacheView:
        """Return the token, if there is one, and the pause, if there is one."""
        with self._lock:
            now = self._clock()
            token = self._token if now < self._token_until else None
            pause = self._pause if now < self._pause_until else None
            return CacheView(
                token=token,
                left=timedelta(seconds=max(0.0, self._token_until - now)),
                pause=pause and _shortened(pause, self._pause_until - now),
            )

    def claim(self, lease: timedelta) -> str | None:
        """Become the one that fetches, for at most `lease`."""
        with self._lock:
            now = self._clock()
            if self._claim is not None and now < self._claim_until:
                return None
            self._claims += 1
            self._claim, self._claim_until = str(self._claims), now + lease.total_seconds()
            return self._claim

    def release(self, claim: str) -> None:
        """Stop being the one that fetches, if that is still so."""
        with self._lock:
            if self._claim == claim:
                self._claim = None

    def store(self, token: MachineToken) -> None:
        """Keep a token for as long as it lives; end any pause."""
        with self._lock:
            self._token, self._token_until = token, self._clock() + token.life.total_seconds()
            self._pause, self._failures = None, 0

    def pause(self, pause: Pause) -> None:
        """Keep everybody from asking the token endpoint, for as long as `pause.left`."""
        with self._lock:
            self._pause, self._pause_until = pause, self._clock() + pause.left.total_seconds()

    def count_failure(self) -> int:
        """Count one more failed fetch since the last token, and return the number."""
        with self._lock:
            self._failures += 1
            return self._failures

    def drop(self, token_id: str, *, at_most_every: timedelta) -> Dropped:
        """Drop this token if it is the one kept, and none was dropped within `at_most_every`."""
        with self._lock:
            now = self._clock()
            if self._token is None or now >= self._token_until or self._token.id != token_id:
                return Dropped.REPLACED
            if now < self._no_drop_until:
                return Dropped.TOO_SOON
            self._token, self._no_drop_until = None, now + at_most_every.total_seconds()
            return Dropped.FETCH_ANOTHER


def _shortened(pause: Pause, left_seconds: float) -> Pause:
    return Pause(
        message=pause.message, left=timedelta(seconds=left_seconds), why=pause.why, status=pause.status
    )
