"""The sweep: finds what was left lying, and gives it back to the workers.

Any number of processes may run it; each round takes a claim, so one of them does. It wakes workers and takes
events in; it never works on a case itself.
"""

import threading
from collections.abc import Callable
from datetime import timedelta

import structlog

from workers.intake import Intake
from workers.journal import Journal
from workers.ledger import claims, sweep_claims
from workers.ledger.books import Books
from workers.ledger.columns import new_id
from workers.metrics import WorkerMetrics

log = structlog.get_logger(__name__)

MOST_A_ROUND = 500

Wake = Callable[[str], None]
"""Tells the workers that a case, given by its id, is due."""


class Sweep:
    """Sweeps every `interval` in a thread of its own."""

    def __init__(
        self,
        *,
        journal: Journal,
        intake: Intake,
        books: Books,
        wake: Wake,
        metrics: WorkerMetrics,
        interval: timedelta,
        left_after: timedelta,
    ) -> None:
        self._journal = journal
        self._intake = intake
        self._books = books
        self._wake = wake
        self._metrics = metrics
        self._holder = new_id("sweeper")
        self._interval = interval
        self._left_after = left_after
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the round in hand."""
        self._stopped.set()
        self._thread.join()

    def sweep_once(self) -> None:
        """Do one round, if no other process is at it."""
        if not sweep_claims.claim(self._books, holder=self._holder, lease=self._interval * 3):
            return
        self._take_leftovers()
        self._wake_due_cases()

    def _take_leftovers(self) -> None:
        now = self._books.now()
        for entry in self._journal.leftovers(older_than=self._left_after, now=now, most=MOST_A_ROUND):
            record = self._intake.take(entry, by="sweep")
            if record is not None:
                # It was claimed with its opening; nobody here works on it, so it goes to a worker.
                claims.postpone(self._books, record, timedelta(0), "found by the sweep")
            self._metrics.repaired("journal")
            log.warning("sweep_took_leftover", event_id=entry.event_id)

    def _wake_due_cases(self) -> None:
        for case_id in claims.due_cases(self._books, most=MOST_A_ROUND):
            self._wake(case_id)
            self._metrics.repaired("case")

    def _run(self) -> None:
        while not self._stopped.wait(self._interval.total_seconds()):
            try:
                self.sweep_once()
            except Exception:
                log.exception("sweep_failed")
