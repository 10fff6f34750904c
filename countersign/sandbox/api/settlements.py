"""Settlement calls (keystone-api.md 3.1 to 3.5)."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post

from countersign.sandbox.api.calls import Call, needs
from countersign.sandbox.gate import RECORD
from countersign.sandbox.magic import Fate
from countersign.sandbox.making import LegWish, PartyWish
from countersign.sandbox.refusal import Refused, invalid, page_of, paged, read
from countersign.sandbox.settlements import Settlement
from countersign.sandbox.shapes import event_shape, settlement_shape
from countersign.sandbox.tenants import Environment
from countersign.sandbox.world import World

READ = needs("settlements:read")
WRITE = needs("settlements:write")

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class PartyInput(msgspec.Struct, kw_only=True):
    """A party of a new settlement."""

    role: Text
    external_reference: Text
    wallet_address: Text
    name: str | None = None
    chain_id: int | None = None


class LegInput(msgspec.Struct, kw_only=True):
    """A leg of a new settlement."""

    leg_type: Text
    instrument_id: Text
    quantity: Decimal
    direction: Literal["deliver", "receive"]
    party_role: Text
    chain_id: int | None = None
    token_standard: str | None = None
    external_reference: str | None = None


class SettlementInput(msgspec.Struct, kw_only=True):
    """The body of the older docs' create call, which the official SDK uses."""

    idempotency_key: Text
    parties: list[PartyInput]
    legs: list[LegInput]
    timeout_at: datetime
    template_id: str | None = None
    template_slug: str | None = None
    external_reference: str | None = None


class DecisionInput(msgspec.Struct, kw_only=True):
    """The body of a decision. The value is checked by hand, to put a wrong one on record too."""

    decision: Any


@get("/v1/settlements/{settlement_id:str}", name="settlement", opt=READ)
async def settlement(request: Call, world: World, settlement_id: str) -> dict[str, Any]:
    """Show one settlement."""
    return settlement_shape(world.book.get(settlement_id, request.user.environment), world.board.now)


@get("/v1/settlements", name="settlements", opt=READ)
async def settlements(request: Call, world: World) -> dict[str, Any]:
    """List settlements, those of one state if asked."""
    switches = world.board.now
    seen = world.book.seen_by(request.user.environment, request.query_params.get("state"))
    if switches.list_order == "newest":
        seen.reverse()
    return paged(seen, page_of(request.query_params), lambda each: settlement_shape(each, switches))


@get("/v1/settlements/{settlement_id:str}/events", name="history", opt=READ)
async def history(request: Call, world: World, settlement_id: str) -> dict[str, Any]:
    """List a settlement's history by sequence."""
    found = world.book.get(settlement_id, request.user.environment)
    switches = world.board.now
    return paged(
        found.history, page_of(request.query_params), lambda event: event_shape(event, found, switches)
    )


@get("/v1/settlements/{settlement_id:str}/related", name="related", opt=READ)
async def related(request: Call, world: World, settlement_id: str) -> dict[str, Any]:
    """Show both halves of a repo; anything else has neither."""
    found = world.book.get(settlement_id, request.user.environment)
    opening = found.parent or (found if found.template.category == "repo_open" else None)
    closing = opening and world.book.closing_of(opening)
    switches = world.board.now
    return {
        "opening": settlement_shape(opening, switches) if opening else None,
        "closing": settlement_shape(closing, switches) if closing else None,
    }


@post("/v1/settlements/{settlement_id:str}/compliance-decision", name="decision", opt=WRITE)
async def decision(request: Call, world: World, settlement_id: str) -> Response[dict[str, Any]]:
    """Approve or reject a flagged settlement."""
    body = await request.body()
    record = world.decisions.arrived(settlement_id, request.user.client_id, None)
    request.scope["state"][RECORD] = record
    value = read(body, DecisionInput).decision
    record.decision = value if isinstance(value, str) else None
    if value not in {"approve", "reject"}:
        raise invalid(("body", "decision"), "Input should be 'approve' or 'reject'", "literal_error")
    found = world.book.get(settlement_id, request.user.environment)
    state = world.decisions.apply(found, record)
    switches = world.board.now
    return Response(settlement_shape(found, switches, state=state), status_code=switches.decision_status)


@post("/v1/settlements", name="settlement_create", opt=WRITE)
async def settlement_create(request: Call, world: World) -> Response[dict[str, Any]]:
    """Make a settlement; the same idempotency key and body again answer 200 with what was made."""
    given = read(await request.body(), SettlementInput)
    environment = request.user.environment
    made = world.book.made_with(environment, given.idempotency_key)
    if made is not None:
        return Response(settlement_shape(made, world.board.now), status_code=200)
    new = _assembled(world, environment, given)
    world.book.add(new)
    world.lifecycle.start(new)
    return Response(settlement_shape(new, world.board.now), status_code=201)


def _assembled(world: World, environment: Environment, given: SettlementInput) -> Settlement:
    name = given.template_id or given.template_slug
    if name is None:
        raise Refused(422, "Either template_id or template_slug is required")
    template = world.templates.find(name)
    roles = {party.role for party in given.parties}
    for role in template.roles:
        if role not in roles:
            raise Refused(422, f"Missing required role: {role}")
    if given.timeout_at.tzinfo is None or given.timeout_at <= world.clock.now():
        raise invalid(("body", "timeout_at"), "Input should be in the future, with its time zone")
    return world.maker.assemble(
        environment=environment,
        template=template,
        parties=[
            PartyWish(environment=environment, **msgspec.structs.asdict(party)) for party in given.parties
        ],
        legs=[LegWish(**msgspec.structs.asdict(leg)) for leg in given.legs],
        fate=Fate(),
        timeout=given.timeout_at,
        settlement_type="single_platform",
        external_reference=given.external_reference,
        idempotency_key=given.idempotency_key,
    )
