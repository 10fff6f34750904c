"""Countersign: one recorded, explainable decision for every KeyStone OS compliance flag.

Everything that the author of a handler imports is here.
"""

from countersign.case import Case
from countersign.facts import Fact, Facts
from countersign.handler import Handler, handler
from countersign.reasons import Reason
from countersign.settlement import Leg, Party, Settlement
from countersign.votes import TryLater, Vote, VoteOutcome, abstain, approve, escalate, reject

__version__ = "0.1.0"

__all__ = [
    "Case",
    "Fact",
    "Facts",
    "Handler",
    "Leg",
    "Party",
    "Reason",
    "Settlement",
    "TryLater",
    "Vote",
    "VoteOutcome",
    "abstain",
    "approve",
    "escalate",
    "handler",
    "reject",
]
