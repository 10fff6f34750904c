"""Real processes for tests: started with an environment of their own, their output kept, ended for sure."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tests.services.ports import is_listening
from tests.services.waiting import eventually
from tests.services.warden import MARK, Warden, end_marked, end_session

COUNTERSIGN = str(Path(sys.executable).with_name("countersign"))
"""The `countersign` command of the environment in which the tests run."""

_INHERITED = ("HOME", "PATH", "SSL_CERT_FILE")
_TAIL_LINES = 40


class Running:
    """One process that a test started. Output goes to files, so that a full pipe never stops it."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.name = name
        self._process = process
        self._folder = folder

    @property
    def pid(self) -> int:
        """The process id, which is its process group's too."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return (self._folder / "stdout").read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it has logged so far."""
        return (self._folder / "stderr").read_text(errors="replace")

    @property
    def descendants(self) -> list[psutil.Process]:
        """The processes that it has started and that live, with theirs."""
        return psutil.Process(self.pid).children(recursive=True) if self.is_running else []

    def wait_for_output(self, text: str, within_seconds: float = 20) -> str:
        """Wait until `text` is in its output or log, and return the line that has it."""

        def line() -> str | None:
            lines = [*self.stdout.splitlines(), *self.stderr.splitlines()]
            found = next((each for each in lines if text in each), None)
            if found is None and not self.is_running:
                pytest.fail(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")
            return found

        return eventually(line, within_seconds, f"{text!r} in the output of {self.name}") or ""

    def wait_until_listening(self, port: int, within_seconds: float = 20) -> None:
        """Wait until something accepts connections on this port of 127.0.0.1."""

        def listens() -> bool:
            if not self.is_running:
                pytest.fail(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")
            return is_listening(port)

        eventually(listens, within_seconds, f"{self.name} on port {port}")

    def wait(self, within_seconds: float = 20) -> int:
        """Wait for its end and return the exit code (negative: the signal that ended it)."""
        try:
            return self._process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {within_seconds} s:\n{self.tail()}") from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        self._process.send_signal(number)

    def send_to_group(self, number: signal.Signals) -> None:
        """Send a signal to it and to every process of its group."""
        os.killpg(self.pid, number)

    def stop(self, within_seconds: float = 20) -> int:
        """Ask it to end, as a service manager does, and return the exit code."""
        if self.is_running:
            self.send(signal.SIGTERM)
        return self.wait(within_seconds)

    def tail(self) -> str:
        """The end of what it wrote, for a person who reads a failure."""
        lines = [*self.stdout.splitlines()[-_TAIL_LINES:], *self.stderr.splitlines()[-_TAIL_LINES:]]
        return "\n".join(lines)


class Processes:
    """Starts processes and ends them all, with everything that descends from them."""

    def __init__(self, folder: Path, warden: Warden) -> None:
        self._folder = folder
        self._warden = warden
        self._mark = f"{warden.mark}/{os.urandom(4).hex()}"
        self._numbers = itertools.count(1)
        self._running: list[Running] = []

    def start(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        name: str = "",
        cwd: Path | None = None,
    ) -> Running:
        """Start a command with only `environment` and the few variables that any program needs."""
        name = name or Path(command[0]).name
        folder = self._folder / f"{next(self._numbers):02}-{name}"
        folder.mkdir(parents=True)
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=self._environment(environment or {}),
                cwd=cwd,
                start_new_session=True,
            )
        self._warden.process(process.pid)
        running = Running(name, process, folder)
        self._running.append(running)
        return running

    def countersign(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Running:
        """Start `countersign …` as a person would."""
        return self.start(COUNTERSIGN, *arguments, environment=environment, name=arguments[0])

    def end(self) -> None:
        """End everything, and print the last output of each process: pytest shows it where a test failed."""
        for running in reversed(self._running):
            if running.is_running:
                running.send(signal.SIGCONT)
                running.send_to_group(signal.SIGKILL)
                end_session(running.pid)
            running.wait()
            print(f"--- {running.name} ({running.pid})\n{running.tail()}")  # noqa: T201 - for pytest's report.
        end_marked(self._mark)

    def _environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        own = {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "TMPDIR": str(self._warden.temporary)}
        return {**inherited, **own, MARK: self._mark, **environment}


@pytest.fixture
def processes(tmp_path: Path, warden: Warden) -> Iterator[Processes]:
    """Start real processes in a test."""
    started = Processes(tmp_path / "processes", warden)
    yield started
    started.end()


def run(
    *command: str,
    within_seconds: float = 120,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command to its end and return what it printed; a failure shows all that it said.

    `environment` is added to the tests' own.
    """
    finished = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=within_seconds,
        env={**os.environ, **(environment or {})},
        cwd=cwd,
        check=False,
    )
    told = f"{' '.join(command)} ended with {finished.returncode}:\n{finished.stdout}\n{finished.stderr}"
    assert finished.returncode == 0, told
    return finished.stdout
