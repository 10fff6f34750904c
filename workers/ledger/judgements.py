"""Judgements: what was judged, how everyone voted, and what came of it, in one commit.

A decision and the intent to submit it are written together. After this commit the decision never changes,
whatever happens to the worker, and no retry asks the handlers again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from countersign.case import Case
from countersign.verdict import Decision, Verdict
from workers.cases import FOUND_BY_AGE, CaseState, Pause
from workers.judgement import Judgement
from workers.ledger.books import Books
from workers.ledger.canonical import canonical, sha256_of
from workers.ledger.chain import Entry, append
from workers.ledger.claims import change_claimed
from workers.ledger.columns import new_id
from workers.ledger.record import CaseRecord
from workers.ledger.submissions import Intent, intend
from workers.ledger.tables import CASES, DECISIONS, REVIEWS, SNAPSHOTS, VOTES

BY_HANDLERS = "handlers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A case with what was seen of it and how it was judged, ready to be recorded."""

    record: CaseRecord
    pause: Pause
    case: Case
    judgement: Judgement

    @property
    def is_suspected(self) -> bool:
        """Whether no flag came for it: then its votes decide nothing."""
        return self.record.event == FOUND_BY_AGE

    @property
    def why(self) -> str:
        """Say why it waits for a person."""
        if self.is_suspected:
            return f"no flag came, but it has been in screening for long; the votes: {self.judgement.why}"
        return self.judgement.why


def case_at_pause(books: Books, settlement_id: str, sequence: int) -> str | None:
    """Find the case that this pause already had, if any."""
    with books.reading() as connection:
        return connection.scalar(
            select(CASES.c.id).where(
                CASES.c.environment == books.environment,
                CASES.c.settlement_id == settlement_id,
                CASES.c.pause_sequence == sequence,
            )
        )


def record_decision(books: Books, judged: Judged, decision: Decision) -> Intent:
    """Record a decision by handlers, and the intent to submit it: the last commit before the POST.

    Raises:
        LeaseLost: Another worker has claimed the case since.

    """
    now = books.now()
    with books.writing() as connection:
        snapshot_id, entry = _record_judgement(connection, books, judged, now)
        decision_id = new_id("decision")
        connection.execute(
            insert(DECISIONS).values(
                id=decision_id,
                environment=books.environment,
                case_id=judged.record.id,
                decision=decision,
                decided_by=BY_HANDLERS,
                why=judged.judgement.why,
                snapshot_id=snapshot_id,
                policy_digest=judged.judgement.policy_digest,
                decided_at=now,
            )
        )
        change_claimed(
            connection,
            judged.record,
            {
                **_seen(judged),
                "state": CaseState.SUBMITTED,
                "decision": decision,
                "decided_by": BY_HANDLERS,
                "decided_at": now,
                "submitted_at": now,
            },
        )
        intent, intended = intend(connection, books, judged.record, decision_id, now)
        recorded = _entry(judged, "decision_recorded", now, {"id": decision_id, "decision": decision})
        append(connection, books.environment, [entry, recorded, intended])
        return intent


def record_hold(books: Books, judged: Judged, *, due_at: datetime | None, look_at: datetime) -> None:
    """Record a hold or a suspicion, and open a review due at `due_at`; KeyStone is read again at `look_at`.

    Raises:
        LeaseLost: Another worker has claimed the case since.

    """
    now = books.now()
    with books.writing() as connection:
        _, entry = _record_judgement(connection, books, judged, now)
        change_claimed(
            connection,
            judged.record,
            {
                **_seen(judged),
                "state": CaseState.SUSPECTED if judged.is_suspected else CaseState.HELD,
                "next_at": look_at,
                "lease_until": None,
            },
        )
        review = open_review(connection, books, judged.record, judged.why, due_at)
        append(connection, books.environment, [entry, review])


