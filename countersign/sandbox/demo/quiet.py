"""When a run is over: nothing is on its way, in KeyStone, in the queue or in the ledger."""

from collections.abc import Collection
from types import TracebackType
from typing import Self

import redis

from countersign.sandbox.demo.comparison import ENDED, SCREENING
from countersign.sandbox.demo.records import LedgerRecord, PlatformRecord

_JOURNAL = "countersign:journal"
_TIMEOUT_SECONDS = 5.0


class Journal:
    """The queue's journal, which an event leaves when it is in the ledger."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
        )

    def is_ready(self) -> bool:
        """Say whether the queue's server answers yet."""
        try:
            return bool(self._redis.ping())
        except redis.ConnectionError:
            return False

    def is_empty(self) -> bool:
        """Say whether no event waits for its place in the ledger.

        Raises:
            redis.RedisError: The queue's server does not answer.

        """
        return self._redis.xlen(_JOURNAL) == 0

    def __enter__(self) -> Self:
        """Return itself; the connection opens on use."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._redis.close()


def is_quiet(platform: PlatformRecord, ledger: LedgerRecord, expiring: Collection[str]) -> bool:
    """Say whether both records show an end of everything that has one.

    A flag may wait for a person without end: only those of the settlements in `expiring` are waited for.
    """
    return (
        all(each.flags or each.state not in SCREENING for each in platform.settlements)
        and all(
            flag.ended_by is not None
            for each in platform.settlements
            if each.id in expiring
            for flag in each.flags
        )
        and all(case.state in ENDED for case in ledger.cases)
    )
