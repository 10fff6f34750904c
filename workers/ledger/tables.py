"""The ledger's tables. Every row carries its `environment`; evidence is only ever inserted.

What changes in place is work in hand (`cases`, `settlements`, `sweep_claims`, `chain_heads`); each change
that matters is also an entry of the chain, which is what an auditor reads.
"""

from datetime import datetime

from sqlalchemy import Column, Index, LargeBinary, Table, Text, text
from sqlmodel import Field, SQLModel

from workers.ledger.columns import UtcDateTime


def _time(*, nullable: bool = False) -> Column[datetime]:
    return Column(UtcDateTime(), nullable=nullable)


class EventRow(SQLModel, table=True):
    """One event, as received and verified. `body_sealed` is the raw body: it may hold personal data."""

    __tablename__ = "events"

    id: str = Field(primary_key=True)
    environment: str
    endpoint: str
    event_key: str
    name: str
    is_flag: bool
    settlement_id: str | None = Field(default=None, index=True)
    state: str | None = None
    previous_state: str | None = None
    occurred_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    received_at: datetime = Field(sa_column=_time())
    recorded_at: datetime = Field(sa_column=_time())
    body_sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body_sha256: str
    case_id: str | None = Field(default=None, index=True)


class SettlementRow(SQLModel, table=True):
    """The last known state of a settlement. It only moves forward."""

    __tablename__ = "settlements"

    environment: str = Field(primary_key=True)
    settlement_id: str = Field(primary_key=True)
    state: str
    state_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    updated_at: datetime = Field(sa_column=_time())


class CaseRow(SQLModel, table=True):
    """Our work on one flag.

    `pause_sequence` is the case's identity within its settlement (keystone-api.md 3.3), null until KeyStone
    was read. `flags_seen` counts the flag events that belong to it, `flags_read` how many of them had come
    when KeyStone was last read: a case that ends with more seen than read is followed by another.
    """

    __tablename__ = "cases"
    __table_args__ = (
        Index(
            "one_open_case_a_settlement",
            "environment",
            "settlement_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("one_case_a_pause", "environment", "settlement_id", "pause_sequence", unique=True),
        Index(
            "open_cases_by_next_at",
            "next_at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    environment: str
    settlement_id: str
    event: str
    flag_state: str | None = None
    state: str = Field(index=True)
    pause_sequence: int | None = None
    pause_hash: str | None = None
    paused_state: str | None = None
    flags_seen: int = 1
    flags_read: int = 0
    attempts: int = 0
    fence: int = 0
    next_at: datetime = Field(sa_column=_time())
    woken_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    lease_until: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    timeout_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    template: str | None = None
    verdict: str | None = None
    why: str | None = None
    decision: str | None = None
    decided_by: str | None = None
    note: str | None = None
    repeat_of: str | None = None
    flag_received_at: datetime = Field(sa_column=_time())
    opened_at: datetime = Field(sa_column=_time())
    decided_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    submitted_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class SnapshotRow(SQLModel, table=True):
    """What was judged: canonical JSON with personal data replaced by commitments, and its hash."""

    __tablename__ = "snapshots"

    id: str = Field(primary_key=True)
    environment: str
    case_id: str = Field(index=True)
    taken_at: datetime = Field(sa_column=_time())
    body: str = Field(sa_column=Column(Text, nullable=False))
    sha256: str


class VoteRow(SQLModel, table=True):
    """One handler's vote on one snapshot."""

    __tablename__ = "votes"

    id: str = Field(primary_key=True)
    environment: str
    case_id: str = Field(index=True)
    snapshot_id: str
    handler: str
    version: str
    origin: str
    digest: str
    mode: str
    required: bool
    outcome: str
    reason: str
    note: str
    evidence: str = Field(sa_column=Column(Text, nullable=False))
    started_at: datetime = Field(sa_column=_time())
    duration_ms: float


class DecisionRow(SQLModel, table=True):
    """The one decision of a case. Nothing ever updates or deletes a row of this table."""

    __tablename__ = "decisions"

    id: str = Field(primary_key=True)
    environment: str
    case_id: str = Field(unique=True)
    decision: str
    decided_by: str
    why: str
    snapshot_id: str | None = None
    policy_digest: str
    decided_at: datetime = Field(sa_column=_time())


class SubmissionRow(SQLModel, table=True):
    """One attempt to tell KeyStone: the intent, written before the POST, and later its answer."""

    __tablename__ = "submissions"

    id: str = Field(primary_key=True)
    environment: str
    case_id: str = Field(index=True)
    decision_id: str
    fence: int
    intent_at: datetime = Field(sa_column=_time())
    answered_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    answer: str | None = None
    status: int | None = None


class ReviewRow(SQLModel, table=True):
    """A held case waiting for an officer until `due_at`."""

    __tablename__ = "reviews"

    id: str = Field(primary_key=True)
    environment: str
    case_id: str = Field(index=True)
    why: str
    opened_at: datetime = Field(sa_column=_time())
    due_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    closed_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class PersonalRow(SQLModel, table=True):
    """One name or wallet: sealed under a key of its own, found again by an HMAC, erasable.

    Erasing clears `salt`, `sealed_key` and `sealed_value`: the commitment that the chain covers stays, and
    proves nothing about a guessed value any more.
    """

    __tablename__ = "personal"

    id: str = Field(primary_key=True)
    environment: str
    lookup: str = Field(index=True)
    commitment: str
    salt: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    sealed_key: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    sealed_value: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    recorded_at: datetime = Field(sa_column=_time())
    erased_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class EntryRow(SQLModel, table=True):
    """One link of the chain: `hash` covers everything before it through `previous_hash`."""

    __tablename__ = "entries"

    environment: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    kind: str
    case_id: str = Field(index=True)
    settlement_id: str
    at: datetime = Field(sa_column=_time())
    body: str = Field(sa_column=Column(Text, nullable=False))
    previous_hash: str
    hash: str


class ChainHeadRow(SQLModel, table=True):
    """The newest link of each environment's chain. Its row lock is what keeps the chain from forking."""

    __tablename__ = "chain_heads"

    environment: str = Field(primary_key=True)
    position: int
    hash: str


class SweepClaimRow(SQLModel, table=True):
    """Who sweeps right now, and until when."""

    __tablename__ = "sweep_claims"

    environment: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    holder: str
    lease_until: datetime = Field(sa_column=_time())


def _table(row: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(row.__tablename__)]


# The tables as SQLAlchemy Core knows them: what every hot statement is written on.
EVENTS = _table(EventRow)
SETTLEMENTS = _table(SettlementRow)
CASES = _table(CaseRow)
SNAPSHOTS = _table(SnapshotRow)
VOTES = _table(VoteRow)
DECISIONS = _table(DecisionRow)
SUBMISSIONS = _table(SubmissionRow)
REVIEWS = _table(ReviewRow)
PERSONAL = _table(PersonalRow)
ENTRIES = _table(EntryRow)
CHAIN_HEADS = _table(ChainHeadRow)
SWEEP_CLAIMS = _table(SweepClaimRow)
