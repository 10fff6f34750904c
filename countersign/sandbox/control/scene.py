"""Set the scene: make settlements, and let things happen to them from outside."""

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from litestar import post

from countersign.sandbox.api.calls import Call
from countersign.sandbox.control.records import settlement_truth
from countersign.sandbox.magic import Fate
from countersign.sandbox.making import Wish
from countersign.sandbox.refusal import Refused, read
from countersign.sandbox.shapes import settlement_shape
from countersign.sandbox.world import World


class SettlementsWish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /_sandbox/settlements`."""

    outcome: Literal["pass", "flag", "fail", "stuck"] | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    timeout_seconds: Annotated[float, msgspec.Meta(ge=0)] | None = None
    recheck: Literal["same", "different"] | None = None
    silent: bool = False
    deposits: bool = True
    template: str | None = None
    quantity: Decimal | None = None
    name: str | None = None
    wallet: str | None = None
    wallet_suffix: str | None = None
    settlement_type: Literal["single_platform", "cross_platform"] = "single_platform"
    external_reference: str | None = None
    environment: str = "development"


class DecideWish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `…/decide`: someone else than our client decides."""

    decision: Literal["approve", "reject"]
    by: str = "user:officer"


class FlagWish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `…/flag`."""

    recheck: Literal["same", "different"] = "different"
    silent: bool = False


class EmitWish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `/_sandbox/emit`: JSON in `body`, or any text in `text`."""

    body: Any = None
    text: str | None = None
    environment: str = "development"


@post("/settlements", status_code=201)
async def make(request: Call, world: World) -> dict[str, Any]:
    """Make settlements and start them."""
    given = read(await request.body() or b"{}", SettlementsWish)
    wish = Wish(
        environment=world.tenants.by_slug(given.environment),
        fate=Fate(outcome=given.outcome, recheck=given.recheck, silent=given.silent, deposits=given.deposits),
        timeout_seconds=given.timeout_seconds,
        template=given.template,
        quantity=given.quantity,
        name=given.name,
        wallet=given.wallet,
        wallet_suffix=given.wallet_suffix,
        settlement_type=given.settlement_type,
        external_reference=given.external_reference,
    )
    made = [world.maker.make_up(wish) for _ in range(given.count)]
    for settlement in made:
        world.book.add(settlement)
        world.lifecycle.start(settlement)
    return {"items": [settlement_shape(settlement, world.board.now) for settlement in made]}


@post("/settlements/{settlement_id:str}/decide", status_code=200)
async def decide(request: Call, world: World, settlement_id: str) -> dict[str, Any]:
    """Let someone else decide."""
    given = read(await request.body(), DecideWish)
    found = world.book.get(settlement_id)
    record = world.decisions.arrived(settlement_id, given.by, given.decision)
    try:
        world.decisions.apply(found, record)
    except Refused as refused:
        record.status = refused.status
        raise
    record.status = 200
    return settlement_truth(found)


@post("/settlements/{settlement_id:str}/flag", status_code=200)
async def flag(request: Call, world: World, settlement_id: str) -> dict[str, Any]:
    """Flag a settlement again, now."""
    given = read(await request.body() or b"{}", FlagWish)
    found = world.book.get(settlement_id)
    if found.ended or found.waiting is not None:
        raise Refused(409, "The settlement has ended or waits for a decision already")
    found.silent = given.silent
    world.lifecycle.recheck(found, given.recheck)
    return settlement_truth(found)


@post("/settlements/{settlement_id:str}/expire", status_code=200)
async def expire(world: World, settlement_id: str) -> dict[str, Any]:
    """Let a settlement's deadline be now."""
    found = world.book.get(settlement_id)
    found.timeout_at = world.clock.now()
    world.lifecycle.expire(found)
    return settlement_truth(found)


@post("/emit", status_code=204)
async def emit(request: Call, world: World) -> None:
    """Send a body of the caller's own, signed as any other."""
    given = read(await request.body(), EmitWish)
    body = msgspec.json.encode(given.body) if given.text is None else given.text.encode()
    event = given.body.get("event") if isinstance(given.body, dict) else None
    environment = world.tenants.by_slug(given.environment)
    world.sender.post(event if isinstance(event, str) else "*", body, environment, None)


CALLS = (make, decide, flag, expire, emit)
"""The calls of this module."""
