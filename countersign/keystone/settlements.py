"""Settlements as the platform sends them, read into our own type.

Everything secret is left behind here: `deposit_secret`, `deposit_key` and calldata, whose holder can deposit
a leg (keystone-api.md 3.2), never leave this module. Unknown fields are ignored, missing nullable ones are
`None`, both generations of the API are read (6.11 to 6.13).
"""

from collections.abc import Mapping
from typing import Any

from countersign.keystone.fields import Unusable, exact, moment, objects, text, whole
from countersign.settlement import Leg, Party, Settlement

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


def _required(body: Mapping[str, Any], name: str) -> str:
    value = text(body.get(name))
    if value is None:
        raise Unusable(f"a settlement has no `{name}`")
    return value
