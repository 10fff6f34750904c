"""The audit at the end of a run: the ledger against the sandbox's own record. Pure, over two records.

*Lost*: an event answered 2xx that has no ledger row; a flag for which the ledger has neither a decision
nor a hold nor another end; a decision that the sandbox has and the ledger has not, or the other way round.
*Doubled*: two applied, or two different, decisions for one flag, the one that the ledger recorded included.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from countersign.sandbox.demo.records import (
    LedgerCase,
    LedgerRecord,
    PlatformDecision,
    PlatformFlag,
    PlatformRecord,
    PlatformSettlement,
)

ENDED = frozenset({"confirmed", "held", "matched", "conflict", "expired", "superseded"})
"""The states in which a case needs nothing more from a worker."""

SCREENING = frozenset({"INSTRUCTED", "COMPLIANCE_CHECKING"})
"""The states in which a settlement that was never flagged has not passed yet."""


class Fate(StrEnum):
    """What became of a settlement in the end: each has exactly one, so the counts add up."""

    PASSED = "passed"
    APPROVED = "approved"
    REJECTED = "rejected"
    HELD = "held"
    EXPIRED = "expired"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result: every settlement's fate by id, and a sentence for each thing lost or doubled."""

    fates: Mapping[str, Fate]
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()

    def count(self, fate: Fate) -> int:
        """Count the settlements with this fate."""
        return sum(1 for each in self.fates.values() if each is fate)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, nothing was doubled, and no settlement is still open."""
        return not self.lost and not self.doubled and not self.count(Fate.OPEN)


def compare(platform: PlatformRecord, ledger: LedgerRecord) -> Comparison:
    """Compare the two records of one run."""
    lost = list(_lost_events(platform, ledger))
    doubled: list[str] = []
    fates: dict[str, Fate] = {}
    for settlement in platform.settlements:
        cases = [case for case in ledger.cases if case.settlement_id == settlement.id]
        calls = [call for call in platform.decisions if call.settlement_id == settlement.id]
        fates[settlement.id] = _fate(settlement, cases)
        for flag in settlement.flags:
            name = f"the flag {flag.pause_sequence} of settlement {settlement.id}"
            case = case_of(flag, settlement, cases)
            sent = _sent(flag, settlement, calls)
            lost += [f"{name}: {why}" for why in _lost(flag, case)]
            doubled += [f"{name}: {why}" for why in _doubled(flag, case, sent)]
    return Comparison(fates=fates, lost=tuple(lost), doubled=tuple(doubled))


def case_of(
    flag: PlatformFlag, settlement: PlatformSettlement, cases: Iterable[LedgerCase]
) -> LedgerCase | None:
    """Find a flag's case among those of its settlement.

    A case that knows no sequence matches only where there is one flag: for a second one it proves nothing.
    """
    by_sequence = {case.pause_sequence: case for case in cases}
    unnumbered = by_sequence.get(None) if len(settlement.flags) == 1 else None
    return by_sequence.get(flag.pause_sequence, unnumbered)


def _lost_events(platform: PlatformRecord, ledger: LedgerRecord) -> Iterator[str]:
    rows = {(event.settlement_id, event.body_sha256) for event in ledger.events}
    accepted = {
        (attempt.settlement_id, attempt.body_sha256): attempt.event
        for attempt in platform.deliveries
        if attempt.accepted
    }
    for key, name in accepted.items():
        if key not in rows:
            yield f"{name} of settlement {key[0]}: answered 2xx, but the ledger has no such event"


def _lost(flag: PlatformFlag, case: LedgerCase | None) -> Iterator[str]:
    if case is None:
        yield "the ledger has no case for it"
    elif case.state not in ENDED:
        yield f"its case is {case.state}, which is no end"
    elif flag.applied and case.decision is None:
        yield "KeyStone has a decision for it that the ledger has not"
    elif flag.ended_by is None and case.state != "held":
        yield f"its case is {case.state}, but KeyStone still waits"


def _doubled(flag: PlatformFlag, case: LedgerCase | None, sent: frozenset[str]) -> Iterator[str]:
    recorded = None if case is None else case.decision
    if len(flag.applied) > 1:
        yield f"{len(flag.applied)} decisions were applied"
    if len(sent) > 1:
        yield f"different decisions were sent: {', '.join(sorted(sent))}"
    elif recorded is not None and sent and recorded not in sent:
        yield f"the ledger says {recorded}, but {', '.join(sent)} was sent"


def _sent(
    flag: PlatformFlag, settlement: PlatformSettlement, calls: Iterable[PlatformDecision]
) -> frozenset[str]:
    """Collect every decision that reached the sandbox for this flag, applied or refused."""
    return frozenset(
        [each.decision for each in flag.applied]
        + [call.decision for call in calls if _flag_of(call, settlement) is flag]
    )


def _flag_of(call: PlatformDecision, settlement: PlatformSettlement) -> PlatformFlag | None:
    """Say which flag a call was about: the one that waited then, or else the last one raised before it."""
    if call.pause_sequence is not None:
        return next((flag for flag in settlement.flags if flag.pause_sequence == call.pause_sequence), None)
    before = (flag for flag in settlement.flags if flag.flagged_at <= call.received_at)
    return max(before, key=_sequence, default=None)


def _fate(settlement: PlatformSettlement, cases: Iterable[LedgerCase]) -> Fate:
    if not settlement.flags:
        passed = settlement.outcome == "pass" and settlement.state not in SCREENING
        return Fate.PASSED if passed else Fate.OPEN
    flag = max(settlement.flags, key=_sequence)
    if flag.ended_by == "timeout":
        return Fate.EXPIRED
    if flag.applied:
        return Fate.APPROVED if flag.applied[-1].decision == "approve" else Fate.REJECTED
    case = case_of(flag, settlement, cases)
    return Fate.HELD if case is not None and case.state == "held" else Fate.OPEN


def _sequence(flag: PlatformFlag) -> int:
    return flag.pause_sequence
