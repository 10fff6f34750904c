"""Ctrl-C and SIGTERM as a question that the run asks at its own moments.

An exception out of a signal handler could strike between the start of a process and the line that notes it;
a process would stay behind. So a signal only sets a mark, and every wait of the demo looks at it.
"""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_POLL_SECONDS = 0.05


class Interrupted(Exception):
    """A person or a supervisor asked the demo to stop. `signal_number` says how."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class TookTooLong(Exception):
    """What was waited for did not come before the deadline. The message says what it was."""


class Stopping:
    """A context in which SIGINT, SIGTERM and SIGHUP are noted instead of striking anywhere."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._number = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over (from the main thread only, as Python wants it)."""
        for number in self._SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # `nohup` wants it to go on when the terminal closes.
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise if a stop was asked for.

        Raises:
            Interrupted: It was.

        """
        if self._asked.is_set():
            raise Interrupted(self._number)

    def pause(self, seconds: float) -> None:
        """Wait this long, or until a stop is asked for.

        Raises:
            Interrupted: It was asked for.

        """
        self._asked.wait(seconds)
        self.check()

    def wait_for(self, condition: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Wait until `condition` is true.

        Raises:
            Interrupted: A stop was asked for meanwhile.
            TookTooLong: It was not true within `seconds`.

        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TookTooLong(f"{what} did not happen within {seconds:g} s")
            self.pause(_POLL_SECONDS)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._number = number
        self._asked.set()
