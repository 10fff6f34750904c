"""The fleet replaces a worker that dies, leaves the others alone, and stops all of them together."""

import os
import signal
import sys
from pathlib import Path

import psutil

from tests.services.processes import Processes, Running
from tests.services.waiting import eventually

FLEET = """
import sys
from workers.fleet import Fleet
import os
Fleet(command=[sys.executable, "-c", sys.argv[1]], environ=dict(os.environ), processes=3,
      shutdown_seconds=1).run()
"""
WORKER = "import time, signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); time.sleep(600)"
DEAF = "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def started(processes: Processes, worker: str) -> Running:
    running = processes.start(sys.executable, "-c", FLEET, worker)
    eventually(lambda: len(running.descendants) == 3)
    return running


def test_a_dead_worker_is_replaced_and_the_others_go_on(processes: Processes) -> None:
    running = started(processes, WORKER)
    before = {child.pid for child in running.descendants}
    victim = min(before)

    os.kill(victim, signal.SIGKILL)

    def after() -> set[int]:
        pids = {child.pid for child in running.descendants}
        return pids if len(pids) == 3 and victim not in pids else set()

    assert len(eventually(after) & before) == 2


def test_sigterm_stops_all_of_them(processes: Processes) -> None:
    running = started(processes, WORKER)
    children = running.descendants

    assert running.stop() == 0
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_worker_that_does_not_stop_is_ended_after_its_time(processes: Processes) -> None:
    running = started(processes, DEAF)
    children = running.descendants

    assert running.stop(within_seconds=15) == 0
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_worker_that_keeps_dying_does_not_become_a_busy_loop(processes: Processes, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    dying = f"open({str(starts)!r}, 'a').write('x'); raise SystemExit(3)"
    processes.start(sys.executable, "-c", FLEET, dying)

    eventually(lambda: starts.exists() and len(starts.read_text()) >= 6)  # Each of three, and at once again.

    assert len(starts.read_text()) <= 9
