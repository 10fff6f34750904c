"""What is counted of handlers. A handler that keeps failing shows here first."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from countersign import Vote
from countersign.verdict import Mode

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class HandlerMetrics:
    """The counters of one worker process, in the registry that it serves."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._votes = Counter(
            "countersign_handler_votes_total",
            "Votes by handler, mode, outcome and reason code.",
            ("handler", "mode", "outcome", "reason"),
            registry=registry,
        )
        self._seconds = Histogram(
            "countersign_handler_seconds",
            "From asking a handler to its answer.",
            ("handler",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._later = Counter(
            "countersign_handler_later_total",
            "How often a handler asked to be asked again.",
            ("handler",),
            registry=registry,
        )
        self._started = Counter(
            "countersign_handler_processes_started_total",
            "Handler processes started.",
            ("handler",),
            registry=registry,
        )
        self._ended = Counter(
            "countersign_handler_processes_ended_total",
            "Handler processes ended, and why.",
            ("handler", "why"),
            registry=registry,
        )

    def voted(self, handler: str, mode: Mode, vote: Vote, seconds: float) -> None:
        """Count a vote, of whatever outcome."""
        self._votes.labels(handler, mode.value, vote.outcome.value, vote.reason.value).inc()
        self._seconds.labels(handler).observe(seconds)

    def asked_for_later(self, handler: str) -> None:
        """Count a handler that could not answer yet."""
        self._later.labels(handler).inc()

    def started(self, handler: str) -> None:
        """Count the start of a handler process."""
        self._started.labels(handler).inc()

    def ended(self, handler: str, why: str) -> None:
        """Count the end of one, by why it ended (docs/metrics.md lists the words)."""
        self._ended.labels(handler, why).inc()
