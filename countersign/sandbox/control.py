"""The control API under `/_sandbox/`: set the scene, see what really happened. See `docs/sandbox.md`."""

from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, Router, delete, get, post, put

from countersign.sandbox.api.calls import Call
from countersign.sandbox.gate import CONTROL
from countersign.sandbox.magic import Fate
from countersign.sandbox.making import Wish
from countersign.sandbox.refusal import Refused, invalid, read
from countersign.sandbox.sender import counted
from countersign.sandbox.settlements import DecisionRecord, Flag, Settlement
from countersign.sandbox.shapes import settlement_shape
from countersign.sandbox.switches import Switches, SwitchUnknown
from countersign.sandbox.tenants import ALL_SCOPES
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


class ClientWish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `/_sandbox/clients`."""

    client_id: str
    client_secret: str
    environment: str = "development"
    scopes: tuple[str, ...] = tuple(sorted(ALL_SCOPES))


class RotateWish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `/_sandbox/keys/rotate`."""

    drop_old: bool = False


class DrawWish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `/_sandbox/draw`."""

    calls: Annotated[int, msgspec.Meta(ge=1)]
    environment: str = "development"


@get("/ready")
async def ready() -> dict[str, bool]:
    """Say that the sandbox answers."""
    return {"ready": True}


@get("/idle")
async def idle(world: World) -> dict[str, Any]:
    """Say whether anything is still on its way by itself."""
    timers, sending = world.lifecycle.moving, world.sender.sending
    return {"idle": not timers and not sending, "timers": timers, "sending": sending}


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


@get("/settlements")
async def truth(request: Call, world: World) -> dict[str, Any]:
    """Show every settlement as the sandbox knows it."""
    state = request.query_params.get("state")
    return {"items": [_truth(each) for each in world.book.all.values() if state in {None, each.state}]}


@get("/settlements/{settlement_id:str}")
async def truth_of(world: World, settlement_id: str) -> dict[str, Any]:
    """Show one settlement as the sandbox knows it."""
    return _truth(world.book.get(settlement_id))


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
    return _truth(found)


@post("/settlements/{settlement_id:str}/flag", status_code=200)
async def flag(request: Call, world: World, settlement_id: str) -> dict[str, Any]:
    """Flag a settlement again, now."""
    given = read(await request.body() or b"{}", FlagWish)
    found = world.book.get(settlement_id)
    if found.ended or found.waiting is not None:
        raise Refused(409, "The settlement has ended or waits for a decision already")
    found.silent = given.silent
    world.lifecycle.recheck(found, given.recheck)
    return _truth(found)


@post("/settlements/{settlement_id:str}/expire", status_code=200)
async def expire(world: World, settlement_id: str) -> dict[str, Any]:
    """Let a settlement's deadline be now."""
    found = world.book.get(settlement_id)
    found.timeout_at = world.clock.now()
    world.lifecycle.expire(found)
    return _truth(found)


@get("/decisions")
async def decisions(world: World) -> dict[str, Any]:
    """Show every decision that ever arrived."""
    return {"items": [asdict(record) for record in world.decisions.records]}


@get("/deliveries")
async def deliveries(world: World) -> dict[str, Any]:
    """Show every delivery attempt."""
    return {"items": [asdict(attempt) for attempt in world.sender.attempts]}


@get("/counts")
async def counts(world: World) -> dict[str, Any]:
    """Show the counts."""
    return {**world.counts.shown(), "deliveries": counted(world.sender.attempts)}


@get("/faults")
async def faults(world: World) -> Switches:
    """Show every switch."""
    return world.board.now


@put("/faults")
async def put_faults(request: Call, world: World) -> Switches:
    """Set some switches."""
    given = read(await request.body(), dict[str, Any])
    try:
        world.board.put(given)
    except SwitchUnknown as unknown:
        raise invalid(("body",), str(unknown)) from None
    return world.board.now


@delete("/faults", status_code=200)
async def reset_faults(world: World) -> Switches:
    """Set all switches to what they were at start."""
    world.board.reset()
    return world.board.now


@delete("/faults/{name:str}", status_code=200)
async def reset_fault(world: World, name: str) -> Switches:
    """Set one switch to what it was at start."""
    if name not in Switches.__struct_fields__:
        raise Refused(404, f"There is no switch {name}")
    world.board.reset(name)
    return world.board.now


@post("/emit", status_code=202)
async def emit(request: Call, world: World) -> Response[None]:
    """Send a body of the caller's own, signed as any other."""
    given = read(await request.body(), EmitWish)
    body = msgspec.json.encode(given.body) if given.text is None else given.text.encode()
    event = given.body.get("event") if isinstance(given.body, dict) else None
    environment = world.tenants.by_slug(given.environment)
    world.sender.post(event if isinstance(event, str) else "*", body, environment, None)
    return Response(None, status_code=202)


@post("/clients", status_code=201)
async def client(request: Call, world: World) -> dict[str, Any]:
    """Add a client, or replace the one of this id."""
    given = read(await request.body(), ClientWish)
    environment = world.tenants.by_slug(given.environment)
    world.tenants.add_client(given.client_id, given.client_secret, environment, frozenset(given.scopes))
    return {"client_id": given.client_id, "environment": environment.slug, "scopes": sorted(given.scopes)}


@post("/tokens/revoke", status_code=204)
async def revoke(world: World) -> None:
    """Make every token given out until now answer 401."""
    world.issuer.revoke_all()


@post("/keys/rotate", status_code=200)
async def rotate(request: Call, world: World) -> dict[str, str]:
    """Sign tokens with a new key."""
    given = read(await request.body() or b"{}", RotateWish)
    return {"kid": world.issuer.rotate(drop_old=given.drop_old)}


@post("/draw", status_code=204)
async def draw(request: Call, world: World) -> None:
    """Take calls from an environment's budget, as its other users do."""
    given = read(await request.body(), DrawWish)
    world.limit.take(world.tenants.by_slug(given.environment), given.calls)


def control_router() -> Router:
    """Put the calls together."""
    handlers = [
        ready, idle, make, truth, truth_of, decide, flag, expire, decisions, deliveries, counts, faults,
        put_faults, reset_faults, reset_fault, emit, client, revoke, rotate, draw,
    ]  # fmt: skip
    return Router("/_sandbox", route_handlers=handlers, opt={CONTROL: True})


def _truth(settlement: Settlement) -> dict[str, Any]:
    return {
        "id": settlement.id,
        "state": settlement.state,
        "outcome": settlement.outcome,
        "environment": settlement.environment.slug,
        "paused": settlement.waiting is not None,
        "flags": [_flag(each) for each in settlement.flags],
    }


def _flag(flag: Flag) -> dict[str, Any]:
    applied: list[DecisionRecord] = flag.applied
    return {**asdict(flag), "applied": [asdict(record) for record in applied]}
