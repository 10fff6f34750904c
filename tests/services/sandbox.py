"""A real sandbox for tests: `countersign sandbox` as a process, and its control API as methods."""

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.services.processes import Processes, Running
from tests.services.waiting import eventually
from tests.services.warden import Warden

Json = dict[str, Any]


class SandboxProcess:
    """One sandbox on a free port. `arguments` are more options of `countersign sandbox`."""

    client_id = "sandbox-client"
    client_secret = "sandbox-secret"
    audience = "https://api.keystoneos.xyz"

    def __init__(self, processes: Processes, *arguments: str) -> None:
        self.process: Running = processes.countersign("sandbox", "--port", "0", *arguments)
        self.url = self.process.wait_for_output("KeyStone sandbox ready at ").rpartition(" ")[2]
        self.control = _http(f"{self.url}/_sandbox")

    @property
    def token_url(self) -> str:
        """Where tokens are given out."""
        return f"{self.url}/oauth/token"

    def stop(self) -> int:
        """End it and return the exit code."""
        self.control.close()
        return self.process.stop()

    def reset(self, **options: object) -> None:
        """Let it forget everything and begin again, with these options changed (names as in `Options`)."""
        self._call("POST", "/reset", options)

    def make(self, outcome: str | None = None, **wish: object) -> list[Json]:
        """Make settlements, and return them as the API shows them."""
        items: list[Json] = self._call("POST", "/settlements", {"outcome": outcome, **wish})["items"]
        return items

    def flagged(self, **wish: object) -> str:
        """Make one flagged settlement, wait until it waits for a decision, and return its id."""
        settlement_id: str = self.make("flag", **wish)[0]["id"]
        self.wait_until_paused(settlement_id)
        return settlement_id

    def wait_until_paused(self, settlement_id: str, flags: int = 1) -> Json:
        """Wait until a settlement waits for the decision on its n-th flag."""

        def paused() -> Json | None:
            truth = self.settlement(settlement_id)
            return truth if truth["paused"] and len(truth["flags"]) == flags else None

        return eventually(paused, 10, f"{settlement_id} paused") or {}

    def wait_for_state(self, settlement_id: str, state: str) -> Json:
        """Wait until a settlement is in this state."""

        def there() -> Json | None:
            truth = self.settlement(settlement_id)
            return truth if truth["state"] == state else None

        return eventually(there, 10, f"{settlement_id} in {state}") or {}

    def wait_until_idle(self) -> None:
        """Wait until nothing moves by itself and no webhook is on its way."""
        eventually(lambda: self._call("GET", "/idle")["idle"], 20, "the sandbox is idle")

    def settlement(self, settlement_id: str) -> Json:
        """Return the sandbox's own truth of one settlement."""
        return self._call("GET", f"/settlements/{settlement_id}")

    def settlements(self) -> list[Json]:
        """Return the sandbox's own truth of all settlements."""
        return self._items("/settlements")

    def decisions(self) -> list[Json]:
        """Return every decision that ever arrived."""
        return self._items("/decisions")

    def deliveries(self) -> list[Json]:
        """Return every delivery attempt."""
        return self._items("/deliveries")

    def counts(self) -> Json:
        """Return the counts of calls and deliveries."""
        return self._call("GET", "/counts")

    def set(self, **switches: object) -> None:
        """Set some switches (`docs/sandbox.md`)."""
        self._call("PUT", "/faults", switches)

    def decide(self, settlement_id: str, decision: str, by: str = "user:officer") -> Json:
        """Let someone else decide."""
        return self._call("POST", f"/settlements/{settlement_id}/decide", {"decision": decision, "by": by})

    def flag_again(self, settlement_id: str, recheck: str = "different") -> Json:
        """Let a recheck flag a settlement now."""
        return self._call("POST", f"/settlements/{settlement_id}/flag", {"recheck": recheck})

    def expire(self, settlement_id: str) -> Json:
        """Let a settlement's deadline be now."""
        return self._call("POST", f"/settlements/{settlement_id}/expire")

    def emit(self, **wish: object) -> None:
        """Send a webhook body of the test's own, signed."""
        self._call("POST", "/emit", wish)

    def add_client(self, client_id: str, *scopes: str, environment: str = "development") -> None:
        """Add a client whose secret is its id."""
        wish = {"client_id": client_id, "client_secret": client_id, "environment": environment}
        self._call("POST", "/clients", {**wish, "scopes": scopes})

    def token(self, client_id: str = client_id, client_secret: str = client_secret) -> str:
        """Get a machine token through the token endpoint."""
        body = {
            "client_id": client_id,
            "client_secret": client_secret,
            "audience": self.audience,
            "grant_type": "client_credentials",
        }
        with _http(self.url) as client:
            answer = client.post("/oauth/token", json=body).raise_for_status()
        return str(answer.json()["access_token"])

    def api(self, client_id: str = client_id, client_secret: str = client_secret) -> httpx.Client:
        """Return an HTTP client of the platform's API with a token. Close it, or use it in `with`."""
        return _http(self.url, {"Authorization": f"Bearer {self.token(client_id, client_secret)}"})

    def _items(self, path: str) -> list[Json]:
        items: list[Json] = self._call("GET", path)["items"]
        return items

    def _call(self, method: str, path: str, body: object = None) -> Json:
        answer = self.control.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json()) if answer.content else {}


def _http(base_url: str, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """Return a client of plain HTTP: it trusts no certificate, because to load them takes 20 ms each time."""
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(base_url=base_url, headers=headers, timeout=30, verify=nobody, trust_env=False)


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory, warden: Warden) -> Iterator[SandboxProcess]:
    """Share one sandbox among the tests of this process."""
    processes = Processes(tmp_path_factory.mktemp("sandbox"), warden)
    process = SandboxProcess(processes, "--rate-limit", "0", "--step-seconds", "0.005")
    yield process
    process.stop()
    processes.end()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    """Give the test a sandbox that has forgotten everything. It has no rate limit until one is asked for."""
    sandbox_process.reset()
    return sandbox_process
