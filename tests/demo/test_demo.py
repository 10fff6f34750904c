"""The demo in real processes: it holds, it notices what is missing, and it leaves nothing behind."""

import json
import os
import re
import signal
import sqlite3
from pathlib import Path

import msgspec
import psutil
import pytest

from countersign.sandbox.demo import programs
from countersign.sandbox.demo.comparison import compare
from countersign.sandbox.demo.records import LedgerRecord, PlatformRecord, ledger_record
from tests.demo.demo_run import DemoRun, command, lives
from tests.services.processes import Processes, run
from tests.services.waiting import eventually

LINE = re.compile(
    r"(\d+) settlements: (\d+) passed, (\d+) approved, (\d+) rejected, (\d+) held, (\d+) expired; "
    r"0 lost, 0 doubled"
)


def test_a_demo_holds_and_a_decision_taken_out_of_its_ledger_is_missed(
    processes: Processes, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    demo = DemoRun(processes, tmp_path, "--json", "--stay", "--keep", str(kept))
    demo.wait_for_output('"settlements": 40')

    line = LINE.search(demo.output)
    assert line is not None
    total, *parts = map(int, line.groups())
    assert total == sum(parts) == 40
    assert min(parts[1:4]) >= 5
    assert "\x1b" not in demo.output
    assert demo.summary["settlements"] == 40
    assert demo.summary["problems"] == []
    assert demo.summary["seconds"] < 30
    assert demo.summary["token_requests"] == 1
    assert demo.summary["calls"]["200"] > 0
    assert 0 < demo.summary["latency_ms"]["p50"] <= demo.summary["latency_ms"]["p99"]
    assert "everything stays until Ctrl-C" in demo.output
    assert len(demo.sandbox("settlements")["items"]) == 40
    assert demo.interrupt(signal.SIGINT) == 0
    demo.assert_left_nothing()
    _assert_a_missing_decision_is_noticed(kept)


def _assert_a_missing_decision_is_noticed(kept: Path) -> None:
    platform = msgspec.json.decode((kept / "keystone.json").read_bytes(), type=PlatformRecord)
    ledger = msgspec.json.decode((kept / "ledger.json").read_bytes(), type=LedgerRecord)
    assert compare(platform, ledger).holds
    confirmed = next(case.case_id for case in ledger.cases if case.state == "confirmed")

    with sqlite3.connect(kept / "ledger.sqlite3") as database:
        database.execute("UPDATE cases SET decision = NULL WHERE id = ?", (confirmed,))
    comparison = compare(platform, _read_ledger(kept))

    assert not comparison.holds
    assert len(comparison.lost) == 1
    assert "KeyStone has a decision for it that the ledger has not" in comparison.lost[0]


def _read_ledger(kept: Path) -> LedgerRecord:
    site = programs.Site(folder=kept)
    cases, events = (
        json.loads(run(*program.command, environment=program.environment))
        for program in (programs.cases(site), programs.events(site))
    )
    return ledger_record(cases, events)


@pytest.mark.parametrize("victim", ["group", "child", "master"])
def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(
    processes: Processes, tmp_path: Path, victim: str
) -> None:
    demo = DemoRun(processes, tmp_path, "--json", "--settlements", "30")
    worker = demo.process("worker")
    demo.wait_for_decisions(1)
    masters = _masters(worker)
    others = [masters[1], *masters[1].children(recursive=True)] if victim != "group" else []
    doomed = [each for each in worker.children(recursive=True) if each not in others]

    match victim:
        case "group":
            os.killpg(worker.pid, signal.SIGKILL)
        case "child":
            masters[0].children()[0].kill()
        case "master":
            masters[0].kill()

    psutil.wait_procs(doomed, timeout=2)
    assert not any(lives(each) for each in doomed), "a worker works on as an orphan"
    assert all(lives(each) for each in others), "the other workers died too"
    assert len(demo.sandbox("decisions")["items"]) < 15, "the run was over before anything was killed"
    eventually(lambda: len(_masters(demo.process("worker"))) == 2, 20, "the replacement of what was killed")

    assert demo.end() == 0, demo.output + demo.errors
    assert demo.summary["lost"] == demo.summary["doubled"] == 0
    assert demo.summary["worker_starts"] == (2 if victim == "group" else 1)
    demo.assert_left_nothing()


def _masters(worker: psutil.Process) -> list[psutil.Process]:
    return [each for each in worker.children() if "dramatiq" in command(each) and lives(each)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_leaves_nothing(processes: Processes, tmp_path: Path, number: signal.Signals) -> None:
    demo = DemoRun(processes, tmp_path, "--settlements", "30")
    demo.wait_for_decisions(1)

    assert demo.interrupt(number) == 128 + number

    assert "everything that the demo started is stopped too" in demo.errors
    demo.assert_left_nothing()


def test_a_demo_stopped_at_its_start_leaves_nothing(processes: Processes, tmp_path: Path) -> None:
    demo = DemoRun(processes, tmp_path)
    demo.process("migrate")

    assert demo.interrupt(signal.SIGINT) == 130

    demo.assert_left_nothing()


def test_a_demo_whose_records_do_not_hold_fails(processes: Processes, tmp_path: Path) -> None:
    # One of ten is made to expire, which takes longer than this run may.
    demo = DemoRun(processes, tmp_path, "--json", "--settlements", "10", "--timeout-seconds", "1")

    assert demo.end() == 1

    assert any("was not over" in problem for problem in demo.summary["problems"])


def test_a_demo_does_not_mix_its_ledger_with_an_old_one(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "ledger.sqlite3").touch()
    demo = DemoRun(processes, tmp_path, "--keep", str(tmp_path / "old"))

    assert demo.end() == 2

    assert "is not empty" in demo.errors
