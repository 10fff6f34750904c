"""Settlements as the sandbox keeps them: parties, legs, history, and the flags that only the sandbox sees."""

import hashlib
import json
import random
from asyncio import TimerHandle
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from countersign.sandbox.dice import new_id
from countersign.sandbox.refusal import Refused
from countersign.sandbox.templates import TERMINAL, Template
from countersign.sandbox.tenants import Environment


@dataclass(slots=True, kw_only=True)
class Party:
    """One side. Fields as in keystone-api.md 3.2."""

    id: str
    role: str
    environment: Environment
    external_reference: str | None
    name: str | None
    wallet_address: str | None
    chain_id: int | None
    created_at: datetime
    status: str = "confirmed"


@dataclass(slots=True, kw_only=True)
class Leg:
    """One movement. The three secrets are shown from `AWAITING_DEPOSITS` on, on `deliver` legs only."""

    id: str
    leg_type: str
    instrument_id: str
    chain_id: int | None
    token_standard: str | None
    quantity: Decimal
    direction: str
    party_role: str
    external_reference: str | None
    created_at: datetime
    deposit_secret: str
    deposit_key: str
    calldata: str
    status: str = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One line of the audit trail (keystone-api.md 3.3)."""

    id: str
    sequence: int
    from_state: str | None
    to_state: str
    triggered_by: str
    payload: dict[str, Any] | None
    content_hash: str
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class DecisionRecord:
    """One decision call that arrived, and what became of it."""

    settlement_id: str
    decision: str | None
    client_id: str | None
    received_at: datetime
    status: int = 0
    applied: bool = False
    pause_sequence: int | None = None
    reply: str = "sent"


@dataclass(slots=True, kw_only=True)
class Flag:
    """One pause that waits for a decision. The platform shows it nowhere: it is the sandbox's own note."""

    kind: str
    pause_sequence: int
    flagged_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None
    applied: list[DecisionRecord] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class Settlement:
    """A settlement. What is below `history` is the sandbox's own and never shown by the API."""

    id: str
    idempotency_key: str
    environment: Environment
    template: Template
    external_reference: str | None
    settlement_type: str
    parties: list[Party]
    legs: list[Leg]
    timeout_at: datetime
    created_at: datetime
    updated_at: datetime
    state: str = ""
    parent: "Settlement | None" = None
    maturity_at: datetime | None = None
    repo_metadata: dict[str, Any] | None = None
    history: list[HistoryEvent] = field(default_factory=list)

    stream: random.Random
    flow: tuple[str, ...]
    outcome: str
    recheck: str | None = None
    silent: bool = False
    deposits: bool = True
    deposits_open: bool = False
    flags: list[Flag] = field(default_factory=list)
    first_flag: tuple[str, dict[str, Any]] | None = None
    """Event name and `data` of the first flag's webhook: a recheck may have to repeat them."""
    step_timer: TimerHandle | None = None
    timeout_timer: TimerHandle | None = None

    @property
    def waiting(self) -> Flag | None:
        """The flag that waits for a decision now."""
        return self.flags[-1] if self.flags and self.flags[-1].ended_at is None else None

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in TERMINAL

    @property
    def sequence(self) -> int:
        """The newest event's number in the history."""
        return len(self.history)

    @property
    def environments(self) -> list[Environment]:
        """Every environment with a party in it, the owner first: who may see it and who is told."""
        found = {self.environment.id: self.environment}
        found.update({party.environment.id: party.environment for party in self.parties})
        return list(found.values())

    def stop(self) -> None:
        """Let nothing happen to it by itself any more."""
        for timer in (self.step_timer, self.timeout_timer):
            if timer is not None:
                timer.cancel()

    def record(self, to_state: str, triggered_by: str, payload: dict[str, Any] | None, now: datetime) -> None:
        """Add an event to the history and change the state accordingly."""
        content = [
            self.id,
            self.sequence + 1,
            self.state or None,
            to_state,
            triggered_by,
            payload,
            now.isoformat(),
        ]
        event = HistoryEvent(
            id=new_id(self.stream),
            sequence=self.sequence + 1,
            from_state=self.state or None,
            to_state=to_state,
            triggered_by=triggered_by,
            payload=payload,
            content_hash=hashlib.sha256(json.dumps(content).encode()).hexdigest(),
            created_at=now,
        )
        self.history.append(event)
        self.state = to_state
        self.updated_at = now


class Book:
    """Every settlement, by id and in the order in which they were made."""

    def __init__(self) -> None:
        self.all: dict[str, Settlement] = {}
        self._of_environment: dict[str, list[Settlement]] = {}
        self._of_key: dict[tuple[str, str], Settlement] = {}

    def add(self, settlement: Settlement) -> None:
        """Keep a settlement. Every environment with a party in it sees it."""
        self.all[settlement.id] = settlement
        for environment in settlement.environments:
            self._of_environment.setdefault(environment.id, []).append(settlement)
        self._of_key[settlement.environment.id, settlement.idempotency_key] = settlement

    def get(self, settlement_id: str, environment: Environment | None = None) -> Settlement:
        """Return one settlement, if this environment (None is the sandbox itself) may see it.

        Raises:
            Refused: 404 where there is none, or it is another environment's.

        """
        settlement = self.all.get(settlement_id)
        if settlement is None or (environment is not None and environment not in settlement.environments):
            raise Refused(404, "Settlement not found")
        return settlement

    def seen_by(self, environment: Environment, state: str | None = None) -> list[Settlement]:
        """Return what an environment may see, oldest first."""
        seen = self._of_environment.get(environment.id, [])
        return [each for each in seen if state is None or each.state == state]

    def made_with(self, environment: Environment, idempotency_key: str) -> Settlement | None:
        """Return the settlement that this key made before."""
        return self._of_key.get((environment.id, idempotency_key))

    def closing_of(self, opening: Settlement) -> Settlement | None:
        """Return the closing settlement of a repo opening."""
        return next((each for each in self.all.values() if each.parent is opening), None)
