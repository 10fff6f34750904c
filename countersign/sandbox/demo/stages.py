"""How far a run has come: one stage after the other, each counted from the two records."""

from typing import NamedTuple

from countersign.sandbox.demo.comparison import ENDED, SCREENING
from countersign.sandbox.demo.records import LedgerRecord, PlatformRecord


class Stage(NamedTuple):
    """One line of progress: `done` of `of`."""

    name: str
    done: int
    of: int


def stages(wanted: int, platform: PlatformRecord, ledger: LedgerRecord) -> tuple[Stage, ...]:
    """Count how far the run has come."""
    flags = [flag for settlement in platform.settlements for flag in settlement.flags]
    screened = sum(1 for each in platform.settlements if each.flags or each.state not in SCREENING)
    sent = {(each.settlement_id, each.body_sha256): each.accepted for each in platform.deliveries}
    accepted = {(each.settlement_id, each.body_sha256) for each in platform.deliveries if each.accepted}
    written = {(each.settlement_id, each.body_sha256) for each in ledger.events}
    states = [case.state for case in ledger.cases]
    decided = sum(1 for case in ledger.cases if case.verdict is not None)
    ended = sum(1 for state in states if state in ENDED)
    return (
        Stage("settlements created", len(platform.settlements), wanted),
        Stage("screened by KeyStone", screened, wanted),
        Stage("flagged", len(flags), len(flags)),
        Stage("webhooks accepted", len(accepted), len(sent)),
        Stage("events in the ledger", len(written & accepted), len(accepted)),
        Stage("cases judged", decided, max(len(flags), len(states))),
        Stage("cases ended", ended, max(len(flags), len(states))),
        Stage("  confirmed by KeyStone", sum(1 for s in states if s in {"confirmed", "matched"}), ended),
        Stage("  held for a person", states.count("held"), ended),
        Stage("  expired before anyone decided", states.count("expired"), ended),
    )
