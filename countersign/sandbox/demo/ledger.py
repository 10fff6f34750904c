"""Reading the ledger through its own commands, as a person would: `cases list` and `events list`."""

import json
import time

from countersign.sandbox.demo import programs
from countersign.sandbox.demo.processes import Processes, Running
from countersign.sandbox.demo.records import LedgerRecord, ledger_record

_PAUSE_SECONDS = 2.0
"""Between two glances: each starts two processes, on the same cores as the run itself. So there are none
where nobody watches."""

_COMMAND_SECONDS = 30.0


class LedgerReader:
    """Reads the ledger; with `glancing` also now and then in the background, while the run goes on."""

    def __init__(self, processes: Processes, site: programs.Site, *, glancing: bool) -> None:
        self._glancing = glancing
        self._processes = processes
        self._programs = (programs.cases(site), programs.events(site))
        self._reading: list[Running] = []
        self._next_at = 0.0
        self.latest = LedgerRecord(cases=(), events=())

    def glance(self) -> LedgerRecord:
        """Return what was read last, and read again in the background if that is some time ago.

        Raises:
            ProcessFailed: One of the commands failed.

        """
        if self._reading and all(running.status is not None for running in self._reading):
            self._collect()
        elif self._glancing and not self._reading and time.monotonic() >= self._next_at:
            self._begin()
        return self.latest

    def read(self) -> LedgerRecord:
        """Read the ledger as it is now.

        Raises:
            Interrupted: A stop was asked for meanwhile.
            ProcessFailed: One of the commands failed.
            TookTooLong: One of the commands did not end.

        """
        if self._reading:
            self._collect()
        self._begin()
        self._collect()
        return self.latest

    def _begin(self) -> None:
        self._reading = [self._processes.start(program) for program in self._programs]

    def _collect(self) -> None:
        reading, self._reading = self._reading, []
        cases, events = (
            json.loads(self._processes.finish(running, seconds=_COMMAND_SECONDS)) for running in reading
        )
        self._next_at = time.monotonic() + _PAUSE_SECONDS
        self.latest = ledger_record(cases, events)
