"""A finished answer before it is sent, so that a fault can still change, delay or cut it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from litestar.types import Message, Send

from countersign.sandbox.refusal import Refused


@dataclass(slots=True)
class Answer:
    """Status, headers and body. Its `take` stands in for `send` while a handler writes."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def take(self, message: Message) -> None:
        """Take in a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message["headers"])
        elif message["type"] == "http.response.body":
            self.body += message["body"]

    def add(self, headers: Mapping[str, str]) -> None:
        """Add headers."""
        self.headers += [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def send(self, send: Send, *, half: bool = False) -> None:
        """Send it, or only the headers and half of the body."""
        body = self.body[: len(self.body) // 2] if half else self.body
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": body, "more_body": half})


def written_answer(
    status: int, body: bytes, headers: Mapping[str, str], content_type: str = "application/json"
) -> Answer:
    """Make an answer from its parts."""
    answer = Answer(status=status, body=body)
    answer.add({"Content-Type": content_type, "Content-Length": str(len(body)), **headers})
    return answer


def error_answer(refused: Refused) -> Answer:
    """Write an error as the platform does: `{"detail": …}` (keystone-api.md 4.2)."""
    return written_answer(refused.status, json.dumps({"detail": refused.detail}).encode(), refused.headers)
