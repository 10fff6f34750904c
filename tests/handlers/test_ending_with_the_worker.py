"""A handler's process ends with its worker, however the worker ends and whatever the handler is doing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

from tests.handlers.cases import a_case
from tests.handlers.conftest import AUTHORS, gone, nasty
from tests.services.processes import Processes, run
from tests.services.waiting import eventually
from workers.supervision.pool import Setup
from workers.supervision.process import HandlerProcess, environment_for_handlers

WORKER = """
import os, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from workers.judging import open_judging
from tests.handlers.cases import a_case

judging = open_judging(Path(sys.argv[1]), environ=os.environ, registry=CollectorRegistry())
judging.judge(a_case())
"""


def test_a_handler_that_never_lets_go_ends_with_a_worker_that_is_killed(
    processes: Processes, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    policy = tmp_path / "policy.toml"
    policy.write_text(nasty("stuck", pid_file=str(pid_file)))
    search = {"PYTHONPATH": f"{AUTHORS}{os.pathsep}{AUTHORS.parents[2]}"}
    worker = processes.start(sys.executable, "-c", WORKER, str(policy), environment=search)
    pid = int(eventually(lambda: pid_file.exists() and pid_file.read_text(), 20, "the handler at work"))

    psutil.Process(worker.pid).kill()

    eventually(lambda: gone(pid), 2, "the end of the handler's process")


def test_a_busy_handler_ends_when_the_pipe_to_its_worker_closes() -> None:
    """Where the kernel ends no process with its parent, the closing of the pipe does."""
    process = HandlerProcess(environment_for_handlers(os.environ))
    try:
        process.send(Setup(target="nasty:loops", settings={}, search=(str(AUTHORS),)).body())
        eventually(process.exchange, 20, "the introduction")
        process.send(json.dumps({"ask": "1", "case": a_case().to_plain()}).encode())
        spent = psutil.Process(process.pid)
        eventually(lambda: spent.cpu_times().user > 0.3, 20, "the handler's loop")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, process.requests_fd)
        os.close(nothing)

        eventually(lambda: gone(process.pid), 2, "the end of the handler's process")
    finally:
        process.end()


def test_a_process_whose_worker_has_gone_before_it_began_does_not_begin() -> None:
    requests, answers = os.pipe(), os.pipe()
    another = str(os.getppid())
    orphan = subprocess.Popen(
        [sys.executable, "-m", "workers.supervision.child", str(requests[0]), str(answers[1]), another],
        pass_fds=(requests[0], answers[1]),
    )

    try:
        assert orphan.wait(20) == 0
    finally:
        orphan.kill()
        orphan.wait()
        for fd in (*requests, *answers):
            os.close(fd)


def test_a_process_is_there_in_a_moment_because_it_loads_next_to_nothing() -> None:
    told = run(sys.executable, "-c", "import sys, workers.supervision.child; print(*sys.modules)")
    loaded = {name.partition(".")[0] for name in told.split()}

    assert loaded >= {"countersign", "workers"}
    assert not loaded & {"asyncio", "msgspec", "prometheus_client", "pydantic", "structlog", "tomllib"}
