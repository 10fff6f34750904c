"""The parts of a running worker, and in which order they start and stop."""

from dataclasses import dataclass

from redis import Redis

from workers.intake import Intake
from workers.journal import Journal
from workers.leases import LeaseKeeper
from workers.parent_watch import ParentWatch
from workers.periodic import Periodic
from workers.steps.desk import Desk

SEARCH_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """Everything that one worker process owns. Its threads run between `start` and `stop`."""

    desk: Desk
    journal: Journal
    intake: Intake
    keeper: LeaseKeeper
    sweeping: Periodic
    searching: Periodic
    watch: ParentWatch
    redis_clients: tuple[Redis, ...]

    def start(self) -> None:
        """Start the threads that work beside Dramatiq's own."""
        self.watch.start()
        self.keeper.start()
        self.sweeping.start()
        self.searching.start()

    def stop_sweeping(self) -> None:
        """Take nothing new on. Dramatiq still finishes what its threads have in hand."""
        self.sweeping.stop()
        # A search may be in a long call to KeyStone: it is broken off with the client.
        self.searching.stop(within_seconds=SEARCH_GRACE_SECONDS)

    def stop(self) -> None:
        """Stop the rest, once no case is in hand any more."""
        self.keeper.stop()
        self.desk.judging.close()
        self.desk.keystone.close()
        self.desk.books.engine.dispose()
        for client in self.redis_clients:
            client.close()
        self.watch.stop()
