"""When a run is over: nothing is on its way, in KeyStone, in the queue or in the ledger."""

from collections.abc import Collection

from countersign.sandbox.demo.comparison import ENDED, SCREENING
from countersign.sandbox.demo.records import LedgerRecord, PlatformRecord


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
