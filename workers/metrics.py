"""What the workers count. `docs/metrics.md` says what each name means; a test compares the two."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram

from workers.cases import CaseState
from workers.judging import Judgement
from workers.ledger.record import CaseRecord

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class WorkerMetrics:
    """The counters of one worker process, in the registry that is handed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events_taken = Counter(
            "countersign_events_taken_total",
            "Events copied from the journal into the ledger.",
            ["kind", "by"],
            registry=registry,
        )
        self.verdicts = Counter(
            "countersign_verdicts_total", "Cases judged, by verdict.", ["verdict"], registry=registry
        )
        self.votes = Counter(
            "countersign_votes_total", "Votes cast.", ["handler", "outcome", "mode"], registry=registry
        )
        self.handler_seconds = Histogram(
            "countersign_handler_seconds",
            "Time that a handler took.",
            ["handler"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.cases_ended = Counter(
            "countersign_cases_ended_total", "Cases ended, by their last state.", ["state"], registry=registry
        )
        self.decision_seconds = Histogram(
            "countersign_flag_to_end_seconds",
            "Time from the receipt of a flag to the end of its case.",
            ["state"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.leases_lost = Counter(
            "countersign_leases_lost_total",
            "Steps that were given up because another worker had claimed the case.",
            registry=registry,
        )
        self.calls = Counter(
            "countersign_keystone_calls_total",
            "Calls to KeyStone, by call and HTTP status.",
            ["call", "status"],
            registry=registry,
        )
        self.call_seconds = Histogram(
            "countersign_keystone_call_seconds",
            "Time that a call to KeyStone took.",
            ["call"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.token_requests = Counter(
            "countersign_token_requests_total",
            "Requests to the token endpoint, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.sweep_repairs = Counter(
            "countersign_sweep_repairs_total", "What the sweep mended.", ["kind"], registry=registry
        )

    def judged(self, judgement: Judgement) -> None:
        """Count a judgement and its votes."""
        self.verdicts.labels(judgement.verdict).inc()
        for vote in judgement.votes:
            self.votes.labels(vote.handler, vote.outcome, vote.mode).inc()
            self.handler_seconds.labels(vote.handler).observe(vote.duration_ms / 1000)

    def ended(self, record: CaseRecord, state: CaseState, now: datetime) -> None:
        """Count the end of a case."""
        self.cases_ended.labels(state).inc()
        self.decision_seconds.labels(state).observe((now - record.flag_received_at).total_seconds())

    def called(self, call: str, status: int | None, seconds: float) -> None:
        """Count one call to KeyStone; a call without an answer has the status `none`."""
        self.calls.labels(call, "none" if status is None else str(status)).inc()
        self.call_seconds.labels(call).observe(seconds)
