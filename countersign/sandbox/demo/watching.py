"""Watching a run until nothing moves any more, and then comparing the two records."""

import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from countersign.sandbox.demo.comparison import Comparison, compare
from countersign.sandbox.demo.control import Control
from countersign.sandbox.demo.ledger import LedgerReader
from countersign.sandbox.demo.queue_view import Queue
from countersign.sandbox.demo.quiet import keystone_is_quiet, ledger_is_quiet
from countersign.sandbox.demo.records import LedgerRecord, PlatformRecord
from countersign.sandbox.demo.stopping import Stopping

_LOOK_SECONDS = 0.25
_AUDIT_SECONDS = 0.75
_GRACE_SECONDS = 5.0
"""How long a quiet run may look wrong before it is wrong: a webhook may still be in somebody's hand."""


class Outcome(NamedTuple):
    """Both records at the end, and what comparing them says. `in_time` is False where the run never ended."""

    platform: PlatformRecord
    ledger: LedgerRecord
    comparison: Comparison
    in_time: bool


class Watch:
    """Looks at both records again and again, and calls `each_time` with them at every look.

    Methods raise as the parts that it is given do.
    """

    def __init__(
        self,
        control: Control,
        queue: Queue,
        ledger: LedgerReader,
        stopping: Stopping,
        each_time: Callable[[PlatformRecord, LedgerRecord], None],
    ) -> None:
        self._control = control
        self._queue = queue
        self._ledger = ledger
        self._stopping = stopping
        self._each_time = each_time

    def look(self) -> PlatformRecord:
        """Look at what KeyStone knows. What is shown of the ledger may be some seconds old."""
        platform = self._control.record()
        self._each_time(platform, self._ledger.glance())
        return platform

    def until_quiet(self, expiring: Collection[str], *, seconds: float) -> Outcome:
        """Wait until the run is over, or `seconds` have passed, and compare the records.

        `expiring` are the ids of the settlements that are to expire.
        """
        deadline = time.monotonic() + seconds
        quiet_since: float | None = None
        while time.monotonic() < deadline:
            if not self._is_quiet(self.look(), expiring):
                self._stopping.pause(_LOOK_SECONDS)
                continue
            outcome = self._audit(in_time=True)
            if ledger_is_quiet(outcome.ledger) and self._is_quiet(outcome.platform, expiring):
                quiet_since = quiet_since or time.monotonic()
                if outcome.comparison.holds or time.monotonic() - quiet_since > _GRACE_SECONDS:
                    return outcome
            self._stopping.pause(_AUDIT_SECONDS)
        return self._audit(in_time=False)

    def _audit(self, *, in_time: bool) -> Outcome:
        """Read both records and compare them; KeyStone's last, so that it may not be behind the ledger's."""
        ledger = self._ledger.read()
        platform = self._control.record()
        self._each_time(platform, ledger)
        return Outcome(platform, ledger, compare(platform, ledger), in_time)

    def _is_quiet(self, platform: PlatformRecord, expiring: Collection[str]) -> bool:
        return keystone_is_quiet(platform, expiring) and self._control.is_idle() and self._queue.is_empty()
