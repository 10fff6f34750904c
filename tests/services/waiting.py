"""Waiting for a condition with a deadline: the one place in the tests where time passes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.002
_LONGEST_PAUSE_SECONDS = 0.1


def eventually(condition: Callable[[], T], within_seconds: float = 10, told: str = "") -> T:
    """Ask until the answer is truthy, and return that answer.

    `condition` may also assert: an `AssertionError` means "not yet", any other exception goes through.

    Raises:
        AssertionError: The deadline passed; the message has what was waited for, and the last answer.

    """
    deadline = time.monotonic() + within_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        answer, objection = _ask(condition)
        if objection is None and answer:
            return answer
        if time.monotonic() >= deadline:
            waited_for = told or getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(
                f"{waited_for}: not within {within_seconds} s; the last answer was {objection or answer!r}"
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _ask(condition: Callable[[], T]) -> tuple[T | None, AssertionError | None]:
    try:
        return condition(), None
    except AssertionError as objection:
        return None, objection
