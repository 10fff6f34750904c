"""Sends webhooks: signed, retried with growing delays, each attempt on record (keystone-api.md 2.4, 2.6)."""

import asyncio
import hashlib
import hmac
import json
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import msgspec
import structlog

from countersign.sandbox.clock import Clock, true_now
from countersign.sandbox.dice import Dice, new_id
from countersign.sandbox.faults import Switchboard
from countersign.sandbox.lines import Lines
from countersign.sandbox.options import Options
from countersign.sandbox.tenants import Environment
from countersign.sandbox.webhooks import DeliveryRow, Endpoint, Endpoints

_log = structlog.get_logger(__name__)

SIGNATURE_HEADER = "X-Keystone-Signature"
_FIRST_DELAY = 1.0  # What `webhook_delay` waits where it does not say.
_SHUFFLE_WINDOW = 0.3  # The same of `webhook_shuffle`.


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP attempt, on the sandbox's own record."""

    settlement_id: str | None
    event: str
    endpoint_id: str
    attempt: int
    status: int | None
    error: str | None
    sent_at: datetime
    duration_ms: int
    body_sha256: str


@dataclass(slots=True, kw_only=True)
class _Delivery:
    """A body on its way to one endpoint."""

    event: str
    body: bytes
    endpoint: Endpoint
    settlement_id: str | None
    stream: random.Random
    attempt: int = 0


