"""Watching a run until nothing moves any more, and then comparing the two records."""

import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from countersign.sandbox.demo.comparison import Comparison, compare
from countersign.sandbox.demo.control import Control
from countersign.sandbox.demo.ledger import LedgerReader
from countersign.sandbox.demo.queue_view import Queue
from countersign.sandbox.demo.quiet import is_quiet
from countersign.sandbox.demo.records import LedgerRecord, PlatformRecord
from countersign.sandbox.demo.stopping import Stopping

_LOOK_SECONDS = 0.25
_GRACE_SECONDS = 5.0
"""How long a quiet run may look wrong before it is wrong: a webhook may still be in somebody's hand."""


class Outcome(NamedTuple):
    """Both records at the end, and what comparing them says. `in_time` is False where the run never ended."""

    platform: PlatformRecord
    ledger: LedgerRecord
    comparison: Comparison
    in_time: bool


class Watch:
    """Looks at both records again and again. Methods raise as the parts that it is given do."""

    def __init__(self, control: Control, queue: Queue, ledger: LedgerReader, stopping: Stopping) -> None:
        self._control = control
        self._queue = queue
        self._ledger = ledger
        self._stopping = stopping

    def until_quiet(
        self,
        expiring: Collection[str],
        *,
        seconds: float,
        each_time: Callable[[PlatformRecord, LedgerRecord], None],
    ) -> Outcome:
        """Wait until the run is over, or `seconds` have passed, and compare the records.

        `each_time` is called with every look at them; `expiring` are the ids of those that are to expire.
        """
        deadline = time.monotonic() + seconds
        wrong_since: float | None = None
        while True:
            platform, ledger = self._control.record(), self._ledger.glance()
            each_time(platform, ledger)
            in_time = time.monotonic() < deadline
            if self._is_quiet(platform, ledger, expiring) or not in_time:
                # What was glanced at may be older than the silence: only what is read now counts.
                platform, ledger = self._control.record(), self._ledger.read()
                each_time(platform, ledger)
                comparison = compare(platform, ledger)
                wrong_since = wrong_since or time.monotonic()
                patient = comparison.holds or time.monotonic() - wrong_since > _GRACE_SECONDS
                if not in_time or (patient and self._is_quiet(platform, ledger, expiring)):
                    return Outcome(platform, ledger, comparison, in_time)
            else:
                wrong_since = None
            self._stopping.pause(_LOOK_SECONDS)

    def _is_quiet(self, platform: PlatformRecord, ledger: LedgerRecord, expiring: Collection[str]) -> bool:
        return is_quiet(platform, ledger, expiring) and self._control.is_idle() and self._queue.is_empty()
