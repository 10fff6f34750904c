"""What really happened: settlements, decisions, deliveries and counts, as the sandbox knows them."""

from typing import Any

from litestar import get

from countersign.sandbox.api.calls import Call
from countersign.sandbox.sender import counted
from countersign.sandbox.settlements import Settlement
from countersign.sandbox.world import World


@get("/ready")
async def ready() -> dict[str, bool]:
    """Say that the sandbox answers."""
    return {"ready": True}


@get("/idle")
async def idle(world: World) -> dict[str, Any]:
    """Say whether anything is still on its way by itself."""
    timers, sending = world.lifecycle.moving, world.sender.sending
    return {"idle": not timers and not sending, "timers": timers, "sending": sending}


@get("/settlements")
async def truth(request: Call, world: World) -> dict[str, Any]:
    """Show every settlement as the sandbox knows it."""
    state = request.query_params.get("state")
    known = world.book.all.values()
    return {"items": [settlement_truth(each) for each in known if state in {None, each.state}]}


@get("/settlements/{settlement_id:str}")
async def truth_of(world: World, settlement_id: str) -> dict[str, Any]:
    """Show one settlement as the sandbox knows it."""
    return settlement_truth(world.book.get(settlement_id))


@get("/decisions")
async def decisions(world: World) -> dict[str, Any]:
    """Show every decision that ever arrived."""
    return {"items": world.decisions.records}


@get("/deliveries")
async def deliveries(world: World) -> dict[str, Any]:
    """Show every delivery attempt."""
    return {"items": world.sender.attempts}


@get("/counts")
async def counts(world: World) -> dict[str, Any]:
    """Show the counts."""
    return {**world.counts.shown(), "deliveries": counted(world.sender.attempts)}


def settlement_truth(settlement: Settlement) -> dict[str, Any]:
    """Show a settlement with its flags, which the API never shows."""
    return {
        "id": settlement.id,
        "state": settlement.state,
        "outcome": settlement.outcome,
        "environment": settlement.environment.slug,
        "paused": settlement.waiting is not None,
        "flags": settlement.flags,
    }


CALLS = (ready, idle, truth, truth_of, decisions, deliveries, counts)
"""The calls of this module."""
