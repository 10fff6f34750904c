"""The warden: a small process that outlives the tests and clears up after them, however they ended.

Fixtures end what they start. Where they can't (a test run that is killed with SIGKILL runs no fixture), the
warden sees its end of a pipe close, ends the processes that it was told of with all that descend from them,
and removes the folders.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

MARK = "TESTS_OF_COUNTERSIGN"
"""Every process that a test starts has this variable, and so has whatever descends from it.

Its name does not begin like a setting's: the demo gives its processes no `COUNTERSIGN_…` but their own.
"""

_GRACE_SECONDS = 5


class Warden:
    """The tests' end of the pipe.

    `mark` is this run's own value of `MARK`. What it starts keeps its temporary files in `temporary`, because
    a process that is killed can't remove its own. (The path is short: sockets lie there.)
    """

    def __init__(self) -> None:
        self.mark = os.urandom(8).hex()
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.mark], stdin=subprocess.PIPE, start_new_session=True, text=True
        )
        self.temporary = self.folder(Path(tempfile.mkdtemp(prefix="countersign-")))

    def process(self, pid: int, end_with: signal.Signals = signal.SIGKILL) -> None:
        """Have this process and its group ended: with `end_with`, and SIGKILL if that is not enough."""
        self._tell({"pid": pid, "created": psutil.Process(pid).create_time(), "signal": int(end_with)})

    def folder(self, path: Path) -> Path:
        """Have this folder removed."""
        self._tell({"folder": str(path)})
        return path

    def close(self) -> None:
        """Let the warden do its rounds, and wait for it."""
        self._process.communicate(timeout=30)

    def _tell(self, fact: dict[str, str | int | float]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(fact) + "\n")
        self._process.stdin.flush()


@pytest.fixture(scope="session")
def warden() -> Iterator[Warden]:
    """Clear up after this test process."""
    keeper = Warden()
    yield keeper
    keeper.close()


def end_marked(mark: str) -> int:
    """End every process with this mark with SIGKILL, and return how many there were."""
    found = [process for process in psutil.process_iter() if _has_mark(process, mark)]
    for process in found:
        _send(process, signal.SIGKILL)
    _wait(found)
    return len(found)


def end_session(leader: int) -> None:
    """End every process of this process's session with SIGKILL.

    The mark alone does not find them all: Valkey writes its title over its environment.
    """
    found = [process for process in psutil.process_iter() if _session(process.pid) == leader]
    for process in found:
        _send(process, signal.SIGKILL)
    _wait(found)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK, "").startswith(mark)
    except (psutil.Error, OSError):
        return False


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.Error):
        process.send_signal(number)


def _wait(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Wait for their end and return those that don't end; a zombie has ended."""
    deadline = time.monotonic() + _GRACE_SECONDS
    left = [process for process in processes if _lives(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = [process for process in left if _lives(process)]
    return left


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _same_process(fact: dict[str, float]) -> psutil.Process | None:
    try:
        process = psutil.Process(int(fact["pid"]))
        return process if process.create_time() == fact["created"] else None
    except psutil.Error:
        return None


def _end(fact: dict[str, float]) -> None:
    process = _same_process(fact)
    if process is None:
        return
    descendants = process.children(recursive=True)
    _send(process, int(fact["signal"]))
    for left in _wait([process, *descendants]):
        _send(left, signal.SIGKILL)


def _keep_watch(mark: str) -> None:
    facts = [json.loads(line) for line in sys.stdin]
    for fact in facts:
        if "pid" in fact:
            _end(fact)
    end_marked(mark)
    for fact in facts:
        if "folder" in fact:
            shutil.rmtree(fact["folder"], ignore_errors=True)


if __name__ == "__main__":
    _keep_watch(sys.argv[1])
