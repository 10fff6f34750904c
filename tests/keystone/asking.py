"""A client of the sandbox for tests, and one whose network is made up where no server can make the fault."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from countersign.keystone.assembly import KeystoneAccess, keystone_client
from countersign.keystone.client import KeystoneClient
from countersign.keystone.hooks import Hooks
from countersign.keystone.token_check import TokenVerify
from tests.services.sandbox import SandboxProcess

READ_SECONDS = 0.4
"""Short, so that a test of a slow answer is quick."""


@dataclass
class Told:
    """What the hooks were told."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    token: list[str] = field(default_factory=list)
    breaker: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    limits: list[tuple[int, int]] = field(default_factory=list)

    def hooks(self) -> Hooks:
        return Hooks(
            on_call=lambda call, outcome, _seconds: self.calls.append((call, outcome)),
            on_token=self.token.append,
            on_breaker=lambda _upstream, state: self.breaker.append(state),
            on_wait=lambda priority, _seconds: self.waits.append(priority),
            on_budget=lambda limit, remaining: self.limits.append((limit, remaining)),
        )

    def outcomes(self, call: str) -> list[str]:
        return [outcome for name, outcome in self.calls if name == call]


def access_to(sandbox: SandboxProcess, **changes: object) -> KeystoneAccess:
    wanted: dict[str, Any] = {
        "api_url": sandbox.url,
        "token_url": sandbox.token_url,
        "audience": sandbox.audience,
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
        "version": "0.1.0",
        "read_seconds": READ_SECONDS,
    }
    return KeystoneAccess(**{**wanted, **changes})


def client_of(
    sandbox: SandboxProcess,
    told: Told | None = None,
    *,
    parts: Mapping[str, Any] | None = None,
    **changes: object,
) -> KeystoneClient:
    """Return a client with a token and a budget of its own; `changes` are of `KeystoneAccess`."""
    return keystone_client(access_to(sandbox, **changes), hooks=(told or Told()).hooks(), **(parts or {}))


Respond = Callable[[httpx.Request], httpx.Response]

TOKEN_ANSWER = {"access_token": "opaque-token", "expires_in": 3600, "token_type": "Bearer"}


def client_with_network(
    respond: Respond, told: Told | None = None, *, read_seconds: float = READ_SECONDS
) -> KeystoneClient:
    """Return a client whose API calls go to `respond`; its token is opaque and comes without a network."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "token.example":
            return httpx.Response(200, json=TOKEN_ANSWER)
        return respond(request)

    access = KeystoneAccess(
        api_url="https://api.example",
        token_url="https://token.example/oauth/token",
        audience="https://api.example",
        client_id="client",
        client_secret="secret",
        verify=TokenVerify.WARN,
        read_seconds=read_seconds,
    )
    return keystone_client(access, hooks=(told or Told()).hooks(), http_transport=httpx.MockTransport(answer))


def run_all(target: Callable[[], None], times: int) -> None:
    threads = [threading.Thread(target=target) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


SETTLEMENT = {"id": "s-1", "state": "COMPLIANCE_CHECKING", "parties": [], "legs": []}
