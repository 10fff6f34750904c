"""What a handler may answer, and what becomes of anything else.

The same strict rules hold for a handler inside the worker and for one in a process of its own, where they are
applied twice: there, so that nothing useless is sent, and here, because a process can send what it likes.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from countersign import Case, Reason, TryLater, Vote, VoteOutcome
from countersign.handler import Judge
from workers.supervision import failures
from workers.supervision.evidence import AnswerInvalid, plain_evidence, plain_note, type_name

Answer = Vote | TryLater
"""A vote, of whatever outcome, or the wish to be asked again."""

SHORTEST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(hours=1)

_NO_ANSWER = "the handler's process sent something that is not an answer"
_GIVEN_BY_HANDLERS = frozenset(
    {VoteOutcome.APPROVE, VoteOutcome.REJECT, VoteOutcome.ESCALATE, VoteOutcome.ABSTAIN}
)


def asked(
    judge: Judge,
    case: Case,
    wait: Callable[[Awaitable[Vote]], Vote],
    catching: type[BaseException] = Exception,
) -> Answer:
    """Ask a handler and return its answer, or the error vote that stands for its failure.

    `wait` runs what an async handler returns; `catching` says what counts as the handler's failure.
    """
    try:
        returned = judge(case)
        if isinstance(returned, Awaitable):
            returned = wait(returned)
    except TryLater as later:
        return _bounded(later)
    except catching as error:
        return failures.raised(error)
    try:
        return _checked(returned)
    except AnswerInvalid as problem:
        return failures.invalid(str(problem))


def written(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON-safe data; `read` reads it back."""
    if isinstance(answer, TryLater):
        return {"later": answer.after.total_seconds(), "note": answer.note}
    return {
        "outcome": answer.outcome.value,
        "reason": answer.reason.value,
        "note": answer.note,
        "evidence": answer.evidence,
    }


def parsed(body: bytes) -> Mapping[str, Any]:
    """Parse what a handler's process sent.

    Raises:
        AnswerInvalid: It is not a JSON object.

    """
    try:
        plain = json.loads(body)
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise AnswerInvalid(_NO_ANSWER)
    return plain


def read(plain: object) -> Answer:
    """Read what `written` wrote, and trust nothing in it.

    Raises:
        AnswerInvalid: It is not a vote or a wish for later, or something in it is not allowed.

    """
    if not isinstance(plain, dict):
        raise AnswerInvalid(_NO_ANSWER)
    try:
        if plain.keys() == {"later", "note"}:
            return _bounded(TryLater(timedelta(seconds=float(plain["later"])), plain["note"]))
        return Vote(
            outcome=VoteOutcome(plain["outcome"]),
            reason=Reason(plain["reason"]),
            note=plain_note(plain["note"]),
            evidence=plain_evidence(plain["evidence"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise AnswerInvalid(_NO_ANSWER) from None


def _bounded(later: TryLater) -> Answer:
    try:
        return TryLater(min(max(later.after, SHORTEST_WAIT), LONGEST_WAIT), plain_note(later.note))
    except (AnswerInvalid, TypeError):
        return failures.invalid("the handler asked for later in a way that can't be used")


def _checked(returned: object) -> Vote:
    if not isinstance(returned, Vote):
        raise AnswerInvalid(f"the handler returned a {type_name(returned)} and not a vote")
    if not isinstance(returned.outcome, VoteOutcome) or returned.outcome not in _GIVEN_BY_HANDLERS:
        raise AnswerInvalid("the outcome is none of approve, reject, escalate and abstain")
    if not isinstance(returned.reason, Reason) or returned.reason.group == "handler":
        raise AnswerInvalid("the reason is not one of the reason codes that a handler may give")
    return Vote(
        outcome=returned.outcome,
        reason=returned.reason,
        note=plain_note(returned.note),
        evidence=plain_evidence(returned.evidence),
    )
