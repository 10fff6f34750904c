"""When a run is over: nothing is on its way, in KeyStone, in the queue or in the ledger."""

from collections.abc import Collection

from countersign.sandbox.demo.comparison import ENDED, SCREENING
from countersign.sandbox.demo.records import LedgerRecord, PlatformRecord


def keystone_is_quiet(platform: PlatformRecord, expiring: Collection[str]) -> bool:
    """Say whether KeyStone has screened everything, and everything that is to expire (by its id) has ended.

    Any other flag may wait for a person without end.
    """
    return all(each.flags or each.state not in SCREENING for each in platform.settlements) and all(
        flag.ended_by is not None
        for each in platform.settlements
        if each.id in expiring
        for flag in each.flags
    )


def ledger_is_quiet(ledger: LedgerRecord) -> bool:
    """Say whether no case needs anything more from a worker."""
    return all(case.state in ENDED for case in ledger.cases)
