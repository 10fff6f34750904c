"""How settlements, their history and templates look in an answer (keystone-api.md 3.2 to 3.4)."""

from typing import Any

from countersign.sandbox.settlements import HistoryEvent, Leg, Party, Settlement
from countersign.sandbox.switches import Switches
from countersign.sandbox.templates import Template, config_of


def settlement_shape(
    settlement: Settlement, switches: Switches, *, state: str | None = None
) -> dict[str, Any]:
    """Show a settlement, in another `state` where an answer comes before its effect."""
    template = settlement.template
    return _nullable(
        {
            "id": settlement.id,
            "idempotency_key": settlement.idempotency_key,
            "platform_id": settlement.environment.platform.id,
            "environment_id": settlement.environment.id,
            "template_id": template.id,
            "template_slug": template.slug,
            "template_version": template.version,
            "external_reference": settlement.external_reference,
            "settlement_type": settlement.settlement_type,
            "state": state or settlement.state,
            "parties": [_party(party, settlement, switches) for party in settlement.parties],
            "legs": [_leg(leg, settlement, switches) for leg in settlement.legs],
            "timeout_at": settlement.timeout_at,
            "created_at": settlement.created_at,
            "updated_at": settlement.updated_at,
            "parent_settlement_id": settlement.parent.id if settlement.parent else None,
            "settlement_category": template.category,
            "maturity_at": settlement.maturity_at,
            "repo_metadata": settlement.repo_metadata,
        },
        switches,
    )


def event_shape(event: HistoryEvent, settlement: Settlement, switches: Switches) -> dict[str, Any]:
    """Show one event of the history."""
    return _nullable(
        {
            "id": event.id,
            "settlement_id": settlement.id,
            "sequence": event.sequence,
            "from_state": event.from_state,
            "to_state": event.to_state,
            "triggered_by": event.triggered_by,
            "payload": event.payload,
            switches.hash_field: event.content_hash,
            "created_at": event.created_at,
        },
        switches,
    )


def template_shape(template: Template, switches: Switches) -> dict[str, Any]:
    """Show a template with its workflow."""
    return {
        "id": template.id,
        "slug": template.slug,
        "name": template.name,
        "description": template.description,
        "config": config_of(template, old=switches.generation == "old"),
        "version": template.version,
        "is_active": True,
        "created_at": template.created_at,
        "updated_at": template.created_at,
    }


def _party(party: Party, settlement: Settlement, switches: Switches) -> dict[str, Any]:
    return _nullable(
        {
            "id": party.id,
            "role": party.role,
            "platform_id": party.environment.platform.id,
            "environment_id": party.environment.id,
            "external_reference": party.external_reference,
            "name": party.name,
            "wallet_address": party.wallet_address,
            "chain_id": party.chain_id,
            "status": party.status,
            "confirmed_at": party.created_at,
            "wallet_address_hint": None,
            "counterparty_reference": None,
            "asset_provider": None,
            "created_at": party.created_at,
            "updated_at": settlement.created_at,
        },
        switches,
    )


def _leg(leg: Leg, settlement: Settlement, switches: Switches) -> dict[str, Any]:
    shown = _nullable(
        {
            "id": leg.id,
            "settlement_id": settlement.id,
            "leg_type": leg.leg_type,
            "instrument_id": leg.instrument_id,
            "chain_id": leg.chain_id,
            "token_standard": leg.token_standard,
            "quantity": format(leg.quantity, "f"),
            "direction": leg.direction,
            "party_role": leg.party_role,
            "status": leg.status,
            "external_reference": leg.external_reference,
            "created_at": leg.created_at,
            "updated_at": settlement.updated_at,
        },
        switches,
    )
    if settlement.deposits_open and leg.direction == "deliver":
        shown |= {
            "deposit_secret": leg.deposit_secret,
            "deposit_key": leg.deposit_key,
            "calldata": leg.calldata,
        }
    return shown


def _nullable(shown: dict[str, Any], switches: Switches) -> dict[str, Any]:
    if switches.nullable_keys == "present":
        return shown
    return {key: value for key, value in shown.items() if value is not None}
