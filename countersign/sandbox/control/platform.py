"""Change the platform itself: switches, clients, tokens, keys, the budget, or everything."""

from typing import Annotated, Any

import msgspec
from litestar import delete, get, post, put

from countersign.sandbox.api.calls import Call
from countersign.sandbox.refusal import Refused, invalid, read
from countersign.sandbox.switches import Switches, SwitchUnknown
from countersign.sandbox.tenants import ALL_SCOPES
from countersign.sandbox.world import World


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


@post("/reset", status_code=200)
async def reset(request: Call, world: World) -> dict[str, Any]:
    """Forget everything and begin again, with some of the options changed if asked."""
    given = read(await request.body() or b"{}", dict[str, Any])
    await world.reset(given)
    return {"seed": world.options.seed}


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


CALLS = (faults, put_faults, reset_faults, reset_fault, reset, client, revoke, rotate, draw)
"""The calls of this module."""
