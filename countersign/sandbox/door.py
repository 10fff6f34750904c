"""The outermost layer, around Litestar: the platform's `Date`, counts, and how to drop a connection."""

from email.utils import format_datetime
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from countersign.sandbox.counts import CUT
from countersign.sandbox.world import World

DROP = "countersign.drop"
"""The extension under which a call finds the function that drops its connection."""

CONTROL = "/_sandbox/"
"""The control API's paths: not counted, and on the true clock."""


class Door:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one call through."""
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        status = CUT
        date = format_datetime(self._world.clock.now(), usegmt=True).encode()

        async def dated(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                message["headers"] = [*message["headers"], (b"date", date)]
            await send(message)

        async def drop() -> None:
            nonlocal status
            status = CUT
            _transport(send).close()
            while (await receive())["type"] != "http.disconnect":
                pass

        extensions: dict[str, Any] = {**(scope.get("extensions") or {}), DROP: drop}
        scope["extensions"] = extensions
        await self._app(scope, receive, dated)
        handler: Any = scope.get("route_handler")
        self._world.counts.add(getattr(handler, "name", None) or "unknown", status)


def _transport(send: Send) -> Any:  # noqa: ANN401 - whichever transport the event loop has.
    """Return the connection below uvicorn's `send`. ASGI itself has no way to drop a connection."""
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        raise RuntimeError("the sandbox can only drop connections under uvicorn: run `countersign sandbox`")
    return transport
