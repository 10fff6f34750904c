"""The machine token of the fleet: fetched once, shared, renewed ahead of its end by one process.

Who has a token that lives goes on without waiting for anyone. Who has none looks into the cache, and if there
is none either, one caller of the whole fleet fetches while the others wait for what it puts there. Whatever
goes wrong is put there too, as a pause that all respect.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from countersign.keystone.errors import CredentialsRefused, KeystoneError, TryAgainLater
from countersign.keystone.hooks import Hooks
from countersign.keystone.machine_token import MachineToken
from countersign.keystone.token_cache import CacheView, Dropped, Pause, TokenCache
from countersign.keystone.token_check import TokenVerify
from countersign.keystone.token_endpoint import LONGEST_FETCH, TokenEndpoint

_log = structlog.get_logger(__name__)

REFRESH_AHEAD, LATEST_PART = 0.1, 0.5
"""A token is renewed when between 10 % and half of that is left of its life: 2.4 to 1.2 h of 24 h."""

UNUSED_END = 0.02
"""The last part of a token's life in which it is no longer used, at most `UNUSED_END_SECONDS`."""

UNUSED_END_SECONDS = 10.0
LONGEST_WAIT = LONGEST_FETCH + timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=1)
LONGEST_REFUSED_PAUSE = timedelta(minutes=15)
DROP_AT_MOST_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Held:
    token: MachineToken
    good_until: float
    look_at: float


def renewal_window(life: timedelta) -> tuple[timedelta, timedelta]:
    """Return how long before its end a token is renewed, at the earliest and at the latest."""
    return life * REFRESH_AHEAD, life * REFRESH_AHEAD * LATEST_PART


