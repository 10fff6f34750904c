"""Decisions on flagged settlements, and the record of every one that ever arrived (keystone-api.md 3.5)."""

from typing import Any

from countersign.sandbox.clock import true_now
from countersign.sandbox.faults import Switchboard
from countersign.sandbox.lifecycle import ENGINE, Lifecycle
from countersign.sandbox.refusal import Refused
from countersign.sandbox.settlements import DecisionRecord, Settlement

NOT_AWAITING = "Settlement is not awaiting a compliance decision"
"""The documented text of the 409."""


class Decisions:
    """Applies decisions. `records` is the truth by which doubled decisions are found."""

    def __init__(self, lifecycle: Lifecycle, board: Switchboard) -> None:
        self._lifecycle = lifecycle
        self._board = board
        self.records: list[DecisionRecord] = []

    def arrived(self, settlement_id: str, client_id: str | None, decision: str | None) -> DecisionRecord:
        """Note that a decision call has come in. Whoever answers it fills in the status."""
        record = DecisionRecord(
            settlement_id=settlement_id, decision=decision, client_id=client_id, received_at=true_now()
        )
        self.records.append(record)
        return record

    def apply(self, settlement: Settlement, record: DecisionRecord) -> str:
        """Apply a decision to the pause that waits now, and return the state that the answer shows.

        Raises:
            Refused: 409 where nothing waits.

        """
        flag = settlement.waiting
        if flag is None:
            if self._is_accepted_repeat(settlement, record):
                return settlement.state
            raise Refused(409, NOT_AWAITING)
        flag.ended_at, flag.ended_by = true_now(), "decision"
        flag.applied.append(record)
        record.applied = True
        record.pause_sequence = flag.pause_sequence
        before = settlement.state
        if self._board.now.decision_effect == "later":
            self._lifecycle.later(settlement, lambda: self._take_effect(settlement, record))
            return before
        self._take_effect(settlement, record)
        return settlement.state

    def _take_effect(self, settlement: Settlement, record: DecisionRecord) -> None:
        by, payload = self._in_history(record)
        if record.decision == "approve":
            self._lifecycle.approve(settlement, by, payload)
        else:
            self._lifecycle.reject(settlement, by, payload)

    def _in_history(self, record: DecisionRecord) -> tuple[str, dict[str, Any] | None]:
        who = record.client_id or ""
        by = who if ":" in who else f"m2m:{who}"
        if self._board.now.decision_author == "platform":
            by = "m2m:platform"
        match self._board.now.decision_history:
            case "engine":
                return ENGINE, None
            case "null":
                return by, None
            case _:
                return by, {"decision": record.decision}

    def _is_accepted_repeat(self, settlement: Settlement, record: DecisionRecord) -> bool:
        if self._board.now.decision_repeat != "accepted" or not settlement.flags:
            return False
        return any(each.decision == record.decision for each in settlement.flags[-1].applied)
