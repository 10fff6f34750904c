"""What the receiver says about itself: a counter for each answer, and a line for each refusal.

A line has the reason's slug and nothing of the content. Under attack there would be one a request, so each
reason gets a few lines a second; the counters count all.
"""

import time
from collections import Counter
from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Metric

from receiver.refusals import Refusal
from workers.inbox import Put

LINES_PER_SECOND = 10

UNKNOWN = "unknown"
"""The endpoint's label where its name is not one of ours: what callers make up must not become a label."""

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Tally:
    """The receiver's metrics and its log of refusals."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._log = structlog.get_logger(__name__)
        self._lines: Counter[str] = Counter()
        self._second = 0
        self._deliveries = Metric(
            "countersign_receiver_deliveries_total",
            "Requests to the webhook routes by endpoint, status and reason.",
            ["endpoint", "status", "reason"],
            registry=registry,
        )
        self._accepted: dict[tuple[str, Put], Metric] = {}
        self._stale = Metric(
            "countersign_receiver_stale_events_total",
            "Accepted events that were older than STALE_AFTER_SECONDS when they came.",
            ["endpoint"],
            registry=registry,
        )
        self._put_seconds = Histogram(
            "countersign_receiver_put_seconds",
            "Seconds that Redis took to confirm one group of deliveries.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._group_size = Histogram(
            "countersign_receiver_group_size",
            "Deliveries that shared one round trip to Redis.",
            buckets=_SIZES,
            registry=registry,
        )
        self._failed_puts = Metric(
            "countersign_receiver_failed_puts_total",
            "Groups that Redis did not confirm, by error.",
            ["error"],
            registry=registry,
        )
        self._secret_reads = Metric(
            "countersign_receiver_secret_reads_total",
            "Times that webhook secrets were read anew, by source and outcome.",
            ["source", "outcome"],
            registry=registry,
        )
        self._under_way = Gauge(
            "countersign_receiver_deliveries_under_way",
            "Requests to the webhook routes that are not answered yet.",
            registry=registry,
        )
        self._broken_secrets = Gauge(
            "countersign_receiver_broken_secrets",
            "Secrets in the store that do not open with SEAL_KEYS.",
            registry=registry,
        )

    def watch(self, under_way: Callable[[], int]) -> None:
        """Show how many deliveries are under way, whenever somebody looks."""
        self._under_way.set_function(under_way)

    def accepted(self, endpoint: str, put: Put) -> None:
        """Count a delivery that was answered 202."""
        # The child is kept: finding it costs more than counting.
        child = self._accepted.get((endpoint, put))
        if child is None:
            child = self._accepted[endpoint, put] = self._deliveries.labels(endpoint, "202", put.value)
        child.inc()

    def refused(self, refusal: Refusal, endpoint: str = UNKNOWN) -> None:
        """Count and log a refusal."""
        self._deliveries.labels(endpoint, str(refusal.status), refusal.slug).inc()
        if self._may_log(refusal.slug):
            self._log.warning(
                "delivery_refused", reason=refusal.slug, status=refusal.status, endpoint=endpoint
            )

    def disconnected(self, endpoint: str) -> None:
        """Count a caller that went away before its body was complete."""
        self._deliveries.labels(endpoint, "none", "disconnected").inc()

    def stale(self, endpoint: str, event_key: str) -> None:
        """Count and log an accepted event that is old: KeyStone's retries can be hours late."""
        self._stale.labels(endpoint).inc()
        if self._may_log("stale"):
            self._log.info("stale_event_accepted", endpoint=endpoint, event_key=event_key)

    def put(self, size: int, seconds: float) -> None:
        """Record one group that Redis confirmed."""
        self._group_size.observe(size)
        self._put_seconds.observe(seconds)

    def put_failed(self, size: int, error: BaseException) -> None:
        """Count and log a group that Redis did not confirm."""
        name = type(error).__name__
        self._failed_puts.labels(name).inc()
        if self._may_log(name):
            self._log.error("put_failed", error=name, deliveries=size)

    def secrets_read(self, source: str, error: BaseException | None = None) -> None:
        """Count a new reading of secrets, and log one that failed: the last good ones stay in use."""
        self._secret_reads.labels(source, "error" if error else "ok").inc()
        if error is not None and self._may_log(f"secrets of the {source}"):
            self._log.error("secrets_unreadable", source=source, error=type(error).__name__)

    def broken_secrets(self, number: int) -> None:
        """Record how many stored secrets do not open, and say so in the log."""
        self._broken_secrets.set(number)
        if number and self._may_log("broken secrets"):
            self._log.error("stored_secrets_do_not_open", number=number)

    def _may_log(self, reason: str) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._lines.clear()
        self._lines[reason] += 1
        return self._lines[reason] <= LINES_PER_SECOND
