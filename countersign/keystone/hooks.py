"""What the client tells whoever watches it; the worker turns that into metrics."""

from collections.abc import Callable
from dataclasses import dataclass


def _ignore(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """One callable for each thing that happens; those that aren't given do nothing. None may raise."""

    on_call: Callable[[str, str, float], None] = _ignore
    """An HTTP call ended: its name, the status as text or how it failed, seconds."""
    on_wait: Callable[[str, float], None] = _ignore
    """A call waited for the budget: its priority, seconds. Also told when it gave up waiting."""
    on_budget: Callable[[int, int], None] = _ignore
    """KeyStone told its limit: requests a window, requests remaining."""
    on_breaker: Callable[[str, str], None] = _ignore
    """A circuit breaker changed: upstream, `open` or `closed`."""
    on_token: Callable[[str], None] = _ignore
    """Something happened to the machine token: `fetched`, `failed`, `refused`, `dropped`, `unverified`."""
