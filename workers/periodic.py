"""A thread that does one thing every so often, until it is stopped, whatever goes wrong with it."""

import threading
from collections.abc import Callable
from datetime import timedelta

import structlog

log = structlog.get_logger(__name__)


class Periodic:
    """Calls `work` every `interval`, first after one. A failure is logged, and the next call comes."""

    def __init__(self, name: str, interval: timedelta, work: Callable[[], None]) -> None:
        self._name = name
        self._interval_seconds = interval.total_seconds()
        self._work = work
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, within_seconds: float | None = None) -> None:
        """Stop after the call in hand, and wait for it, or for so long at most."""
        self._stopped.set()
        self._thread.join(within_seconds)

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_seconds):
            try:
                self._work()
            except Exception:
                log.exception("periodic_work_failed", work=self._name)