class TokenSource:
    """Gives the fleet's machine token. Safe for threads; one a process."""

    def __init__(
        self,
        endpoint: TokenEndpoint,
        cache: TokenCache,
        *,
        verify: TokenVerify = TokenVerify.WARN,
        hooks: Hooks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._cache = cache
        self._verify = verify
        self._hooks = hooks or Hooks()
        self._clock = clock
        self._held: _Held | None = None
        self._waiting = threading.Lock()
        self._renewing = threading.Lock()

    def token(self) -> MachineToken:
        """Return a token that lives.

        Raises:
            TryAgainLater: There is none, and none can be had now.
            CredentialsRefused: The token endpoint refuses us; a person must act.

        """
        held = self._held
        now = self._clock()
        if held is None or now >= held.good_until:
            return self._waited_for()
        if now >= held.look_at:
            self._renew_aside()
        return held.token

    def refused(self, token: MachineToken) -> Dropped:
        """Say that the API answered 401 to this token: it is dropped, and no other."""
        held = self._held
        if held is not None and held.token.id == token.id:
            self._held = None
        dropped = self._cache.drop(token.id, at_most_every=DROP_AT_MOST_EVERY)
        if dropped is Dropped.FETCH_ANOTHER:
            _log.warning("machine_token_refused_and_dropped", id=token.id)
            self._hooks.on_token("dropped")
        return dropped

    def _waited_for(self) -> MachineToken:
        give_up_at = self._clock() + LONGEST_WAIT.total_seconds()
        if not self._waiting.acquire(timeout=LONGEST_WAIT.total_seconds()):
            raise _not_in_time()
        try:
            held = self._held
            if held is not None and self._clock() < held.good_until:
                return held.token  # The thread that waited before us got it.
            while self._clock() < give_up_at:
                if (found := self._found_or_fetched()) is not None:
                    return found
                time.sleep(random.uniform(0.02, 0.06))  # noqa: S311 - jitter, no secret.
        finally:
            self._waiting.release()
        raise _not_in_time()

    def _found_or_fetched(self) -> MachineToken | None:
        """Return the token from the cache, or a new one; `None` while another process fetches it."""
        view = self._look()
        if (found := self._usable(view)) is not None:
            return found
        if view.pause is not None:
            raise view.pause.error()
        claim = self._cache.claim(LONGEST_FETCH)
        if claim is None:
            return None
        try:
            # Between the look and the claim, another process may have fetched and gone.
            return self._usable(self._look()) or self._fetched()
        finally:
            self._cache.release(claim)

    def _look(self) -> CacheView:
        """Look into the cache. A token that another process was content with may not be good enough here."""
        view = self._cache.read()
        if view.token is None or view.token.is_verified or self._verify is not TokenVerify.REQUIRE:
            return view
        return replace(view, token=None, left=timedelta(0))

    def _usable(self, view: CacheView) -> MachineToken | None:
        return None if view.token is None else self._hold(view.token, view.left)

    def _hold(self, token: MachineToken, left: timedelta) -> MachineToken | None:
        now, life, left_seconds = self._clock(), token.life.total_seconds(), left.total_seconds()
        good_until = now + left_seconds - min(UNUSED_END_SECONDS, life * UNUSED_END)
        ahead = life * REFRESH_AHEAD * random.uniform(LATEST_PART, 1.0)  # noqa: S311 - jitter, no secret.
        if now >= good_until:
            return None
        self._held = _Held(token, good_until, look_at=now + max(left_seconds - ahead, 0.0))
        return token

    def _fetched(self) -> MachineToken:
        try:
            token = self._endpoint.fetch()
        except (TryAgainLater, CredentialsRefused) as error:
            self._pause_all(error)
            raise
        self._cache.store(token)
        self._hooks.on_token("fetched")
        _log.info(
            "machine_token_fetched",
            id=token.id,
            expires_at=token.expires_at.isoformat(),
            verified=token.is_verified,
        )
        if token.problem is not None:
            _log.error("machine_token_not_verified", why=token.problem)
        self._hold(token, token.life)
        return token

    def _pause_all(self, error: TryAgainLater | CredentialsRefused) -> None:
        refused = isinstance(error, CredentialsRefused)
        longest = LONGEST_REFUSED_PAUSE if refused else LONGEST_PAUSE
        doubled = error.after * 2 ** min(self._cache.count_failure() - 1, 10)
        pause = max(error.after, min(doubled, longest)) * random.uniform(1.0, 1.25)  # noqa: S311 - jitter.
        why = error.why if isinstance(error, CredentialsRefused) else None
        self._cache.pause(Pause(message=error.reason, left=pause, why=why, status=error.status))
        self._hooks.on_token("refused" if refused else "failed")
        _log.error(
            "machine_token_not_fetched", why=error.reason, next_try_seconds=round(pause.total_seconds(), 1)
        )

    def _renew_aside(self) -> None:
        # In a thread of its own: the caller has a token that lives, and must not wait for a slow endpoint.
        if not self._renewing.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._renew, name="keystone-token", daemon=True).start()
        except RuntimeError:
            # No thread is to be had, which is no reason to fail a caller: a later one will try.
            self._renewing.release()

    def _renew(self) -> None:
        try:
            self._look_again_in(self._renewed())
        except KeystoneError as error:
            self._look_again_in(getattr(error, "after", timedelta(seconds=5)))
        finally:
            self._renewing.release()

    def _renewed(self) -> timedelta:
        """Renew the token if nobody else has; return when to look again if it is still the old one."""
        view = self._look()
        held = self._held
        if view.token is not None and (held is None or view.token.id != held.token.id):
            self._hold(view.token, view.left)
            return timedelta(0)
        if view.pause is not None:
            return view.pause.left
        claim = self._cache.claim(LONGEST_FETCH)
        if claim is None:
            return timedelta(seconds=1)
        try:
            again = self._look().token
            if again is None or held is None or again.id == held.token.id:
                self._fetched()
        finally:
            self._cache.release(claim)
        return timedelta(0)

    def _look_again_in(self, pause: timedelta) -> None:
        held = self._held
        if held is not None:
            look_at = max(held.look_at, self._clock() + pause.total_seconds())
            self._held = _Held(held.token, held.good_until, look_at)


def _not_in_time() -> TryAgainLater:
    return TryAgainLater("no machine token could be had in time", after=timedelta(seconds=2))
