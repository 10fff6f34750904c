"""A judgement as plain data: what came of asking the handlers, and all that the ledger keeps of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from countersign import Reason, VoteOutcome
from countersign.verdict import Mode, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedVote:
    """A vote with all that an auditor needs to know of who cast it, with which code, and when."""

    handler: str
    version: str
    origin: str
    digest: str
    mode: Mode
    required: bool
    outcome: VoteOutcome
    reason: Reason
    note: str
    evidence: Mapping[str, Any] = field(repr=False)
    started_at: datetime
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What came of one case: the votes in order of handler, their verdict, and the policy's digest."""

    votes: tuple[RecordedVote, ...]
    verdict: Verdict
    why: str
    policy_digest: str
