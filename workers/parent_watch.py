"""Watching the parent: a worker whose parents are gone ends itself, at once and hard.

Dramatiq's children outlive a killed master and would work on as orphans that nobody stops or replaces. Ending
hard is safe by design: every step of a case survives the death of its worker.
"""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from workers.periodic import Periodic

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=0.5)
EXIT_ORPHANED = 71


class ParentWatch:
    """Ends this process when one of the processes that must outlive it is gone."""

    def __init__(self, alive: Sequence[Callable[[], bool]]) -> None:
        self._alive = alive
        self._thread = Periodic("parent-watch", LOOK_EVERY, self._look)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._thread.stop()

    def _look(self) -> None:
        if not all(alive() for alive in self._alive):
            log.error("orphaned", pid=os.getpid())
            os._exit(EXIT_ORPHANED)


def still_child_of(parent: int) -> Callable[[], bool]:
    """Make a check that this process still has this parent: an orphan gets another one."""
    return lambda: os.getppid() == parent


def still_runs(pid: int) -> Callable[[], bool]:
    """Make a check that a process of ours that is not our parent still exists."""

    def check() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    return check
