"""The combining rule: many votes, one verdict. Doubt holds; only a full set of required approvals approves.

This module is the whole of the rule. Its properties are tested one by one (`tests/policy/test_verdict.py`),
and nothing outside it turns votes into a decision.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from countersign.votes import Vote, VoteOutcome


class Decision(StrEnum):
    """What we send to KeyStone, and the only two things that we ever send."""

    APPROVE = "approve"
    REJECT = "reject"


class Verdict(StrEnum):
    """The votes combined."""

    APPROVE = "approve"
    REJECT = "reject"
    HOLD = "hold"


class Mode(StrEnum):
    """How far a handler's vote reaches: `shadow` is asked and recorded, but never counted."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class CastVote:
    """A vote with what the rule must know of the handler that cast it."""

    handler: str
    vote: Vote
    required: bool
    mode: Mode = Mode.ENFORCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """What this deployment may do by itself for this kind of case. Everything is off until switched on.

    Approving overrides the platform's own screening. Rejecting after a deposit would hand assets back, which
    is wrong for a blocked person: `deposited` switches automatic rejection off whatever the settings say.
    """

    auto_approve: bool = False
    auto_reject: bool = False
    deposited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """The verdict, and in `why` one line that an officer can read."""

    verdict: Verdict
    why: str


_FAILURES = frozenset({VoteOutcome.ERROR, VoteOutcome.TIMEOUT})


def combine(cast: Iterable[CastVote], powers: Powers) -> Combined:
    """Combine the votes of one case. The order of votes never matters.

    A reject weighs most; then come the doubts, each of which holds; what is left is a full set of required
    approvals, and even that approves only where approval is switched on.
    """
    counted = [c for c in cast if c.mode == Mode.ENFORCE]
    if rejecting := [c for c in counted if c.vote.outcome == VoteOutcome.REJECT]:
        return _rejected(_names(rejecting), powers)
    if doubt := _doubt(counted):
        return Combined(verdict=Verdict.HOLD, why=doubt)
    if not powers.auto_approve:
        return Combined(verdict=Verdict.HOLD, why="approval is not switched on for this kind of case")
    approving = [c for c in counted if c.vote.outcome == VoteOutcome.APPROVE]
    return Combined(verdict=Verdict.APPROVE, why=f"approved by {_names(approving)}")


def _doubt(counted: list[CastVote]) -> str | None:
    required = [c for c in counted if c.required]
    if not required:
        return "no required handler voted"
    if failed := [c for c in required if c.vote.outcome in _FAILURES]:
        return f"could not be checked by {_names(failed)}"
    if escalating := [c for c in counted if c.vote.outcome == VoteOutcome.ESCALATE]:
        return f"a person is asked for by {_names(escalating)}"
    if silent := [c for c in required if c.vote.outcome != VoteOutcome.APPROVE]:
        return f"not approved by {_names(silent)}"
    return None


def _rejected(rejecting: str, powers: Powers) -> Combined:
    if not powers.auto_reject:
        return Combined(
            verdict=Verdict.HOLD, why=f"rejected by {rejecting}, but rejection is not switched on here"
        )
    if powers.deposited:
        return Combined(
            verdict=Verdict.HOLD,
            why=f"rejected by {rejecting}, but a deposit was made, which a reject returns",
        )
    return Combined(verdict=Verdict.REJECT, why=f"rejected by {rejecting}")


def _names(cast: Iterable[CastVote]) -> str:
    return ", ".join(sorted({c.handler for c in cast}))
