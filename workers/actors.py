"""The Dramatiq actors: each translates one message into one call, and does nothing else."""

import dramatiq
from dramatiq import Broker

from workers import casework
from workers.inbox.names import ADVANCE_CASE, CASES_QUEUE, EVENTS_QUEUE, TAKE_EVENT
from workers.parts import WorkerParts


def declare_actors(broker: Broker, parts: WorkerParts) -> None:
    """Make this broker's workers act on our two kinds of message.

    Retries are written in the ledger (`next_at`), never in Dramatiq: it keeps them in memory, and loses them
    when Redis is away at the wrong moment. A message that fails is gone, and the sweep finds its work.
    """

    def take_event(entry_id: str, _event_id: str) -> None:
        entry = parts.journal.read(entry_id)
        record = None if entry is None else parts.intake.take(entry, by="worker")
        if record is not None:
            casework.work_on(parts.desk, record)

    def advance_case(case_id: str) -> None:
        casework.advance(parts.desk, case_id)

    dramatiq.actor(actor_name=TAKE_EVENT, queue_name=EVENTS_QUEUE, broker=broker)(take_event)
    dramatiq.actor(actor_name=ADVANCE_CASE, queue_name=CASES_QUEUE, broker=broker)(advance_case)