def record_unreadable(books: Books, record: CaseRecord, why: str, *, look_at: datetime) -> None:
    """Hold a case that KeyStone would not let us read, with a review that says so.

    Raises:
        LeaseLost: Another worker has claimed the case since.

    """
    with books.writing() as connection:
        change_claimed(
            connection,
            record,
            {
                "state": CaseState.HELD,
                "verdict": Verdict.HOLD,
                "why": why,
                "next_at": look_at,
                "lease_until": None,
            },
        )
        review = open_review(connection, books, record, why, record.timeout_at)
        append(connection, books.environment, [review])


def open_review(
    connection: Connection, books: Books, record: CaseRecord, why: str, due_at: datetime | None
) -> Entry:
    """Open a review within the caller's transaction, and return its entry for the chain."""
    now = books.now()
    review_id = new_id("review")
    connection.execute(
        insert(REVIEWS).values(
            id=review_id,
            environment=books.environment,
            case_id=record.id,
            why=why,
            opened_at=now,
            due_at=due_at,
        )
    )
    return Entry(
        kind="review_opened",
        case_id=record.id,
        settlement_id=record.settlement_id,
        at=now,
        body={"id": review_id, "why": why, "due_at": due_at},
    )


def _record_judgement(
    connection: Connection, books: Books, judged: Judged, now: datetime
) -> tuple[str, Entry]:
    plain = judged.case.to_plain()
    plain["settlement"] = books.personal.take_out(connection, books.environment, plain["settlement"], now)
    body = canonical(plain)
    snapshot_id, sha256 = new_id("snapshot"), sha256_of(body)
    connection.execute(
        insert(SNAPSHOTS).values(
            id=snapshot_id,
            environment=books.environment,
            case_id=judged.record.id,
            taken_at=judged.case.judged_at,
            body=body,
            sha256=sha256,
        )
    )
    votes = _votes(books, judged, snapshot_id)
    if votes:
        connection.execute(insert(VOTES), votes)
    told = {
        "snapshot_sha256": sha256,
        "pause": {"sequence": judged.pause.sequence, "content_hash": judged.pause.content_hash},
        "votes": [_told_vote(vote) for vote in votes],
        "verdict": judged.judgement.verdict,
        "why": judged.judgement.why,
        "policy_digest": judged.judgement.policy_digest,
    }
    return snapshot_id, _entry(judged, "case_judged", now, told)


def _votes(books: Books, judged: Judged, snapshot_id: str) -> Sequence[dict[str, Any]]:
    return [
        {
            "id": new_id("vote"),
            "environment": books.environment,
            "case_id": judged.record.id,
            "snapshot_id": snapshot_id,
            "handler": vote.handler,
            "version": vote.version,
            "origin": vote.origin,
            "digest": vote.digest,
            "mode": vote.mode,
            "required": vote.required,
            "outcome": vote.outcome,
            "reason": vote.reason,
            "note": vote.note,
            "evidence": canonical(vote.evidence),
            "started_at": vote.started_at,
            "duration_ms": vote.duration_ms,
        }
        for vote in judged.judgement.votes
    ]


def _told_vote(vote: dict[str, Any]) -> dict[str, Any]:
    kept = ("handler", "version", "digest", "mode", "required", "outcome", "reason")
    return {**{name: vote[name] for name in kept}, "evidence_sha256": sha256_of(vote["evidence"])}


def _seen(judged: Judged) -> dict[str, Any]:
    return {
        "pause_sequence": judged.pause.sequence,
        "pause_hash": judged.pause.content_hash,
        "paused_state": judged.pause.state,
        "timeout_at": judged.case.deadline,
        "template": judged.case.settlement.template,
        "verdict": judged.judgement.verdict,
        "why": judged.why,
    }


def _entry(judged: Judged, kind: str, at: datetime, body: dict[str, Any]) -> Entry:
    return Entry(
        kind=kind, case_id=judged.record.id, settlement_id=judged.record.settlement_id, at=at, body=body
    )
