"""Votes: what one handler says of one case, and the four functions with which it says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from countersign.reasons import Reason


class VoteOutcome(StrEnum):
    """What a vote says. A handler gives the first four; the last two are what we record of its failure."""

    APPROVE = "approve"
    REJECT = "reject"
    ESCALATE = "escalate"
    ABSTAIN = "abstain"
    ERROR = "error"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One handler's answer. `evidence` is plain JSON data and is kept for as long as the decision is."""

    outcome: VoteOutcome
    reason: Reason
    note: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


def approve(reason: Reason = Reason.CHECKED_CLEAR, note: str = "", **evidence: Any) -> Vote:  # noqa: ANN401 - any JSON.
    """Vote to approve: "I have checked, and have no objection"."""
    return Vote(outcome=VoteOutcome.APPROVE, reason=reason, note=note, evidence=evidence)


def reject(reason: Reason, note: str = "", **evidence: Any) -> Vote:  # noqa: ANN401 - any JSON.
    """Vote to reject. One reject is enough, where automatic rejection is switched on; else it holds."""
    return Vote(outcome=VoteOutcome.REJECT, reason=reason, note=note, evidence=evidence)


def escalate(reason: Reason, note: str = "", **evidence: Any) -> Vote:  # noqa: ANN401 - any JSON.
    """Ask for a person: "I can't say, or it isn't mine to say"."""
    return Vote(outcome=VoteOutcome.ESCALATE, reason=reason, note=note, evidence=evidence)


def abstain(reason: Reason = Reason.CHECKED_NOT_APPLICABLE, note: str = "", **evidence: Any) -> Vote:  # noqa: ANN401 - any JSON.
    """Say that this duty does not apply to this case. A required handler that abstains still holds."""
    return Vote(outcome=VoteOutcome.ABSTAIN, reason=reason, note=note, evidence=evidence)


class TryLater(Exception):
    """Raised by a handler that cannot answer yet, say because its list is loading.

    The case waits for `after` and all handlers are asked again, until the time for it is used up; then the
    case is held.
    """

    def __init__(self, after: timedelta = timedelta(seconds=30), note: str = "") -> None:
        super().__init__(note or f"try again in {after.total_seconds():.0f} s")
        self.after = after
        self.note = note
