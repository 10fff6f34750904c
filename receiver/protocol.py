"""The protocol between socket and application: uvicorn's own for httptools, with bounds that it lacks.

uvicorn 0.54 with httptools bounds neither the size of headers nor the time that a request takes to arrive:
a 20 MB header gets 200, and one that drips stays open for ever. Here a request has one deadline from its
first byte to its last; headers, and trailers, and everything else that is not body, have a bound in bytes;
and there are only so many connections. What this refuses is counted and logged like any other refusal.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from receiver.answers import REFUSED
from receiver.refusals import Refusal


class Bounds(NamedTuple):
    """What one connection may cost."""

    max_header_bytes: int
    request_timeout_seconds: float
    max_connections: int


class _HeadersTooLarge(Exception):
    """Raised inside the parser's callback, to stop it."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `bounds` and `refused` (told of each refusal) come from `bounded`."""

    bounds: Bounds
    refused: Callable[[Refusal], None]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_arriving = False  # A request has begun, and its last byte has not come.
        self._received = 0  # Bytes since the parser last made something of them that is bounded elsewhere.
        self._headers_too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # As uvicorn does.
        """Begin, or refuse at once if there are too many connections."""
        super().connection_made(transport)
        self._set_deadline()
        if len(self.connections) > self.bounds.max_connections:
            self._refuse(Refusal.TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see that the request stays within its bounds."""
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            self._clear_deadline()
        elif self._is_arriving or not self._is_answering():
            self._set_deadline()
            if self._received > self.bounds.max_header_bytes:
                self._refuse(Refusal.HEADERS_TOO_LARGE)
        else:
            self._received = 0
            self._clear_deadline()

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._is_arriving = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse headers that are too large even if they came all at once; else let the request begin."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.bounds.max_header_bytes:
            self._headers_too_large = True
            raise _HeadersTooLarge
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on: its size is the application's to bound."""
        self._received = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is here."""
        self._is_arriving = False
        self._received = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature; we never quote a caller.
        """Answer what the parser could not read."""
        self._refuse(Refusal.HEADERS_TOO_LARGE if self._headers_too_large else Refusal.HTTP_MALFORMED)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _set_deadline(self) -> None:
        # One deadline for the whole request: it is not moved by bytes that arrive one by one.
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.bounds.request_timeout_seconds, self._too_slow)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.pipeline:  # It waits behind an earlier one that we have not answered: that is our delay.
            self._set_deadline()
        else:
            self._refuse(Refusal.REQUEST_TOO_SLOW)

    def _refuse(self, refusal: Refusal) -> None:
        self._clear_deadline()
        if self.transport.is_closing():
            return
        self.refused(refusal)
        # An answer that has begun can't be taken back; the caller sees it cut short.
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(REFUSED[refusal].as_http())
        self.transport.close()


def bounded(bounds: Bounds, refused: Callable[[Refusal], None]) -> type[asyncio.Protocol]:
    """Make the protocol class for one server: uvicorn makes an instance of it for each connection."""
    made = type("BoundedProtocol", (BoundedProtocol,), {"bounds": bounds, "refused": staticmethod(refused)})
    return cast("type[asyncio.Protocol]", made)