class Sender:
    """The post. Each delivery is a task of its own and waits for no other, up to `webhook_concurrency`."""

    def __init__(
        self, options: Options, endpoints: Endpoints, board: Switchboard, clock: Clock, dice: Dice
    ) -> None:
        self._options = options
        self._endpoints = endpoints
        self._board = board
        self._clock = clock
        self._dice = dice
        self._sent = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: dict[str, Lines] = {}
        self._defaults: dict[str, Endpoint] = {}
        self._trust: ssl.SSLContext | None = None
        self.attempts: list[Attempt] = []

    @property
    def sending(self) -> int:
        """How many deliveries are on their way or waiting for their next attempt."""
        return len(self._tasks)

    def post(self, event: str, body: bytes, environment: Environment, settlement_id: str | None) -> None:
        """Start to send a body to every endpoint of the environment that asked for this event."""
        for endpoint in self._targets(environment):
            if not endpoint.is_active or not endpoint.wants(event):
                continue
            if self._board.draw("webhook_silence", event=event):
                continue
            copies = 2 if self._board.draw("webhook_duplicate", event=event) else 1
            for _ in range(copies):
                self._sent += 1
                delivery = _Delivery(
                    event=event,
                    body=body,
                    endpoint=endpoint,
                    settlement_id=settlement_id,
                    stream=self._dice.stream("delivery", self._sent),
                )
                task = asyncio.get_running_loop().create_task(self._deliver(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def ping(self, endpoint: Endpoint) -> Attempt:
        """Send `test.ping` once and return what came of it. Its payload is undocumented."""
        data = {"endpoint_id": endpoint.id, "timestamp": self._clock.now()}
        delivery = _Delivery(
            event="test.ping",
            body=msgspec.json.encode({"event": "test.ping", "data": data}),
            endpoint=endpoint,
            settlement_id=None,
            stream=self._dice.stream("ping", len(self.attempts)),
        )
        return await self._attempt(delivery)

    async def close(self) -> None:
        """Stop everything that is on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lines in self._lines.values():
            await lines.close()

    def _targets(self, environment: Environment) -> Sequence[Endpoint]:
        """Return the registered endpoints, and the environment's own address where it has one (2.1)."""
        registered = self._endpoints.of(environment)
        if environment.webhook_url is None:
            return registered
        default = self._defaults.get(environment.id)
        if default is None or default.url != environment.webhook_url:
            default = self._defaults[environment.id] = Endpoint(
                id=environment.id,
                environment=environment,
                url=environment.webhook_url,
                description="default webhook",
                events=("*",),
                secret="",
                created_at=environment.updated_at,
                updated_at=environment.updated_at,
            )
        default.secret = environment.webhook_secret or ""
        return [*registered, default]

    async def _deliver(self, delivery: _Delivery) -> None:
        await self._hold_back(delivery)
        while delivery.endpoint.is_active:
            attempt = await self._attempt(delivery)
            if attempt.status is not None and attempt.status // 100 == 2:  # noqa: PLR2004 - 2xx is success.
                return
            if delivery.attempt >= self._options.webhook_attempts:
                _log.info("webhook_given_up", endpoint=delivery.endpoint.id, attempts=delivery.attempt)
                return
            await asyncio.sleep(self._pause_after(delivery.attempt))

    async def _hold_back(self, delivery: _Delivery) -> None:
        if fault := self._board.draw("webhook_delay", event=delivery.event):
            await asyncio.sleep(_FIRST_DELAY if fault.seconds is None else fault.seconds)
        if fault := self._board.draw("webhook_shuffle", event=delivery.event):
            window = _SHUFFLE_WINDOW if fault.seconds is None else fault.seconds
            await asyncio.sleep(delivery.stream.uniform(0, window))

    def _pause_after(self, attempts: int) -> float:
        options = self._options
        growing: float = options.webhook_backoff_seconds * 2 ** (attempts - 1)
        return min(growing, options.webhook_backoff_most_seconds)

    async def _attempt(self, delivery: _Delivery) -> Attempt:
        """Make one attempt, whatever comes of it, and write it to both logs."""
        delivery.attempt += 1
        endpoint = delivery.endpoint
        body = delivery.body
        if delivery.attempt > 1 and self._board.now.retry_body == "reserialised":
            body = _written_otherwise(body)
        async with self._lines_to(endpoint).one() as line:
            sent_at, began = true_now(), time.monotonic()
            status, error = await _sent(line, endpoint.url, body, self._headers(delivery, body))
            duration_ms = round((time.monotonic() - began) * 1000)
        attempt = Attempt(
            settlement_id=delivery.settlement_id,
            event=delivery.event,
            endpoint_id=endpoint.id,
            attempt=delivery.attempt,
            status=status,
            error=error,
            sent_at=sent_at,
            duration_ms=duration_ms,
            body_sha256=hashlib.sha256(body).hexdigest(),
        )
        self.attempts.append(attempt)
        endpoint.log.append(self._row(attempt, delivery.stream))
        return attempt

    def _headers(self, delivery: _Delivery, body: bytes) -> list[tuple[str, str]]:
        secrets = delivery.endpoint.signing_secrets(
            self._board.now.rotation_signs, self._clock.now(), delivery.stream
        )
        if self._board.draw("webhook_bad_signature", event=delivery.event):
            secrets = ["not the secret"]
        signatures = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
        return [
            ("Content-Type", "application/json"),
            ("User-Agent", "KeyStone-Sandbox/1"),
            *((SIGNATURE_HEADER, signature) for signature in signatures),
        ]

    def _lines_to(self, endpoint: Endpoint) -> Lines:
        """Return the lines to an endpoint, made on first use: they belong to the running event loop."""
        if self._trust is None:
            self._trust = httpx.create_ssl_context()
        if endpoint.id not in self._lines:
            options = self._options
            self._lines[endpoint.id] = Lines(
                options.webhook_concurrency, options.webhook_timeout_seconds, self._trust
            )
        return self._lines[endpoint.id]

    @staticmethod
    def _row(attempt: Attempt, stream: random.Random) -> DeliveryRow:
        return DeliveryRow(
            id=new_id(stream),
            endpoint_id=attempt.endpoint_id,
            event=attempt.event,
            response_status=attempt.status,
            duration_ms=attempt.duration_ms,
            success=attempt.error is None,
            error=attempt.error,
            created_at=attempt.sent_at,
        )


async def _sent(
    line: httpx.AsyncClient, url: str, body: bytes, headers: list[tuple[str, str]]
) -> tuple[int | None, str | None]:
    """Send a body, and return the status of the answer or what went wrong, or both."""
    try:
        answer = await line.post(url, content=body, headers=headers)
    except httpx.TimeoutException:
        return None, "timeout"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return None, type(error).__name__
    return answer.status_code, None if answer.is_success else f"HTTP {answer.status_code}"


def _written_otherwise(body: bytes) -> bytes:
    """Write the same JSON in other bytes; what is none (`/_sandbox/emit` sends anything) stays as it is."""
    try:
        return json.dumps(json.loads(body), indent=1).encode()
    except ValueError:
        return body


def counted(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Count attempts by status; `error` where none came."""
    counts: dict[str, Any] = {}
    for attempt in attempts:
        name = "error" if attempt.status is None else str(attempt.status)
        counts[name] = counts.get(name, 0) + 1
    return counts
