"""The end of a run in numbers: the one line for people, and the JSON for scripts."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from countersign.sandbox.demo.comparison import Comparison, Fate
from countersign.sandbox.demo.records import LedgerCase, LedgerRecord

_FATES = (Fate.PASSED, Fate.APPROVED, Fate.REJECTED, Fate.HELD, Fate.EXPIRED)


class Goal(NamedTuple):
    """What a run must come to: so many settlements, and at least so many of some fates."""

    settlements: int
    least: Mapping[Fate, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run came to. `problems` is empty if, and only if, the run was good."""

    settlements: int
    fates: Mapping[Fate, int]
    lost: int
    doubled: int
    token_requests: int
    calls: Mapping[str, int]
    latencies_ms: tuple[float, ...]
    worker_starts: int
    seconds: float
    problems: tuple[str, ...]

    @property
    def line(self) -> str:
        """Say it in one line, whose parts add up to the number of settlements."""
        parts = ", ".join(f"{self.fates[fate]} {fate}" for fate in _FATES)
        return f"{self.settlements} settlements: {parts}; {self.lost} lost, {self.doubled} doubled"

    @property
    def json(self) -> str:
        """Say it in one line of JSON. `latency_ms` is from the accepted webhook to the submitted decision."""
        return json.dumps(
            {
                "settlements": self.settlements,
                **{fate.value: self.fates[fate] for fate in _FATES},
                "lost": self.lost,
                "doubled": self.doubled,
                "token_requests": self.token_requests,
                "calls": dict(self.calls),
                "latency_ms": {
                    "p50": percentile(self.latencies_ms, 50),
                    "p99": percentile(self.latencies_ms, 99),
                },
                "worker_starts": self.worker_starts,
                "seconds": round(self.seconds, 1),
                "problems": list(self.problems),
            }
        )


def summarised(
    comparison: Comparison,
    ledger: LedgerRecord,
    counts: Mapping[str, Any],
    *,
    goal: Goal,
    worker_starts: int,
    seconds: float,
    trouble: Iterable[str] = (),
) -> Summary:
    """Draw the summary of a run. `trouble` is what else went wrong, a sentence each."""
    fates = {fate: comparison.count(fate) for fate in Fate}
    few = [f"only {fates[fate]} {fate}, not {low}" for fate, low in goal.least.items() if fates[fate] < low]
    unfinished = [f"{fates[Fate.OPEN]} settlements are still open"] if fates[Fate.OPEN] else []
    missing = [f"{len(comparison.fates)} settlements instead of {goal.settlements}"]
    return Summary(
        settlements=len(comparison.fates),
        fates=fates,
        lost=len(comparison.lost),
        doubled=len(comparison.doubled),
        token_requests=int(counts["token_requests"]),
        calls=dict(counts["calls"]),
        latencies_ms=tuple(sorted(ms for case in ledger.cases if (ms := latency_ms(case)) is not None)),
        worker_starts=worker_starts,
        seconds=seconds,
        problems=(
            *(f"lost: {each}" for each in comparison.lost),
            *(f"doubled: {each}" for each in comparison.doubled),
            *unfinished,
            *few,
            *(missing if len(comparison.fates) != goal.settlements else []),
            *trouble,
        ),
    )


def latency_ms(case: LedgerCase) -> float | None:
    """Return the time from the accepted webhook to the submitted decision, None where none was submitted."""
    if case.flag_received_at is None or case.submitted_at is None:
        return None
    return (case.submitted_at - case.flag_received_at).total_seconds() * 1000


def percentile(ordered: tuple[float, ...], percent: int) -> float | None:
    """Return the smallest value that `percent` of all (in ascending order) don't exceed; None of none."""
    return round(ordered[ceil(len(ordered) * percent / 100) - 1], 1) if ordered else None
