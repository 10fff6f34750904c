"""Keeping the worker alive: what ends in the middle of a run is started anew, as a service manager would."""

from collections.abc import Callable

from countersign.sandbox.demo.processes import Processes, Program, Running

_MOST_STARTS = 5


class Kept:
    """A process that is started anew when it ends: `running` is the last one, `starts` counts them."""

    def __init__(self, processes: Processes, program: Program, say: Callable[[str], None]) -> None:
        self._processes = processes
        self._program = program
        self._say = say
        self.running: Running = processes.start(program)
        self.starts = 1

    def keep(self) -> None:
        """Start it anew if it has ended.

        Raises:
            ProcessFailed: It ends each time: starting it once more would help nobody.

        """
        if self.running.status is None:
            return
        if self.starts >= _MOST_STARTS:
            raise self.running.failure(f"ended {self.starts} times, the last time with {self.running.status}")
        self._say(f"the {self._program.name} ended with status {self.running.status}: starting it anew")
        self.running = self._processes.start(self._program)
        self.starts += 1
