"""A real receiver process for the tests, and the ways in which they talk to it."""

import json
import re
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any

import httpx

from countersign.keystone.signature import sign
from tests.services.ports import free_port
from tests.services.processes import Processes
from tests.services.waiting import eventually

SECRET = "whsec_receiver_test"
PATH = "/webhooks/keystone"
SIGNATURE = "X-Keystone-Signature"

_SAMPLE = re.compile(r"^countersign_receiver_deliveries_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def event_body(settlement_id: str = "settlement-1", event: str = "settlement.compliance.flagged") -> bytes:
    data = {
        "settlement_id": settlement_id,
        "state": "COMPLIANCE_CHECKING",
        "timestamp": "2026-01-02T03:04:05Z",
    }
    return json.dumps({"event": event, "data": data}).encode()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {SIGNATURE: sign(body, secret.encode())}


class RunningReceiver:
    """One process. It takes the settings of a small receiver, and what a test adds by name."""

    def __init__(self, processes: Processes, redis_url: str, **settings: str) -> None:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        environment = {
            "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "development",
            "COUNTERSIGN_REDIS_URL": redis_url,
            **{f"COUNTERSIGN_{name}": value for name, value in settings.items()},
        }
        if not settings.keys() & {"WEBHOOK_SECRETS", "WEBHOOK_SECRETS_FILE", "SEAL_KEYS"}:
            environment["COUNTERSIGN_WEBHOOK_SECRETS"] = SECRET
        self.process = processes.countersign("receiver", "--port", str(self.port), environment=environment)
        self.http = httpx.Client(base_url=self.base, timeout=15, trust_env=False)
        eventually(self._is_live, 20, "the receiver")

    def close(self) -> None:
        self.http.close()

    def post(
        self, body: bytes, headers: Mapping[str, str] | httpx.Headers | None = None, path: str = PATH
    ) -> httpx.Response:
        """Send `body` with these headers, or else with a good signature."""
        return self.http.post(path, content=body, headers=signed(body) if headers is None else headers)

    def connect(self, timeout_seconds: float = 15) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_seconds)

    def exchange(self, raw: bytes) -> bytes:
        """Send bytes as they are, and return all that comes until the server closes."""
        with closing(self.connect()) as connection:
            # It may be refused before all of it was sent; the answer is there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(raw)
            return received(connection)

    def deliveries(self) -> dict[str, float]:
        """Return the counts so far by reason."""
        counts: dict[str, float] = {}
        for labels, value in _SAMPLE.findall(self.http.get("/metrics").text):
            reason = dict(_LABEL.findall(labels))["reason"]
            counts[reason] = counts.get(reason, 0) + float(value)
        return counts

    def under_way(self) -> int:
        """Return how many deliveries are not answered yet."""
        return int(self.metric("countersign_receiver_deliveries_under_way"))

    def metric(self, name: str) -> float:
        """Return the value of a metric without labels."""
        lines = self.http.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def log_lines(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.process.stderr.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def _is_live(self) -> bool:
        assert self.process.is_running, self.process.tail()
        try:
            return self.http.get("/health/live").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    got = bytearray()
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return bytes(got)
        if not part:
            return bytes(got)
        got += part


def one_answer(connection: socket.socket) -> bytes:
    """Return the next answer on a connection that stays open."""
    got = connection.recv(65536)
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])
