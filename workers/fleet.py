"""The fleet of one machine: `--processes` Dramatiq workers, each with a master of its own, kept running.

Dramatiq's master ends all its children when one of them dies. So each child gets its own master, and the
death of one leaves the others at work until it is replaced.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

import structlog

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 0.2
STEADY_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 30.0
GRACE_SECONDS = 5.0


@dataclass(slots=True)
class _Slot:
    """The place of one worker: what runs there, and when it may be started again."""

    number: int
    running: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0


@dataclass(slots=True)
class Fleet:
    """Starts the workers, replaces those that die, and stops them all together."""

    command: Sequence[str]
    environ: Mapping[str, str]
    processes: int
    shutdown_seconds: float
    _slots: list[_Slot] = field(init=False)
    _stopping: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Lay out the slots; nothing runs yet."""
        self._slots = [_Slot(number) for number in range(self.processes)]

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then stop: each worker finishes what it has in hand."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        while not self._stopping:
            for slot in self._slots:
                self._look_after(slot)
            time.sleep(LOOK_EVERY_SECONDS)
        self._stop_all()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _look_after(self, slot: _Slot) -> None:
        now = time.monotonic()
        if slot.running is not None and slot.running.poll() is not None:
            self._mourn(slot, now)
        if slot.running is None and now >= slot.start_at:
            slot.running = subprocess.Popen(self.command, env=self.environ)  # noqa: S603 - our own command line.
            slot.started_at = now
            log.info("worker_started", slot=slot.number, pid=slot.running.pid)

    def _mourn(self, slot: _Slot, now: float) -> None:
        code = slot.running.returncode if slot.running else None
        slot.running = None
        slot.deaths = 1 if now - slot.started_at > STEADY_SECONDS else slot.deaths + 1
        # The first death in a while is replaced at once; one that keeps dying must not become a busy loop.
        pause = 0.0 if slot.deaths == 1 else min(2.0**slot.deaths / 2, LONGEST_PAUSE_SECONDS)
        slot.start_at = now + pause
        log.error("worker_died", slot=slot.number, code=code, restart_in_seconds=pause)

    def _stop_all(self) -> None:
        running = [slot.running for slot in self._slots if slot.running is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self.shutdown_seconds + GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                # Safe: what it had in hand is taken up by another after the lease.
                process.kill()
                process.wait()
        log.info("workers_stopped", count=len(running))


def dramatiq_command(*, threads: int, shutdown_seconds: float) -> list[str]:
    """Write the command of one worker: Dramatiq's own command line, on our composition root."""
    return [
        sys.executable,
        "-m",
        "dramatiq",
        "workers.composition:set_up",
        "--processes",
        "1",
        "--threads",
        str(threads),
        "--skip-logging",
        "--worker-shutdown-timeout",
        str(int(shutdown_seconds * 1000)),
        "--path",  # Left empty: else Dramatiq looks for modules in the current folder before ours.
    ]


def child_environ(fleet_pid_name: str, metrics_folder: str) -> dict[str, str]:
    """Return this process's environment, with what its children must know besides."""
    return {**os.environ, fleet_pid_name: str(os.getpid()), "PROMETHEUS_MULTIPROC_DIR": metrics_folder}
