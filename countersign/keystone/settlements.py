"""Settlements and their history as the platform sends them, read into our own types.

Everything secret is left behind here: `deposit_secret`, `deposit_key` and calldata, whose holder can deposit
a leg (keystone-api.md 3.2), never leave this module. Unknown fields are ignored, missing nullable ones are
`None`, both generations of the API are read (6.11 to 6.13).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from countersign.keystone.fields import exact, moment, objects, text, whole
from countersign.settlement import Leg, Party, Settlement

_SECRET_KEY = re.compile(r"deposit_?(secret|key)|calldata|call_data", re.IGNORECASE)

_LEG_TYPES = {"asset": "asset_delivery"}
"""The old generation's word for a leg, and ours (6.11)."""


_SETTLEMENT_TEXTS = (
    "settlement_type",
    "platform_id",
    "environment_id",
    "template_id",
    "template_slug",
    "external_reference",
    "settlement_category",
    "parent_settlement_id",
)

_PARTY_TEXTS = (
    "status",
    "external_reference",
    "name",
    "wallet_address",
    "wallet_address_hint",
    "chain_id",
    "asset_provider",
    "counterparty_reference",
)


class Unusable(ValueError):
    """An answer lacks what we can't do without. The message names the field, never a value."""


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


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list. `unreadable` counts entries that were left out because they can't be used."""

    items: tuple[Item, ...]
    total: int
    limit: int
    offset: int
    unreadable: int = 0

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins, or `None` after the last one."""
        reached = self.offset + len(self.items) + self.unreadable
        return reached if self.offset < reached < self.total else None


def parse_settlement(body: Any) -> Settlement:  # noqa: ANN401 - any JSON value.
    """Read a settlement.

    Raises:
        Unusable: `id` or `state` is missing, or a leg has no quantity that can be read: a leg left out would
            make a settlement look smaller than it is.

    """
    if not isinstance(body, dict):
        raise Unusable("a settlement is not a JSON object")
    return Settlement(
        id=_required(body, "id"),
        state=_required(body, "state"),
        template_version=whole(body.get("template_version")),
        timeout_at=moment(body.get("timeout_at")),
        created_at=moment(body.get("created_at")),
        updated_at=moment(body.get("updated_at")),
        parties=tuple(_party(party) for party in objects(body.get("parties"))),
        legs=tuple(_leg(leg) for leg in objects(body.get("legs"))),
        **{name: text(body.get(name)) for name in _SETTLEMENT_TEXTS},
    )


def _party(party: Mapping[str, Any]) -> Party:
    return Party(
        id=text(party.get("id")) or "",
        role=text(party.get("role")) or "",
        **{name: text(party.get(name)) for name in _PARTY_TEXTS},
    )


def _leg(leg: Mapping[str, Any]) -> Leg:
    quantity = exact(leg.get("quantity"))
    if quantity is None:
        raise Unusable("a leg has no `quantity` that can be read")
    leg_type = text(leg.get("leg_type")) or ""
    return Leg(
        id=text(leg.get("id")) or "",
        leg_type=_LEG_TYPES.get(leg_type, leg_type),
        instrument_id=text(leg.get("instrument_id")) or "",
        quantity=quantity,
        direction=text(leg.get("direction")) or "",
        party_role=text(leg.get("party_role")) or "",
        chain_id=text(leg.get("chain_id")),
        token_standard=text(leg.get("token_standard")),
        status=text(leg.get("status")),
        external_reference=text(leg.get("external_reference")),
    )


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


def _required(body: Mapping[str, Any], name: str) -> str:
    value = text(body.get(name))
    if value is None:
        raise Unusable(f"a settlement has no `{name}`")
    return value
