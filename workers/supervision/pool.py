"""The processes of one handler: as many as cases are being judged at once, kept warm in between.

Nobody ever waits for a free process, so a slow handler takes nothing from the others; their number is bounded
by the number of the worker's threads.
"""

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from countersign import Handler
from workers.handler_metrics import HandlerMetrics
from workers.supervision.answers import parsed
from workers.supervision.evidence import AnswerInvalid
from workers.supervision.frames import FrameTooLong
from workers.supervision.loading import LoadFailed, read_description
from workers.supervision.process import HandlerProcess, ProcessEnded, environment_for_handlers, wait_for

DEFAULT_MEMORY_BYTES = 512 * 1024 * 1024
START_BUDGET = timedelta(seconds=60)

IDLE_LIMIT = timedelta(minutes=1)
"""A process that had nothing to do for this long is ended, if it is not the last."""

_MOST_CASES = 1000  # A handler that leaks memory starts afresh before it meets its limit.


class SupervisorClosed(Exception):
    """No process is started any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a handler process is told at its start. `search` are folders where modules may be found too."""

    target: str
    settings: Mapping[str, Any]
    search: tuple[str, ...] = ()
    memory_bytes: int = DEFAULT_MEMORY_BYTES

    def body(self) -> bytes:
        """Return it as the first frame."""
        return json.dumps(
            {
                "target": self.target,
                "settings": dict(self.settings),
                "search": list(self.search),
                "memory_bytes": self.memory_bytes,
            }
        ).encode()


class Supervisor:
    """Starts the processes of all handlers of one worker.

    They are all started from one thread that lasts as long as this object: the kernel, asked to end a process
    with its parent, ends it with the parent's *thread* that started it (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(self, environ: Mapping[str, str], metrics: HandlerMetrics) -> None:
        self.metrics = metrics
        self._environment = environment_for_handlers(environ)
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="handler-starter")

    def start(self) -> HandlerProcess:
        """Start a process.

        Raises:
            SupervisorClosed: The worker is ending. What was being judged is left as it was.

        """
        try:
            starting = self._starter.submit(HandlerProcess, self._environment)
        except RuntimeError:
            raise SupervisorClosed("the worker is ending: this case is judged again elsewhere") from None
        return starting.result()

    def close(self) -> None:
        """End the thread, and so every process that is still there."""
        self._starter.shutdown()


class HandlerPool:
    """The warm processes of one handler. Safe to use from several threads."""

    def __init__(
        self,
        name: str,
        setup: Setup,
        supervisor: Supervisor,
        *,
        start_budget: timedelta = START_BUDGET,
        idle_limit: timedelta = IDLE_LIMIT,
    ) -> None:
        self.name = name
        self.start_budget = start_budget
        self._idle_limit = idle_limit.total_seconds()
        self._setup = setup.body()
        self._supervisor = supervisor
        self._metrics = supervisor.metrics
        self._introduction: Mapping[str, Any] | None = None
        self._idle: list[HandlerProcess] = []
        self._lock = threading.Lock()
        self._closed = False

    def introduce(self) -> tuple[Handler, str]:
        """Start the first process, and return the handler as it describes itself with its code's digest.

        Raises:
            LoadFailed: It can't be loaded, refuses its settings, or did not say so in time.

        """
        process = self.take()
        try:
            introduction = _introduction(process, self.start_budget)
            introduced = read_description(introduction["ready"])
        except ProcessEnded:
            ended = self.bury(process)
            raise LoadFailed(f"its process ended with {ended} while it was loading") from None
        except (LoadFailed, FrameTooLong, AnswerInvalid) as reason:
            self.end(process, "refused")
            raise LoadFailed(str(reason)) from None
        self._introduction = introduction
        process.is_ready = True
        self.give_back(process)
        return introduced

    def take(self) -> HandlerProcess:
        """Take a warm process, or a new one that has yet to get ready."""
        while (process := self._take_idle()) is not None:
            if not process.has_ended:
                return process
            self.end(process, "idle")
        process = self._supervisor.start()
        self._metrics.started(self.name)
        with contextlib.suppress(ProcessEnded):  # Whoever waits for its answer finds out.
            process.send(self._setup)
        return process

    def accepts(self, introduction: Mapping[str, Any]) -> bool:
        """Say whether a process that has just started runs what the first one did.

        It does not when somebody changed the handler's files under a running worker: its votes would then
        carry the wrong version and digest.
        """
        return introduction == self._introduction

    def give_back(self, process: HandlerProcess) -> None:
        """Keep a process for the next case, unless it has done enough."""
        if process.asked >= _MOST_CASES:
            self.end(process, "retired")
            return
        process.idle_since = time.monotonic()
        with self._lock:
            surplus = [process] if self._closed else []
            if not self._closed:
                self._idle.append(process)
                idle_too_long = process.idle_since - self._idle_limit
                while len(self._idle) > 1 and self._idle[0].idle_since < idle_too_long:
                    surplus.append(self._idle.pop(0))
        for each in surplus:
            self.end(each, "idle")

    def end(self, process: HandlerProcess, why: str) -> None:
        """End a process; `why` is counted."""
        process.end()
        self._metrics.ended(self.name, why)

    def bury(self, process: HandlerProcess) -> str:
        """Clear up after a process that ended by itself, and return with what it ended."""
        with_what = process.autopsy()
        self._metrics.ended(self.name, "died")
        return with_what

    def close(self) -> None:
        """End every idle process; those at work end when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            self.end(process, "closed")

    def _take_idle(self) -> HandlerProcess | None:
        with self._lock:
            return self._idle.pop() if self._idle else None


def _introduction(process: HandlerProcess, budget: timedelta) -> Mapping[str, Any]:
    deadline = time.monotonic() + budget.total_seconds()
    while (body := process.exchange()) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise LoadFailed(f"it was not ready within {budget.total_seconds():g} s")
        wait_for([process], left)
    introduction = parsed(body)
    if "ready" not in introduction:
        raise LoadFailed(str(introduction.get("refused")))
    return introduction
