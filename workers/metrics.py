"""What the workers count. `docs/metrics.md` says what each name means; a test compares the two."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from countersign.keystone.hooks import Hooks
from countersign.verdict import Verdict
from workers.cases import CaseState
from workers.ledger.record import CaseRecord

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class WorkerMetrics:
    """The counters of one worker process's own work, in the registry that it serves."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._taken = Counter(
            "countersign_events_taken_total",
            "Events copied from the journal into the ledger, by kind and by who found them.",
            ("kind", "by"),
            registry=registry,
        )
        self._verdicts = Counter(
            "countersign_verdicts_total", "Cases judged, by verdict.", ("verdict",), registry=registry
        )
        self._ended = Counter(
            "countersign_cases_ended_total",
            "Cases ended, by their last state.",
            ("state",),
            registry=registry,
        )
        self._flag_to_end = Histogram(
            "countersign_flag_to_end_seconds",
            "From the receipt of a flag to the end of its case.",
            ("state",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.leases_lost = Counter(
            "countersign_leases_lost_total",
            "Steps given up because another worker had claimed the case.",
            registry=registry,
        )
        self._repairs = Counter(
            "countersign_sweep_repairs_total",
            "What the sweep found left lying.",
            ("kind",),
            registry=registry,
        )

    def took(self, kind: str, by: str) -> None:
        """Count an event that entered the ledger."""
        self._taken.labels(kind, by).inc()

    def judged(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self._verdicts.labels(verdict.value).inc()

    def ended(self, record: CaseRecord, state: CaseState, now: datetime) -> None:
        """Count the end of a case."""
        self._ended.labels(state.value).inc()
        self._flag_to_end.labels(state.value).observe((now - record.flag_received_at).total_seconds())

    def repaired(self, kind: str) -> None:
        """Count something that the sweep gave back to the workers."""
        self._repairs.labels(kind).inc()


class ClientMetrics:
    """The counters of one process's calls to KeyStone. `hooks` is what the client is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "countersign_keystone_calls_total",
            "Calls to KeyStone, by call and by HTTP status, or how the call failed without one.",
            ("call", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "countersign_keystone_call_seconds",
            "Time that a call to KeyStone took.",
            ("call",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._waited = Histogram(
            "countersign_keystone_budget_wait_seconds",
            "Time that a call waited for the rate budget, by priority.",
            ("priority",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._limit = Gauge(
            "countersign_keystone_rate_limit",
            "Requests a window that KeyStone last said it allows.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._remaining = Gauge(
            "countersign_keystone_rate_remaining",
            "Requests that KeyStone last said were left in its window.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._breaker = Counter(
            "countersign_keystone_breaker_total",
            "Changes of a circuit breaker, by upstream and new state.",
            ("upstream", "state"),
            registry=registry,
        )
        self._tokens = Counter(
            "countersign_token_total",
            "What happened to the machine token: fetched, failed, refused, dropped, unverified.",
            ("what",),
            registry=registry,
        )

    def hooks(self) -> Hooks:
        """Return what the client calls."""
        return Hooks(
            on_call=self._called,
            on_wait=lambda priority, seconds: self._waited.labels(priority).observe(seconds),
            on_budget=self._saw_limit,
            on_breaker=lambda upstream, state: self._breaker.labels(upstream, state).inc(),
            on_token=lambda what: self._tokens.labels(what).inc(),
        )

    def _called(self, call: str, status: str, seconds: float) -> None:
        self._calls.labels(call, status).inc()
        self._seconds.labels(call).observe(seconds)

    def _saw_limit(self, limit: int, remaining: int) -> None:
        self._limit.set(limit)
        self._remaining.set(remaining)
