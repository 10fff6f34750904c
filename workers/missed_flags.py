"""Missed flags: settlements that KeyStone has screened for too long, with no case here.

A webhook that never came leaves nothing else to see (keystone-api.md 3.5): a settlement that waits for a
decision looks like one that is still screened. So what is found by age alone is only suspected: its handlers
vote and a person sees it, but nothing is sent until a flag comes or an officer decides.
"""

from collections.abc import Iterator
from datetime import timedelta

import structlog

from countersign.keystone.budget import Priority
from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import KeystoneError
from countersign.keystone.pages import LARGEST_PAGE
from countersign.settlement import Settlement
from workers.ledger import suspicions, sweep_claims
from workers.ledger.books import Books
from workers.metrics import WorkerMetrics

log = structlog.get_logger(__name__)

SCREENED_IN = "COMPLIANCE_CHECKING"
CLAIM = "missed flags"


class MissedFlags:
    """Searches through the API, at the lowest priority of the budget; one process at a time does."""

    def __init__(
        self,
        keystone: KeystoneClient,
        books: Books,
        metrics: WorkerMetrics,
        *,
        holder: str,
        every: timedelta,
        suspect_after: timedelta,
    ) -> None:
        self._keystone = keystone
        self._books = books
        self._metrics = metrics
        self._holder = holder
        self._every = every
        self._suspect_after = suspect_after

    def search(self) -> None:
        """List what is in screening, and open a suspected case for each that has been there too long."""
        if not sweep_claims.claim(self._books, CLAIM, holder=self._holder, lease=self._every * 2):
            return
        try:
            for settlement in self._in_screening():
                self._suspect(settlement)
        except KeystoneError as trouble:
            log.info("search_put_off", why=str(trouble))  # The next search comes soon enough.

    def _in_screening(self) -> Iterator[Settlement]:
        offset: int | None = 0
        while offset is not None:
            page = self._keystone.settlements(
                state=SCREENED_IN, limit=LARGEST_PAGE, offset=offset, priority=Priority.SWEEP
            )
            yield from page.items
            offset = page.next_offset

    def _suspect(self, settlement: Settlement) -> None:
        since = settlement.updated_at or settlement.created_at
        if since is None or self._books.now() - since < self._suspect_after:
            return
        case_id = suspicions.open_suspected(self._books, settlement.id, since)
        if case_id is not None:
            self._metrics.repaired("suspected")
            log.warning("flag_suspected", settlement_id=settlement.id, case_id=case_id)
