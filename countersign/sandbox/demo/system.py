"""The whole product, started as in production: a queue, a receiver, workers, and a KeyStone beside it."""

from collections.abc import Callable
from contextlib import suppress

import httpx

from countersign.sandbox.demo import programs
from countersign.sandbox.demo.control import Control
from countersign.sandbox.demo.keeping import Kept
from countersign.sandbox.demo.policy_file import policy_text
from countersign.sandbox.demo.processes import Processes, Program, Running
from countersign.sandbox.demo.queue_view import Queue
from countersign.sandbox.demo.stopping import Stopping, TookTooLong

_START_SECONDS = 30.0
_LOOK_SECONDS = 2.0


class System:
    """Starts everything in its order, and then keeps watch over it. Methods raise as `Processes` does."""

    def __init__(
        self, site: programs.Site, processes: Processes, stopping: Stopping, say: Callable[[str], None]
    ) -> None:
        self._site = site
        self._processes = processes
        self._stopping = stopping
        self._say = say
        self._servers: list[Running] = []
        self._worker: Kept | None = None

    def start_platform(self, control: Control, queue: Queue, *, seed: int, calls_a_minute: int) -> None:
        """Start what Countersign builds on: the queue's server, the local KeyStone, the ledger's tables."""
        site = self._site
        site.temporary.mkdir()
        valkey = self._serve(programs.valkey(site))
        keystone = self._serve(programs.sandbox(site, seed=seed, calls_a_minute=calls_a_minute))
        migration = self._processes.start(programs.migrate(site))
        self._ready(valkey, queue.is_ready)
        self._ready(keystone, control.is_ready)
        self._processes.finish(migration, seconds=_START_SECONDS)

    def start_countersign(self, queue: Queue, *, workers: int, threads: int) -> None:
        """Start Countersign itself, and register its receiver with the local KeyStone."""
        site = self._site
        site.policy_file.write_text(policy_text(), encoding="utf-8")
        program = programs.worker(site, processes=workers, threads=threads)
        self._worker = worker = Kept(self._processes, program, self._say)
        receiver = self._serve(programs.receiver(site))
        self._ready(receiver, self._receiver_is_ready)
        self._processes.run(programs.register(site), seconds=_START_SECONDS)
        self._ready(worker.running, lambda: queue.workers() >= workers)

    def keep(self) -> None:
        """Start the worker anew if it has ended; the others must not end."""
        for server in self._servers:
            if server.status is not None:
                raise server.failure(f"ended with status {server.status}, while it is needed")
        if self._worker is not None:
            self._worker.keep()

    @property
    def worker_starts(self) -> int:
        """How often the worker was started."""
        return 0 if self._worker is None else self._worker.starts

    def _serve(self, program: Program) -> Running:
        self._servers.append(self._processes.start(program))
        return self._servers[-1]

    def _ready(self, server: Running, answers: Callable[[], bool]) -> None:
        def is_ready() -> bool:
            self.keep()
            return answers()

        try:
            self._stopping.wait_for(is_ready, seconds=_START_SECONDS, what="its start")
        except TookTooLong:
            raise server.failure(f"was not ready within {_START_SECONDS:g} s") from None

    def _receiver_is_ready(self) -> bool:
        with suppress(httpx.TransportError):
            url = f"{self._site.receiver_url}/health/ready"
            return httpx.get(url, timeout=_LOOK_SECONDS, trust_env=False).is_success
        return False
