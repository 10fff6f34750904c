"""What every call passes on its way in and out: faults, the token, the rate limit, scopes, the headers.

A fault that strikes after the handling works on the finished answer, so that what was done stays done.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import Headers
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from countersign.sandbox.answers import Answer, error_answer, written_answer
from countersign.sandbox.door import DROP
from countersign.sandbox.identity import Caller
from countersign.sandbox.options import API_VERSION
from countersign.sandbox.refusal import Refused
from countersign.sandbox.settlements import DecisionRecord
from countersign.sandbox.switches import Fault
from countersign.sandbox.world import World

RECORD = "decision_record"
"""Where a call's state keeps the record of its decision."""

NEEDS = "needs"
"""The key of a handler's `opt` with the scopes of which a caller needs one. Without it anyone may call."""

CONTROL = "control"
"""The key of the `opt` of control calls, which pass no gate."""

VERSION_HEADER = "Keystone-Version"

Draw = Callable[[str], Fault | None]

_CUT_BEFORE_HANDLING = 0
"""The status on record of a decision whose connection was dropped before anyone looked at it."""

_HTML = b"<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


class Gate(ASGIMiddleware):
    """The middleware of every platform call; the control API is left out by its `opt`."""

    exclude_opt_key = CONTROL

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let one call through, or don't."""
        route = scope["route_handler"].name or ""
        draw: Draw = partial(self._world.board.draw, route=route)
        headers: dict[str, str] = {}
        if fault := draw("slow_start"):
            # Read now: the server forgets a body whose client has gone, and the call is to be handled still.
            await Request[Any, Any, Any](scope, receive).body()
            await asyncio.sleep(_seconds(fault))
        lost = draw("cut_before") is not None
        answer = (
            Answer(_CUT_BEFORE_HANDLING)
            if lost
            else self._fault_instead(draw) or self._refusal(scope, headers)
        )
        if answer is None:
            answer = Answer()
            await next_app(scope, receive, answer.take)
        elif route == "decision":
            await self._note(scope, receive)
        if fault := draw("server_error_after"):
            answer = error_answer(Refused(fault.status or 503, "Internal error"))
        answer.add(headers)
        lost = lost or draw("cut_after") is not None
        cut = not lost and draw("cut_middle") is not None
        _close_record(scope, answer.status, lost=lost or cut)
        if fault := draw("slow_answer"):
            await asyncio.sleep(_seconds(fault))
        if not lost:
            await answer.send(send, half=cut)
        if lost or cut:
            await drop_of(scope)()

    def _fault_instead(self, draw: Draw) -> Answer | None:
        """Return the answer that a fault gives instead of the handler."""
        if fault := draw("server_error"):
            return error_answer(Refused(fault.status or 503, "Service temporarily unavailable"))
        if fault := draw("html_answer"):
            return written_answer(fault.status or 502, _HTML, {}, "text/html")
        if fault := draw("too_many_requests"):
            return error_answer(self._too_many(_seconds(fault)))
        if draw("unauthorized"):
            return error_answer(Refused(401, "Invalid token"))
        return None

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Answer | None:
        """Check token, version, budget and scopes, in this order; write down the headers to add."""
        needs = scope["route_handler"].opt.get(NEEDS)
        if needs is None:
            return None
        given = Headers.from_scope(scope)
        try:
            caller = scope["user"] = self._world.issuer.caller(given.get("authorization"))
            headers[VERSION_HEADER] = self._version(given.get(VERSION_HEADER), caller)
            self._take_from_budget(caller, headers)
        except Refused as refused:
            return error_answer(refused)
        if caller.scopes.isdisjoint(needs):
            return error_answer(Refused(403, f"Missing required scope: {needs[0]}"))
        return None

    def _version(self, asked: str | None, caller: Caller) -> str:
        """Return the version that answers (keystone-api.md 4.4)."""
        pinned = caller.environment.api_version
        if asked in {None, pinned, API_VERSION}:
            return asked or pinned
        if self._world.board.now.unknown_version == "refused":
            raise Refused(400, f"Unknown API version: {asked}")
        return pinned

    def _take_from_budget(self, caller: Caller, headers: dict[str, str]) -> None:
        allowance = self._world.limit.take(caller.environment)
        if allowance is None:
            return
        headers.update(allowance.headers())
        if not allowance.allowed:
            raise self._too_many(allowance.wait_seconds)

    def _too_many(self, seconds: float) -> Refused:
        match self._world.board.now.retry_after:
            case "absent":
                headers = {}
            case "date":
                moment = self._world.clock.now() + timedelta(seconds=math.ceil(seconds))
                headers = {"Retry-After": format_datetime(moment, usegmt=True)}
            case _:
                headers = {"Retry-After": str(math.ceil(seconds))}
        return Refused(429, "Rate limit exceeded", headers)

    async def _note(self, scope: Scope, receive: Receive) -> None:
        """Put a decision on record that no handler will see."""
        body = await Request[Any, Any, Any](scope, receive).body()
        try:
            given = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            given = None
        decision = given.get("decision") if isinstance(given, dict) else None
        caller = scope.get("user")
        scope["state"][RECORD] = self._world.decisions.arrived(
            scope["path_params"].get("settlement_id", ""),
            caller.client_id if isinstance(caller, Caller) else None,
            decision if isinstance(decision, str) else None,
        )


def drop_of(scope: Scope) -> Callable[[], Any]:
    """Return the function that drops this call's connection."""
    extensions: Any = scope["extensions"]
    drop: Callable[[], Any] = extensions[DROP]
    return drop


def _close_record(scope: Scope, status: int, *, lost: bool) -> None:
    record = scope["state"].get(RECORD)
    if isinstance(record, DecisionRecord):
        record.status = status
        record.reply = "lost" if lost else "sent"


def _seconds(fault: Fault) -> float:
    return 1.0 if fault.seconds is None else fault.seconds
