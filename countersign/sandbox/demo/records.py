"""The two records that the demo compares: what the sandbox saw, and what the ledger says.

Both arrive as JSON and are read here into plain, frozen structures; unknown keys are ignored and a missing or
misshapen one is an error, because a comparison over half a record proves nothing.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

_Items = TypeVar("_Items")


class AppliedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that took effect, as the sandbox noted it with the flag that it ended."""

    decision: str


class PlatformFlag(msgspec.Struct, frozen=True, kw_only=True):
    """One pause of a settlement, by the sandbox's own record. `ended_by` is `decision`, `timeout` or None."""

    pause_sequence: int
    flagged_at: datetime
    ended_by: str | None = None
    applied: tuple[AppliedDecision, ...] = ()


class PlatformSettlement(msgspec.Struct, frozen=True, kw_only=True):
    """A settlement with every flag that it ever had. `outcome` is what the demo asked for."""

    id: str
    state: str
    outcome: str
    flags: tuple[PlatformFlag, ...] = ()


class PlatformDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision call that arrived at the sandbox, whether or not it took effect."""

    settlement_id: str
    decision: str
    received_at: datetime
    status: int
    applied: bool
    pause_sequence: int | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery attempt of the sandbox. `status` is None where no answer came."""

    event: str
    body_sha256: str
    settlement_id: str | None = None
    status: int | None = None

    @property
    def accepted(self) -> bool:
        """Whether the receiver answered 2xx, and so took the event over."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own numbers.


class PlatformRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that the sandbox knows of this run."""

    settlements: tuple[PlatformSettlement, ...]
    decisions: tuple[PlatformDecision, ...]
    deliveries: tuple[Attempt, ...]


class LedgerVote(msgspec.Struct, frozen=True, kw_only=True):
    """One handler's answer, as the ledger lists it."""

    handler: str
    outcome: str


class LedgerCase(msgspec.Struct, frozen=True, kw_only=True):
    """One case, as `countersign cases list --json` prints it."""

    case_id: str
    settlement_id: str
    state: str
    pause_sequence: int | None = None
    verdict: str | None = None
    decision: str | None = None
    votes: tuple[LedgerVote, ...] = ()
    flag_received_at: datetime | None = None
    decided_at: datetime | None = None
    submitted_at: datetime | None = None


class LedgerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event, as `countersign events list --json` prints it."""

    event_id: str
    name: str
    body_sha256: str
    settlement_id: str | None = None


class LedgerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that the ledger says of this run."""

    cases: tuple[LedgerCase, ...]
    events: tuple[LedgerEvent, ...]


class RecordUnreadable(Exception):
    """One of the two records isn't in the agreed form. The message names the record and the place in it."""


def platform_record(settlements: Any, decisions: Any, deliveries: Any) -> PlatformRecord:  # noqa: ANN401 - JSON.
    """Read the three lists of the sandbox's control API, each `{"items": […]}`.

    Raises:
        RecordUnreadable: A list or one of its items has another form.

    """
    return PlatformRecord(
        settlements=_items(settlements, tuple[PlatformSettlement, ...], "the sandbox's settlements"),
        decisions=_items(decisions, tuple[PlatformDecision, ...], "the sandbox's decisions"),
        deliveries=_items(deliveries, tuple[Attempt, ...], "the sandbox's deliveries"),
    )


def ledger_record(cases: Any, events: Any) -> LedgerRecord:  # noqa: ANN401 - JSON.
    """Read what the two list commands print, each `{"items": […]}`.

    Raises:
        RecordUnreadable: A list or one of its items has another form.

    """
    return LedgerRecord(
        cases=_items(cases, tuple[LedgerCase, ...], "the ledger's cases"),
        events=_items(events, tuple[LedgerEvent, ...], "the ledger's events"),
    )


def write_records(folder: Path, platform: PlatformRecord, ledger: LedgerRecord) -> None:
    """Write what was compared into a kept folder, for whoever wants to look closer."""
    (folder / "keystone.json").write_bytes(msgspec.json.encode(platform))
    (folder / "ledger.json").write_bytes(msgspec.json.encode(ledger))


def _items(listing: Any, kind: type[_Items], what: str) -> _Items:  # noqa: ANN401 - JSON.
    try:
        return msgspec.convert(listing["items"], type=kind)
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise RecordUnreadable(f"{what} can't be read: {error}") from error
