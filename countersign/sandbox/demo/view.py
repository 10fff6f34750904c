"""What a person sees: a progress line per stage while it runs, then a table, then one line."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from countersign.sandbox.demo.comparison import case_of
from countersign.sandbox.demo.records import (
    LedgerCase,
    LedgerRecord,
    PlatformFlag,
    PlatformRecord,
    PlatformSettlement,
)
from countersign.sandbox.demo.stages import Stage
from countersign.sandbox.demo.summary import latency_ms

_PIPED_WIDTH = 120
_STYLES = {"approve": "green", "reject": "red", "hold": "yellow"}


def console_for_people() -> Console:
    """Make a console: colours and live lines on a terminal, plain text of one width into a pipe.

    Square brackets are text: the last lines of a log have some.
    """
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=_PIPED_WIDTH)


class Row(NamedTuple):
    """One flag (or one settlement that had none), as the table shows it."""

    settlement: str
    flagged: str
    votes: str
    verdict: str
    decision: str
    keystone: str
    milliseconds: str


def rows(platform: PlatformRecord, ledger: LedgerRecord) -> Iterator[Row]:
    """Make the table's rows, a row a flag."""
    for settlement in platform.settlements:
        cases = [case for case in ledger.cases if case.settlement_id == settlement.id]
        if not settlement.flags:
            yield Row(settlement.id[:8], "no", "", "", "", settlement.state, "")
        for number, flag in enumerate(settlement.flags):
            yield _row(settlement, flag, case_of(flag, settlement, cases), again=number > 0)


def table(platform: PlatformRecord, ledger: LedgerRecord) -> Table:
    """Draw the table of all settlements."""
    drawn = Table()
    for heading in ("settlement", "flagged", "votes", "verdict", "decision", "KeyStone now says"):
        drawn.add_column(heading)
    drawn.add_column("ms", justify="right")
    for row in rows(platform, ledger):
        drawn.add_row(*row, style=_STYLES.get(row.verdict))
    return drawn


class Live:
    """The progress lines. Into a pipe they go once, at the end, because a pipe can't take one back."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<32}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:>4}/{task.total}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._last: tuple[Stage, ...] = ()

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state standing."""
        self._progress.stop()
        if not self._console.is_terminal:
            for stage in self._last:
                self._console.print(f"{stage.name:<32}{stage.done:>5}/{stage.of}")

    def show(self, now: Iterable[Stage]) -> None:
        """Show how far the run has come."""
        self._last = tuple(now)
        for stage in self._last:
            if stage.name not in self._tasks:
                self._tasks[stage.name] = self._progress.add_task(stage.name, total=stage.of)
            self._progress.update(self._tasks[stage.name], completed=stage.done, total=stage.of)

    def say(self, text: str) -> None:
        """Print a line above the progress."""
        self._console.print(text)


def _row(settlement: PlatformSettlement, flag: PlatformFlag, case: LedgerCase | None, *, again: bool) -> Row:
    ms = None if case is None else latency_ms(case)
    return Row(
        settlement.id[:8],
        "again" if again else "yes",
        "" if case is None else ", ".join(f"{vote.handler}: {vote.outcome}" for vote in case.votes),
        (case and case.verdict) or "",
        (case and case.decision) or "",
        "still waits" if flag.ended_by is None else settlement.state,
        "" if ms is None else f"{ms:.0f}",
    )
