"""Leases: while a worker has cases in hand, one thread of its process keeps their claims alive.

A process that is killed or frozen stops renewing, so its cases are free again after one lease, however long
the work itself may take.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from workers.periodic import Periodic

Renew = Callable[[Mapping[str, int]], None]
"""Extends the claims on these cases, given by id and fence."""

RENEWALS_A_LEASE = 3


class LeaseKeeper:
    """Renews the claims on the cases in hand, three times a lease."""

    def __init__(self, renew: Renew, lease: timedelta) -> None:
        self._renew = renew
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()
        self._thread = Periodic("lease-keeper", lease / RENEWALS_A_LEASE, self.renew)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing."""
        self._thread.stop()

    @contextmanager
    def holding(self, case_id: str, fence: int) -> Iterator[None]:
        """Keep this claim alive for the block."""
        with self._lock:
            self._held[case_id] = fence
        try:
            yield
        finally:
            with self._lock:
                if self._held.get(case_id) == fence:
                    del self._held[case_id]

    def renew(self) -> None:
        """Renew once. Where that keeps failing, the leases run out, and others take over."""
        with self._lock:
            held = dict(self._held)
        if held:
            self._renew(held)
