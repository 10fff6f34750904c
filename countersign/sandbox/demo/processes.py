"""Starting real processes, and stopping every one of them in every case."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from countersign.sandbox.demo.stopping import Stopping

_STOP_SECONDS = 10.0
"""How long a process may take to end by itself after SIGTERM. Then its whole group is killed."""

_LAST_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to start: a name for people and log files, the command, and all of its environment.

    `printing` keeps what it prints apart from its log, for a command whose answer is read.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    printing: bool = False


class ProcessFailed(Exception):
    """A process ended when it should not have, or did not do its job. The message shows its last lines."""


class Running:
    """One started process, the leader of a process group of its own, with its output in a file."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.log = folder / f"{program.name}.log"
        self.output = folder / f"{program.name}.out"
        with self.log.open("ab") as log, self.output.open("wb") if program.printing else log as output:
            self._process = subprocess.Popen(  # noqa: S603 - the demo wrote the command itself.
                program.command,
                env=dict(program.environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                process_group=0,
            )
        self.pid = self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        return self._process.poll()

    def stop(self, seconds: float) -> None:
        """Ask it to stop, and after `seconds`, or when it has ended, kill what is left of its group.

        Only the process itself is asked: it tells its children in its own way.
        """
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def failure(self, happened: str) -> ProcessFailed:
        """Make the error that says what happened to this process, where its log is, and its last lines."""
        return ProcessFailed(f"{self.program.name} {happened}. From {self.log}:\n{last_lines(self.log)}")


class Processes:
    """Every process of this run, in the order of their start. Leaving the context stops them all."""

    def __init__(self, folder: Path, stopping: Stopping) -> None:
        self._folder = folder
        self._stopping = stopping
        self._started: list[Running] = []

    def __enter__(self) -> Self:
        """Return itself; nothing runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop one after the other, the last started first: what it builds on is there to its end."""
        for running in reversed(self._started):
            running.stop(_STOP_SECONDS)

    def start(self, program: Program) -> Running:
        """Start a process that is to stay.

        Raises:
            Interrupted: A stop was asked for.
            ProcessFailed: The command can't be started at all.

        """
        self._stopping.check()
        try:
            running = Running(program, self._folder)
        except OSError as error:
            raise ProcessFailed(f"{program.name} can't be started: {error}") from error
        self._started.append(running)
        return running

    def run(self, program: Program, *, seconds: float) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            Interrupted: A stop was asked for meanwhile.
            ProcessFailed: It failed, or can't be started.
            TookTooLong: It was not done within `seconds`.

        """
        return self.finish(self.start(program), seconds=seconds)

    def finish(self, running: Running, *, seconds: float) -> str:
        """Wait for the end of a started command and return what it printed; raises as `run` does."""
        self._stopping.wait_for(
            lambda: running.status is not None, seconds=seconds, what=f"the end of {running.program.name}"
        )
        self._started.remove(running)
        if running.status != 0:
            raise running.failure(f"failed with status {running.status}")
        return running.output.read_text(encoding="utf-8") if running.program.printing else ""


def last_lines(log: Path) -> str:
    """Return the last lines of a log file, indented, for an error message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
