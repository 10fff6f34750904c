"""The answers, made once: a few fixed messages for ASGI, and the same in bytes for the protocol below it."""

import json
from http import HTTPStatus
from typing import NamedTuple

from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Send

from receiver.refusals import Refusal

RETRY_AFTER_SECONDS = 5
"""What a 503 tells the caller to wait. KeyStone has a schedule of its own (keystone-api.md 2.6)."""


class Answer(NamedTuple):
    """One complete answer."""

    start: HTTPResponseStartEvent
    body: HTTPResponseBodyEvent

    async def send(self, send: Send) -> None:
        """Send it through ASGI."""
        await send(self.start)
        await send(self.body)

    def as_http(self) -> bytes:
        """Write it as HTTP/1.1, with the connection's end announced."""
        status = HTTPStatus(self.start["status"])
        headers = [header for header in self.start["headers"] if header[0] != b"connection"]
        lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
        lines += [b"%s: %s" % header for header in [*headers, (b"connection", b"close")]]
        return b"\r\n".join([*lines, b"", self.body["body"]])


def _answer(status: int, content: dict[str, str], *more: tuple[bytes, bytes]) -> Answer:
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *more,
    ]
    return Answer(
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body, "more_body": False},
    )


def _headers(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    match refusal:
        case Refusal.METHOD_NOT_ALLOWED:
            return [(b"allow", b"POST")]
        case Refusal.BODY_TOO_LARGE:
            return [(b"connection", b"close")]  # Or the server would read the rest of it.
        case _ if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return [(b"retry-after", str(RETRY_AFTER_SECONDS).encode())]
        case _:
            return []


ACCEPTED = _answer(202, {"status": "accepted"})
"""For an event that waits now, whether it is new or a repeat."""

REFUSED = {
    refusal: _answer(refusal.status, {"detail": refusal.detail}, *_headers(refusal)) for refusal in Refusal
}
"""The answer to each refusal, in the form of KeyStone's own errors (keystone-api.md 4.2)."""
