"""A real ledger, the real steps and a KeyStone in memory: the bench on which single cases are worked."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import select

from countersign import Case, TryLater
from countersign.verdict import Verdict
from tests.ledger.making import received
from tests.workers.pretend_keystone import CLIENT, Fault, PretendKeystone, WorkerDied
from workers import casework
from workers.judgement import Judgement
from workers.leases import LeaseKeeper
from workers.ledger import intake, listing, migrate
from workers.ledger.books import Books
from workers.ledger.engine import ledger_engine
from workers.ledger.personal import PersonalData
from workers.ledger.tables import DECISIONS, SUBMISSIONS
from workers.metrics import WorkerMetrics
from workers.steps.desk import Desk

LEASE = timedelta(seconds=10)
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SETTLEMENT = "stl-1"


class ChangingMind:
    """Handlers that answer as they are told to, and differently each time if need be."""

    def __init__(self) -> None:
        self.next: Verdict | TryLater = Verdict.HOLD
        self.broken = False
        self.asked = 0
        self.deposited: list[bool] = []

    def judge(self, _case: Case, *, deposited: bool = False, last_chance: bool = False) -> Judgement:
        self.asked += 1
        self.deposited.append(deposited)
        if self.broken:
            raise ZeroDivisionError
        verdict = self.next
        if isinstance(verdict, TryLater):
            if not last_chance:
                raise verdict
            verdict = Verdict.HOLD
        return Judgement(verdict=verdict, why="made up", policy_digest="0" * 64, votes=())


class OneCase:
    """One settlement, its flags, and a worker that may die at any moment."""

    def __init__(self, folder: Path, *, names: bool = True, tells: bool = True) -> None:
        self.time = START
        self.keystone = PretendKeystone(now=START, names_the_client=names, tells_the_decision=tells)
        self.mind = ChangingMind()
        self.books = Books(
            engine=ledger_engine(f"sqlite:///{folder / 'ledger.sqlite3'}"),
            personal=PersonalData([b"k" * 32]),
            environment="test",
            lease=LEASE,
            now=lambda: self.time,
        )
        keystone: Any = self.keystone
        judging: Any = self.mind
        self.desk = Desk(
            books=self.books,
            keystone=keystone,
            judging=judging,
            keeper=LeaseKeeper(lambda _: None, LEASE),
            metrics=WorkerMetrics(CollectorRegistry()),
            client_id=CLIENT,
        )

    def close(self) -> None:
        self.books.engine.dispose()

    def flag(self, verdict: Verdict | TryLater = Verdict.HOLD, fault: Fault = Fault.NONE) -> None:
        """Let a flag in, and a worker work on the case that it opens."""
        self.mind.next, self.keystone.fault = verdict, fault
        record = intake.take(self.books, received(settlement_id=SETTLEMENT))
        if record is not None:
            with suppress(WorkerDied):
                casework.work_on(self.desk, record)

    def work(
        self,
        seconds: float = 0,
        verdict: Verdict | TryLater = Verdict.HOLD,
        fault: Fault = Fault.NONE,
    ) -> None:
        """Let time pass, and a worker take up whatever is due then."""
        self.time += timedelta(seconds=seconds)
        self.keystone.now = self.time
        self.mind.next, self.keystone.fault = verdict, fault
        for case_id in self.open_cases():
            with suppress(WorkerDied):  # The claim stays until its lease runs out, as with SIGKILL.
                casework.advance(self.desk, case_id)

    def cases(self) -> list[dict[str, Any]]:
        """List the cases, oldest first."""
        return listing.list_cases(self.books, limit=0)[0][::-1]

    def states(self) -> list[str]:
        return [case["state"] for case in self.cases()]

    def open_cases(self) -> list[str]:
        return [case["case_id"] for case in self.cases() if case["ended_at"] is None]

    def decisions(self) -> Mapping[int | None, str]:
        """Give the recorded decision of each pause."""
        with self.books.reading() as connection:
            rows = connection.execute(select(DECISIONS.c.case_id, DECISIONS.c.decision))
            decided = {row.case_id: row.decision for row in rows}
        return {case["pause_sequence"]: decided[case["case_id"]] for case in self.cases() if case["decision"]}

    def answers(self) -> list[tuple[str | None, int | None]]:
        """List what came of each submission."""
        with self.books.reading() as connection:
            rows = connection.execute(select(SUBMISSIONS).order_by(SUBMISSIONS.c.id))
            return [(row.answer, row.status) for row in rows]


def make_template(folder: Path) -> Path:
    """Make an empty ledger once, to be copied for each case."""
    path = folder / "template.sqlite3"
    engine = ledger_engine(f"sqlite:///{path}")
    migrate.upgrade(engine)
    engine.dispose()
    return path


def copy_ledger(template: Path, folder: Path) -> Path:
    """Put a copy of the empty ledger into a folder."""
    shutil.copy(template, folder / "ledger.sqlite3")
    return folder
