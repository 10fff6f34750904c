"""Both records of a run, built settlement by settlement the way an honest run would leave them."""

from datetime import UTC, datetime, timedelta

from countersign.sandbox.demo.records import (
    AppliedDecision,
    Attempt,
    LedgerCase,
    LedgerEvent,
    LedgerRecord,
    LedgerVote,
    PlatformDecision,
    PlatformFlag,
    PlatformRecord,
    PlatformSettlement,
)

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SETTLED = {"approve": "AWAITING_DEPOSITS", "reject": "ROLLED_BACK"}


class Run:
    """Collects both records; `record` gives them as they stand."""

    def __init__(self) -> None:
        self.settlements: list[PlatformSettlement] = []
        self.decisions: list[PlatformDecision] = []
        self.deliveries: list[Attempt] = []
        self.cases: list[LedgerCase] = []
        self.events: list[LedgerEvent] = []

    def passed(self) -> str:
        return self._settlement("AWAITING_DEPOSITS", "pass", ())

    def decided(self, *decisions: str) -> str:
        flags = tuple(
            PlatformFlag(
                pause_sequence=2 + 2 * number,
                flagged_at=NOON + timedelta(minutes=number),
                ended_by="decision",
                applied=(AppliedDecision(decision=decision),),
            )
            for number, decision in enumerate(decisions)
        )
        settlement_id = self._settlement(SETTLED[decisions[-1]], "flag", flags)
        for flag, decision in zip(flags, decisions, strict=True):
            self.call(settlement_id, decision, flag.pause_sequence)
            self._case(settlement_id, flag.pause_sequence, "confirmed", decision)
        return settlement_id

    def held(self, *, expired: bool = False) -> str:
        flag = PlatformFlag(pause_sequence=2, flagged_at=NOON, ended_by="timeout" if expired else None)
        settlement_id = self._settlement("TIMED_OUT" if expired else "COMPLIANCE_CHECKING", "flag", (flag,))
        self._case(settlement_id, 2, "expired" if expired else "held", None)
        return settlement_id

    def call(
        self,
        settlement_id: str,
        decision: str,
        sequence: int | None,
        *,
        applied: bool = True,
        received_at: datetime = NOON + timedelta(hours=1),
    ) -> None:
        self.decisions.append(
            PlatformDecision(
                settlement_id=settlement_id,
                decision=decision,
                received_at=received_at,
                status=200 if applied else 409,
                applied=applied,
                pause_sequence=sequence,
            )
        )

    def record(self) -> tuple[PlatformRecord, LedgerRecord]:
        platform = PlatformRecord(
            settlements=tuple(self.settlements),
            decisions=tuple(self.decisions),
            deliveries=tuple(self.deliveries),
        )
        return platform, LedgerRecord(cases=tuple(self.cases), events=tuple(self.events))

    def _settlement(self, state: str, outcome: str, flags: tuple[PlatformFlag, ...]) -> str:
        settlement_id = f"settlement-{len(self.settlements)}"
        self.settlements.append(
            PlatformSettlement(id=settlement_id, state=state, outcome=outcome, flags=flags)
        )
        for name in ("settlement.state.instructed", *(["settlement.compliance.flagged"] * len(flags))):
            self.delivery(settlement_id, name)
        return settlement_id

    def delivery(self, settlement_id: str, name: str, *, status: int | None = 202) -> None:
        sha256 = f"{settlement_id} {name} {len(self.deliveries)}"
        self.deliveries.append(
            Attempt(event=name, body_sha256=sha256, settlement_id=settlement_id, status=status)
        )
        if status == 202:
            self.events.append(
                LedgerEvent(event_id=sha256, name=name, body_sha256=sha256, settlement_id=settlement_id)
            )

    def _case(self, settlement_id: str, sequence: int, state: str, decision: str | None) -> None:
        self.cases.append(
            LedgerCase(
                case_id=f"case-{len(self.cases)}",
                settlement_id=settlement_id,
                pause_sequence=sequence,
                state=state,
                verdict=decision or "hold",
                decision=decision,
                votes=(LedgerVote(handler="limits", outcome=decision or "escalate"),),
                flag_received_at=NOON,
                submitted_at=None if decision is None else NOON + timedelta(milliseconds=40),
            )
        )
