"""The votes that we write for a handler which gave none: each says what happened, and holds the case."""

from collections.abc import Collection
from datetime import timedelta

from countersign import Reason, Vote, VoteOutcome
from workers.supervision.evidence import type_name


def raised(error: BaseException) -> Vote:
    """Say that it raised an exception. Only its type is told: its text may hold a secret."""
    kind = type_name(error)
    return _error(Reason.HANDLER_ERROR, f"the handler raised {kind}", error=kind)


def invalid(problem: str) -> Vote:
    """Say that its answer can't be used, and what is wrong with it."""
    return _error(Reason.HANDLER_INVALID, problem)


def timed_out(budget: timedelta) -> Vote:
    """Say that it was stopped at its deadline."""
    seconds = budget.total_seconds()
    return Vote(
        outcome=VoteOutcome.TIMEOUT,
        reason=Reason.HANDLER_TIMEOUT,
        note=f"the handler was stopped after its budget of {seconds:g} s",
        evidence={"budget_seconds": seconds},
    )


def died(deaths: int, last: str) -> Vote:
    """Say that its process ended on this case, and again when it was asked once more."""
    note = f"the handler's process ended {deaths} times on this case, the last time with {last}"
    return _error(Reason.HANDLER_DIED, note, deaths=deaths, ended_with=last)


def changed() -> Vote:
    """Say that a new process of it is not what the worker started with, and was not asked."""
    note = (
        "the handler's files have changed, or can't be loaded any more, since the worker started: restart it"
    )
    return _error(Reason.HANDLER_ERROR, note)


def never_ready() -> Vote:
    """Say that it asked for later until there was no later."""
    return _error(
        Reason.HANDLER_NEVER_READY, "the handler asked for later, and there is no more time to wait"
    )


def facts_missing(names: Collection[str]) -> Vote:
    """Say that it was not asked, because facts that it requires are missing."""
    missing = sorted(names)
    return _error(Reason.FACT_MISSING, f"missing facts: {', '.join(missing)}", missing=missing)


def _error(reason: Reason, note: str, **evidence: object) -> Vote:
    return Vote(outcome=VoteOutcome.ERROR, reason=reason, note=note, evidence=evidence)
