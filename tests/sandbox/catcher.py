"""Catches webhooks: a real HTTP server that remembers what came and answers as it is told."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

SIGNATURE = "X-Keystone-Signature"


@dataclass(frozen=True)
class Caught:
    """One delivery as it came in."""

    body: bytes
    signatures: list[str]
    content_type: str | None

    @property
    def event(self) -> str:
        return str(json.loads(self.body)["event"])

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.body)["data"])

    def is_signed_with(self, secret: str) -> bool:
        return signature(self.body, secret) in self.signatures


def signature(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Catcher:
    """The server. `answer` decides the status of each delivery, counted from 1."""

    def __init__(self) -> None:
        self.caught: list[Caught] = []
        self.answer: Callable[[int], int] = lambda _number: 202
        catcher = self
        numbers = count(1)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = self.headers
                catcher.caught.append(Caught(body, headers.get_all(SIGNATURE, []), headers["Content-Type"]))
                self.send_response(catcher.answer(next(numbers)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/keystone"

    def events(self) -> list[str]:
        return [each.event for each in self.caught]

    def of(self, event: str) -> list[Caught]:
        return [each for each in self.caught if each.event == event]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
