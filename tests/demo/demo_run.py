"""A demo as a test sees it: the command in a process of its own, and the processes that it started."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.services.processes import Processes, Running
from tests.services.waiting import eventually

END_SECONDS = 100


class DemoRun:
    """One started demo. Its temporary files are in a folder of the test's."""

    def __init__(self, processes: Processes, folder: Path, *options: str) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._demo: Running = processes.countersign(
            "demo", *options, environment={"TMPDIR": str(self.temporary)}
        )
        self._processes: dict[int, psutil.Process] = {}

    def process(self, what: str) -> psutil.Process:
        """Wait for the process that runs `countersign <what>`."""
        found = eventually(lambda: self._find(what), 60, f"the start of {what}")
        assert found is not None
        return found

    def sandbox(self, path: str) -> Any:  # noqa: ANN401 - JSON.
        """Ask the run's sandbox."""
        port = next(
            part.partition("=")[2] for part in self.process("sandbox").cmdline() if part.startswith("--port=")
        )
        url = f"http://127.0.0.1:{port}/_sandbox/{path}"
        return httpx.get(url, timeout=10, trust_env=False).raise_for_status().json()

    def wait_for_decisions(self, least: int) -> None:
        """Wait until the sandbox has got some decisions: the run is in its middle then."""
        self.process("sandbox")
        eventually(lambda: self._decisions() >= least, 60, f"{least} decisions")

    def end(self) -> int:
        """Wait for the end and return the exit status."""
        return self._demo.wait(END_SECONDS)

    def interrupt(self, number: signal.Signals) -> int:
        """Send a signal to the demo alone, and return the exit status."""
        self.descendants()
        self._demo.send(number)
        return self._demo.wait(30)

    def wait_for_output(self, text: str) -> str:
        """Wait for a line with this text."""
        return self._demo.wait_for_output(text, END_SECONDS)

    @property
    def output(self) -> str:
        """What it printed."""
        return self._demo.stdout

    @property
    def errors(self) -> str:
        """What it said on its standard error."""
        return self._demo.stderr

    @property
    def summary(self) -> dict[str, Any]:
        """The last line, of a demo with `--json`."""
        summary: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return summary

    def descendants(self) -> list[psutil.Process]:
        """All processes that the demo has started until now, with theirs; they are remembered."""
        for process in self._demo.descendants:
            self._processes.setdefault(process.pid, process)
        return [process for process in self._processes.values() if lives(process)]

    def assert_left_nothing(self) -> None:
        """Check that no process and no file is left."""
        eventually(lambda: not [p for p in self._processes.values() if lives(p)], 5, "the end of all")
        assert list(self.temporary.iterdir()) == []

    def _find(self, what: str) -> psutil.Process | None:
        if not self._demo.is_running:
            pytest.fail(f"the demo ended before it started {what}:\n{self._demo.tail()}")
        pattern = re.compile(rf"-m countersign {what}( |$)")
        return next((each for each in self.descendants() if pattern.search(command(each))), None)

    def _decisions(self) -> int:
        try:
            return len(self.sandbox("decisions")["items"])
        except httpx.TransportError:
            return 0  # It does not listen yet.


def command(process: psutil.Process) -> str:
    """Return its command line, empty if it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def lives(process: psutil.Process) -> bool:
    """Say whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
