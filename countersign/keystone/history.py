"""A settlement's history: its audit trail as the platform sends it (keystone-api.md 3.3)."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from countersign.keystone.fields import Unusable, moment, text, whole

_SECRET_KEY = re.compile(r"deposit_?(secret|key)|call_?data", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One entry of a settlement's audit trail (keystone-api.md 3.3). `payload` is JSON-safe and stripped."""

    id: str
    sequence: int
    from_state: str | None
    to_state: str | None
    triggered_by: str | None
    payload: Any = field(repr=False)
    content_hash: str | None
    created_at: datetime | None


def parse_history_event(body: Any) -> HistoryEvent:  # noqa: ANN401 - any JSON value.
    """Read one entry of the audit trail.

    Raises:
        Unusable: It has no `sequence`, which is its place in the order.

    """
    sequence = whole(body.get("sequence")) if isinstance(body, dict) else None
    if sequence is None:
        raise Unusable("an event of the history has no `sequence`")
    return HistoryEvent(
        id=text(body.get("id")) or "",
        sequence=sequence,
        from_state=text(body.get("from_state")),
        to_state=text(body.get("to_state")),
        triggered_by=text(body.get("triggered_by")),
        payload=stripped(body.get("payload")),
        content_hash=text(body.get("content_hash")) or text(body.get("evidence_hash")),
        created_at=moment(body.get("created_at")),
    )


def stripped(value: Any) -> Any:  # noqa: ANN401 - any JSON value.
    """Return a JSON value without deposit secrets at any depth; a decimal becomes its exact text."""
    match value:
        case dict():
            return {key: stripped(inner) for key, inner in value.items() if not _SECRET_KEY.search(key)}
        case list():
            return [stripped(inner) for inner in value]
        case Decimal():
            return str(value)
        case str():
            return text(value) or ""
        case _:
            return value
