"""The run itself, from the first process to the last line: the demo's composition root."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from countersign.sandbox.demo import programs
from countersign.sandbox.demo.comparison import Fate
from countersign.sandbox.demo.control import Control
from countersign.sandbox.demo.folder import run_folder
from countersign.sandbox.demo.ledger import LedgerReader
from countersign.sandbox.demo.mix import TROUBLE, Planned, least, mix
from countersign.sandbox.demo.processes import Processes, ProcessFailed
from countersign.sandbox.demo.queue_view import Queue
from countersign.sandbox.demo.records import LedgerRecord, PlatformRecord, write_records
from countersign.sandbox.demo.stages import stages
from countersign.sandbox.demo.stopping import Interrupted, Stopping
from countersign.sandbox.demo.summary import Goal, Summary, summarised
from countersign.sandbox.demo.system import System
from countersign.sandbox.demo.view import Live, table
from countersign.sandbox.demo.watching import Outcome, Watch

_THREADS = 8
_VERIFY_SECONDS = 30.0
_LOOK_SECONDS = 0.5
_PAUSE_SECONDS, _SENDING_SECONDS = 0.1, 10.0
"""Between two settlements, and for all of them at most."""

_LOOK_EVERY = 4
_CALLS_A_MINUTE = 600
_CALLS_A_SETTLEMENT = 15
"""More than a settlement needs, so that a large run is not slowed down to the documented limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for."""

    settlements: int
    workers: int
    seed: int
    stay: bool
    as_json: bool
    keep: Path | None
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a run is made of, built once by `run_demo`."""

    options: Options
    plan: Sequence[Planned]
    console: Console
    stopping: Stopping
    processes: Processes
    site: programs.Site
    control: Control
    queue: Queue
    system: System


def run_demo(options: Options, console: Console) -> int:
    """Run the demo and return its exit status: 0 only if nothing was lost, doubled or left undone.

    Everything that it starts is stopped before it returns or raises, and its folder is removed unless it is
    to be kept.

    Raises:
        Interrupted: A stop was asked for before the run was over.
        FolderInUse: The folder to keep is not empty.
        NoServerFound: There is no Valkey or Redis server on this machine.
        ProcessFailed: One of the processes did not do its job.
        RecordUnreadable: One of the two records has another form than agreed.
        TookTooLong: Something did not start.

    """
    began = time.monotonic()
    with ExitStack() as stack:
        stopping = stack.enter_context(Stopping())
        folder = stack.enter_context(run_folder(options.keep))
        processes = stack.enter_context(Processes(folder, stopping))
        site = programs.Site(folder=folder)
        parts = Parts(
            options=options,
            plan=mix(options.settlements, options.seed),
            console=console,
            stopping=stopping,
            processes=processes,
            site=site,
            control=stack.enter_context(Control(site.sandbox_url)),
            queue=stack.enter_context(Queue(site.redis_url)),
            system=System(site, processes, stopping, console.print),
        )
        _start(parts)
        outcome = _play(parts)
        summary = _conclude(parts, outcome, began)
        _show(parts, outcome, summary)
        if options.keep is not None:
            write_records(folder, outcome.platform, outcome.ledger)
        if options.stay:
            _stay(parts)
        return 1 if summary.problems else 0


def _start(parts: Parts) -> None:
    options = parts.options
    parts.console.print("starting the queue, a local KeyStone, the receiver and the workers …")
    parts.system.start_platform(
        parts.control,
        parts.queue,
        seed=options.seed,
        calls_a_minute=max(_CALLS_A_MINUTE, options.settlements * _CALLS_A_SETTLEMENT),
    )
    parts.system.start_countersign(parts.queue, workers=options.workers, threads=_THREADS)
    parts.control.set_faults(TROUBLE)


def _play(parts: Parts) -> Outcome:
    ledger = LedgerReader(parts.processes, parts.site, glancing=parts.console.is_terminal)
    with Live(parts.console) as live:

        def each_time(platform: PlatformRecord, ledger: LedgerRecord) -> None:
            parts.system.keep()
            live.show(stages(len(parts.plan), platform, ledger))

        watch = Watch(parts.control, parts.queue, ledger, parts.stopping, each_time)
        expiring = _send(parts, watch)
        return watch.until_quiet(expiring, seconds=parts.options.timeout_seconds)


def _send(parts: Parts, watch: Watch) -> set[str]:
    """Make all settlements, evenly over a few seconds, and return the ids of those that are to expire."""
    pause = min(_PAUSE_SECONDS, _SENDING_SECONDS / len(parts.plan))
    expiring = set[str]()
    for number, planned in enumerate(parts.plan):
        settlement_id = parts.control.create(planned.wish)
        if planned.kind.fate is Fate.EXPIRED:
            expiring.add(settlement_id)
        if number % _LOOK_EVERY == 0:
            watch.look()
        parts.stopping.pause(pause)
    return expiring


def _conclude(parts: Parts, outcome: Outcome, began: float) -> Summary:
    trouble = [] if outcome.in_time else [f"the run was not over after {parts.options.timeout_seconds:g} s"]
    try:
        parts.processes.run(programs.verify(parts.site), seconds=_VERIFY_SECONDS)
    except ProcessFailed as failed:
        trouble.append(str(failed))
    return summarised(
        outcome.comparison,
        outcome.ledger,
        parts.control.counts(),
        goal=Goal(len(parts.plan), least(parts.plan)),
        worker_starts=parts.system.worker_starts,
        seconds=time.monotonic() - began,
        trouble=trouble,
    )


def _show(parts: Parts, outcome: Outcome, summary: Summary) -> None:
    parts.console.print(table(outcome.platform, outcome.ledger))
    for problem in summary.problems:
        parts.console.print(problem, style="red", soft_wrap=True)
    if parts.options.stay:
        parts.console.print(_addresses(parts.site), soft_wrap=True)
    parts.console.print(summary.line, style="bold red" if summary.problems else "bold green", soft_wrap=True)
    if parts.options.as_json:
        parts.console.print(summary.json, soft_wrap=True)


def _stay(parts: Parts) -> None:
    """Keep everything running until a stop is asked for, which is then the ordinary end."""
    try:
        while True:
            parts.system.keep()
            parts.stopping.pause(_LOOK_SECONDS)
    except Interrupted:
        return


def _addresses(site: programs.Site) -> str:
    return "\n".join(
        (
            f"KeyStone sandbox   {site.sandbox_url} (control API: {site.sandbox_url}/_sandbox/settlements)",
            f"receiver           {site.receiver_url}/webhooks/keystone",
            f"queue              {site.redis_url}",
            f"ledger             {site.database_url}",
            f"logs               {site.folder}",
            "everything stays until Ctrl-C",
        )
    )
