"""Dramatiq's middleware: the whole stack in one place.

There is one. Dramatiq's defaults are left out on purpose: `Retries` loses a message when Redis is away
(retries are in the ledger), `AgeLimit` drops old messages (an old event is still an event), `TimeLimit`
raises in the middle of a POST (every call and every handler has a time limit of its own), `Callbacks` and
`Pipelines` are not used, and `Prometheus` is replaced by our own metrics.
"""

import structlog
from dramatiq import Broker, Middleware, Worker
from dramatiq.broker import MessageProxy

from workers.parts import WorkerParts

log = structlog.get_logger(__name__)


class Lifecycle(Middleware):
    """Starts the worker's parts with it, and stops them when no message is in hand any more."""

    def __init__(self, parts: WorkerParts) -> None:
        self._parts = parts

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature.
        """Start."""
        self._parts.start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - likewise.
        """Take nothing new on."""
        self._parts.stop_sweeping()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - likewise.
        """Stop."""
        self._parts.stop()

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002 - likewise.
        message: MessageProxy,
        *,
        result: object = None,  # noqa: ARG002 - likewise.
        exception: BaseException | None = None,
    ) -> None:
        """Say which message failed; what it was for is found again by the sweep."""
        if exception is not None:
            log.error("message_failed", actor=message.actor_name, trouble=type(exception).__name__)
