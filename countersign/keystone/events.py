"""Webhook bodies: what one event says, read leniently, and the key under which repeats of it merge.

Only `event` (a name) and `data` (an object) are required; the platform's own samples lack everything else in
places (keystone-api.md 6.3). A body comes here only after its signature was found good.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from countersign.keystone.fields import moment, text

NAME_LIMIT = 200
"""The longest event name that is read, in characters. Documented names have fewer than 50."""

_FLAG_ENDINGS = frozenset(
    {"compliance.flagged", "compliance.failed", "compliance_flagged", "compliance_failed"}
)
_PING = "test.ping"


class EventUnreadable(ValueError):
    """The body is no event. `reason` is a slug for the log and the counter; the message quotes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the webhook's body is no KeyStone event: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The fact that one delivery carries (keystone-api.md 2.3).

    `key` merges repeats while work is in progress; it is no identity for ever, since a second flag may look
    the same. `data` is what came, and may hold anything: never log it.
    """

    name: str
    key: str
    settlement_id: str | None = None
    state: str | None = None
    previous_state: str | None = None
    settlement_type: str | None = None
    occurred_at: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_flag(self) -> bool:
        """Say whether KeyStone asks for a decision, under any prefix that its pages use (6.2)."""
        return any(self.name == ending or self.name.endswith(f".{ending}") for ending in _FLAG_ENDINGS)

    @property
    def is_ping(self) -> bool:
        """Say whether this is the test that `POST …/test` sends."""
        return self.name == _PING


def parse_event(body: bytes) -> Event:
    """Read one verified body. What is odd but harmless is left out; what can't be used at all is refused.

    Raises:
        EventUnreadable: It is not JSON, not an object, or lacks a usable `event` or `data`.

    """
    envelope = _decoded(body)
    if not isinstance(envelope, dict):
        raise EventUnreadable("not_an_object")
    name = envelope.get("event")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        raise EventUnreadable("no_event_name")
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise EventUnreadable("no_data")
    return _event(name, data, body)


def _decoded(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds.
    try:
        # Strict JSON (RFC 8259): no NaN, no lone surrogates, no byte order mark.
        return msgspec.json.decode(body)
    except RecursionError:
        raise EventUnreadable("nested_too_deep") from None
    except ValueError:
        raise EventUnreadable("not_json") from None


def _event(name: str, data: dict[str, Any], body: bytes) -> Event:
    settlement_id, timestamp = text(data.get("settlement_id")), text(data.get("timestamp"))
    state, previous_state = text(data.get("state")), text(data.get("previous_state"))
    told_apart = settlement_id is not None and timestamp is not None
    return Event(
        name=name,
        key=_key("tuple", msgspec.json.encode([name, settlement_id, state, previous_state, timestamp]))
        if told_apart
        else _key("body", body),
        settlement_id=settlement_id,
        state=state,
        previous_state=previous_state,
        settlement_type=text(data.get("settlement_type")),
        occurred_at=moment(timestamp),
        data=data,
    )


def _key(kind: str, content: bytes) -> str:
    # The kind goes in first, so that no body can be made to carry the key of another event's tuple.
    return hashlib.sha256(f"countersign event {kind}\n".encode() + content).hexdigest()
