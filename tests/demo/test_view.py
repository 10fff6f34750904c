"""What a person and a script get to see of a run: stages, table, one line, JSON."""

import io
import json

import msgspec
from rich.console import Console

from countersign.sandbox.demo.comparison import Fate, compare
from countersign.sandbox.demo.quiet import keystone_is_quiet, ledger_is_quiet
from countersign.sandbox.demo.records import PlatformRecord
from countersign.sandbox.demo.stages import stages
from countersign.sandbox.demo.summary import Goal, Summary, summarised
from countersign.sandbox.demo.view import Live, console_for_people, rows, table
from tests.demo.honest_run import Run

COUNTS = {"token_requests": 1, "calls": {"200": 7}}


def mixed() -> Run:
    run = Run()
    run.passed()
    run.decided("approve", "approve")
    run.decided("reject")
    run.held()
    run.held(expired=True)
    return run


def summary_of(run: Run, goal: Goal, *trouble: str) -> Summary:
    platform, ledger = run.record()
    return summarised(
        compare(platform, ledger), ledger, COUNTS, goal=goal, worker_starts=1, seconds=9.87, trouble=trouble
    )


def test_the_line_adds_up_and_the_json_says_the_same() -> None:
    summary = summary_of(mixed(), Goal(5, {Fate.APPROVED: 1}))

    assert (
        summary.line
        == "5 settlements: 1 passed, 1 approved, 1 rejected, 1 held, 1 expired; 0 lost, 0 doubled"
    )
    assert summary.problems == ()
    assert json.loads(summary.json) == {
        "settlements": 5,
        "passed": 1,
        "approved": 1,
        "rejected": 1,
        "held": 1,
        "expired": 1,
        "lost": 0,
        "doubled": 0,
        "token_requests": 1,
        "calls": {"200": 7},
        "latency_ms": {"p50": 40.0, "p99": 40.0},
        "worker_starts": 1,
        "seconds": 9.9,
        "problems": [],
    }


def test_too_few_of_a_fate_or_a_missing_settlement_is_a_problem() -> None:
    summary = summary_of(mixed(), Goal(6, {Fate.APPROVED: 5, Fate.HELD: 1}), "the chain is broken")

    assert summary.problems == (
        "only 1 approved, not 5",
        "5 settlements instead of 6",
        "the chain is broken",
    )


def test_what_is_lost_doubled_or_open_is_a_problem_told_in_full() -> None:
    run = mixed()
    run.cases[2] = msgspec.structs.replace(run.cases[2], decision="approve")
    del run.cases[3]

    problems = summary_of(run, Goal(5, {})).problems

    assert [each.partition(":")[0] for each in problems] == [
        "lost",
        "doubled",
        "1 settlements are still open",
    ]


def test_the_table_has_a_row_a_flag() -> None:
    made = list(rows(*mixed().record()))

    assert [(row.flagged, row.verdict, row.decision, row.keystone, row.milliseconds) for row in made] == [
        ("no", "", "", "AWAITING_DEPOSITS", ""),
        ("yes", "approve", "approve", "AWAITING_DEPOSITS", "40"),
        ("again", "approve", "approve", "AWAITING_DEPOSITS", "40"),
        ("yes", "reject", "reject", "ROLLED_BACK", "40"),
        ("yes", "hold", "", "still waits", ""),
        ("yes", "hold", "", "TIMED_OUT", ""),
    ]
    assert made[1].votes == "limits: approve"


def test_stages_count_what_is_done_of_what_is_known() -> None:
    run = mixed()
    run.delivery("settlement-0", "settlement.state.compliance_cleared", status=503)
    run.events[0] = msgspec.structs.replace(run.events[0], body_sha256="of a delivery without an answer")

    counted = {stage.name.strip(): (stage.done, stage.of) for stage in stages(8, *run.record())}

    assert counted == {
        "settlements created": (5, 8),
        "screened by KeyStone": (5, 8),
        "flagged": (5, 5),
        "webhooks accepted": (10, 11),
        "events in the ledger": (9, 10),
        "cases judged": (5, 5),
        "cases ended": (5, 5),
        "confirmed by KeyStone": (3, 5),
        "held for a person": (1, 5),
        "expired before anyone decided": (1, 5),
    }


def shown(console: Console) -> str:
    platform, ledger = mixed().record()
    with Live(console) as live:
        live.show(stages(5, PlatformRecord(settlements=(), decisions=(), deliveries=()), ledger))
        live.show(stages(5, platform, ledger))
    console.print(table(platform, ledger))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_each_stage_once_and_no_colours() -> None:
    console = console_for_people()
    assert not console.is_terminal
    console.file = io.StringIO()
    console.print("[/log] has brackets")

    text = shown(console)

    assert "\x1b" not in text
    assert text.startswith("[/log] has brackets\n")
    assert text.count("settlements created") == 1
    assert "settlements created                 5/5" in text
    assert "limits: approve" in text


def test_a_terminal_gets_colours() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system="standard")

    text = shown(console)

    assert "\x1b[32m" in text
    assert "settlements created" in text


def test_a_run_is_quiet_when_every_case_has_ended_and_what_expires_has_expired() -> None:
    run = mixed()
    platform, ledger = run.record()
    assert ledger_is_quiet(ledger)
    assert keystone_is_quiet(platform, {"settlement-4"})
    assert not keystone_is_quiet(platform, {"settlement-3"})

    run.cases[0] = msgspec.structs.replace(run.cases[0], state="submitted")
    assert not ledger_is_quiet(run.record()[1])


def test_a_run_is_not_quiet_while_a_settlement_is_screened() -> None:
    run = Run()
    run.passed()
    run.settlements[0] = msgspec.structs.replace(run.settlements[0], state="COMPLIANCE_CHECKING")

    assert not keystone_is_quiet(run.record()[0], set())
