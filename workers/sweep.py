"""The sweep: finds what was left lying, and gives it back to the workers.

Any number of processes may run it; each round takes a claim, so one of them does. It wakes workers and takes
events in; it never works on a case itself.
"""

import itertools
from collections.abc import Callable
from datetime import timedelta

import structlog

from workers.intake import Intake
from workers.journal import JournalEntry
from workers.ledger import claims, sweep_claims
from workers.ledger.books import Books
from workers.metrics import WorkerMetrics

log = structlog.get_logger(__name__)

MOST_A_ROUND = 500
MOST_FAILURES = 20
CLAIM = "sweep"

Wake = Callable[[str], None]
"""Tells the workers that a case, given by its id, is due."""


class Sweep:
    """Does one round after the other; `workers/periodic.py` gives it its thread."""

    def __init__(
        self,
        *,
        intake: Intake,
        books: Books,
        wake: Wake,
        metrics: WorkerMetrics,
        holder: str,
        interval: timedelta,
        left_after: timedelta,
    ) -> None:
        self._intake = intake
        self._books = books
        self._wake = wake
        self._metrics = metrics
        self._holder = holder
        self._claim_lease = interval * 3
        self._left_after = left_after

    def sweep(self) -> None:
        """Do one round, if no other process is at it."""
        if not sweep_claims.claim(self._books, CLAIM, holder=self._holder, lease=self._claim_lease):
            return
        try:
            self._take_leftovers()
        finally:
            self._wake_due_cases()

    def _take_leftovers(self) -> None:
        now = self._books.now()
        leftovers = self._intake.leftovers(older_than=self._left_after, now=now)
        failures = 0
        for entry in itertools.islice(leftovers, MOST_A_ROUND):
            try:
                self._take(entry)
            except Exception:
                # It stays in the journal, where it is seen; those behind it must not wait for it.
                log.exception("leftover_failed", event_id=entry.event_id)
                failures += 1
                if failures == MOST_FAILURES:
                    return  # The database is away, more likely: the next round comes soon.

    def _take(self, entry: JournalEntry) -> None:
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
