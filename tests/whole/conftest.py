"""The whole product as real processes: sandbox, receiver, workers, on the database that a test asks for."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.ports import free_port
from tests.services.processes import COUNTERSIGN, Processes, Running, run
from tests.services.sandbox import SandboxProcess
from tests.services.valkey import ValkeyDatabases, ValkeyServer
from tests.services.waiting import eventually
from tests.services.warden import Warden
from workers.ledger import listing
from workers.ledger.opening import open_books
from workers.settings import LedgerSettings

POLICY = """
[powers]
auto_approve = ["*"]
auto_reject = ["*"]

[handlers.limits.settings]
default = "1000000000"

[handlers.wallet_list.settings]
approve_when = "none_denied"

[[handlers.wallet_list.settings.deny]]
address = "0x00000000000000000000000000000000000000ff"
owner = "compliance"
reason = "so that the list is not empty, which proves nothing"
"""


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


class Whole:
    """Everything that runs, and what it holds."""

    def __init__(
        self,
        processes: Processes,
        valkey: ValkeyDatabases,
        database_url: str,
        folder: Path,
        **settings: str,
    ) -> None:
        settings = {"metrics_port": str(free_port()), **settings}
        self._settings = {f"COUNTERSIGN_{name.upper()}": value for name, value in settings.items()}
        self._processes = processes
        self._folder = folder
        self.valkey = valkey
        self.sandbox = SandboxProcess(processes)
        self.webhook_secret = "whsec_" + os.urandom(12).hex()
        self.ledger = {
            "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "development",
            "COUNTERSIGN_DATABASE_URL": database_url,
            "COUNTERSIGN_LEDGER_KEYS": new_key(),
        }
        run(COUNTERSIGN, "migrate", environment={"COUNTERSIGN_DATABASE_URL": database_url})
        self.books = open_books(LedgerSettings.from_environment(self.ledger))
        self.receiver = self._start_receiver()
        self.worker = self.start_worker()
        self.receiver.wait_for_output("receiver_listening")
        with self.sandbox.api() as api:
            wish = {"url": f"{self.receiver_url}/webhooks/keystone", "secret": self.webhook_secret}
            api.post("/v1/platforms/me/webhooks", json=wish).raise_for_status()

    def start_worker(self, processes: int = 1, **settings: str) -> Running:
        policy = self._folder / "policy.toml"
        policy.write_text(POLICY, encoding="utf-8")
        environment = {
            **self.ledger,
            "COUNTERSIGN_KEYSTONE_API_URL": self.sandbox.url,
            "COUNTERSIGN_KEYSTONE_TOKEN_URL": self.sandbox.token_url,
            "COUNTERSIGN_CLIENT_ID": self.sandbox.client_id,
            "COUNTERSIGN_CLIENT_SECRET": self.sandbox.client_secret,
            "COUNTERSIGN_REDIS_URL": self.valkey.url,
            "COUNTERSIGN_CACHE_URL": self.valkey.cache_url,
            "COUNTERSIGN_POLICY_FILE": str(policy),
            "COUNTERSIGN_LEASE_SECONDS": "3",
            "COUNTERSIGN_JOURNAL_LEFT_SECONDS": "2",
            "COUNTERSIGN_LOG_LEVEL": "DEBUG",
            **self._settings,
            **{f"COUNTERSIGN_{name.upper()}": value for name, value in settings.items()},
        }
        arguments = ("worker", f"--processes={processes}", "--threads=4")
        return self._processes.countersign(*arguments, environment=environment)

    def _start_receiver(self) -> Running:
        port = free_port()
        self.receiver_url = f"http://127.0.0.1:{port}"
        environment = {
            "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "development",
            "COUNTERSIGN_REDIS_URL": self.valkey.url,
            "COUNTERSIGN_WEBHOOK_SECRETS": self.webhook_secret,
            "COUNTERSIGN_LOG_LEVEL": "DEBUG",
        }
        return self._processes.countersign("receiver", "--port", str(port), environment=environment)

    def close(self) -> None:
        """Let go of what this process holds; the fixtures end the others."""
        self.books.engine.dispose()
        self.sandbox.stop()

    def metrics(self) -> str:
        """Read what the worker and the receiver serve."""
        worker = f"http://127.0.0.1:{self._settings['COUNTERSIGN_METRICS_PORT']}/metrics"
        pages = [httpx.get(address, timeout=10) for address in (worker, f"{self.receiver_url}/metrics")]
        return "\n".join(page.raise_for_status().text for page in pages)

    def read(self, *command: str) -> Any:  # noqa: ANN401 - whatever JSON the command prints.
        return json.loads(run(COUNTERSIGN, *command, "--json", environment=self.ledger))

    def flag(self, **wish: object) -> str:
        """Have a settlement made that will be flagged, and return its id.

        Nobody waits for its pause: the worker may have decided before anyone could see it.
        """
        settlement_id: str = self.sandbox.make("flag", **wish)[0]["id"]
        return settlement_id

    def cases(self, settlement_id: str) -> list[dict[str, Any]]:
        """Read the cases of a settlement straight from the ledger, newest first."""
        return listing.list_cases(self.books, limit=0, settlement_id=settlement_id)[0]

    def wait_for_case(self, settlement_id: str, state: str) -> dict[str, Any]:
        def there() -> dict[str, Any]:
            cases = self.cases(settlement_id)
            found = [case for case in cases if case["state"] == state]
            assert found, [(case["state"], case["why"], case["note"]) for case in cases]
            return found[0]

        return eventually(there, 30, f"a {state} case of {settlement_id}")


@pytest.fixture
def whole(processes: Processes, valkey: ValkeyDatabases, sqlite_url: str, tmp_path: Path) -> Iterator[Whole]:
    """Run everything, on SQLite."""
    running = Whole(processes, valkey, sqlite_url, tmp_path)
    yield running
    running.close()


@pytest.fixture
def searching_whole(
    processes: Processes, valkey: ValkeyDatabases, sqlite_url: str, tmp_path: Path
) -> Iterator[Whole]:
    """Run everything, with a worker that soon suspects a settlement whose flag never came."""
    hurried = {"search_seconds": "0.5", "suspect_after_seconds": "0.5"}
    running = Whole(processes, valkey, sqlite_url, tmp_path, **hurried)
    yield running
    running.close()


@pytest.fixture(scope="module")
def _one_for_all(
    tmp_path_factory: pytest.TempPathFactory, warden: Warden, queue_server_binary: str
) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("whole")
    server = ValkeyServer(folder / "valkey", warden, binary=queue_server_binary).start()
    processes = Processes(folder / "processes", warden)
    running = Whole(processes, ValkeyDatabases(server, 0), f"sqlite:///{folder / 'ledger.sqlite3'}", folder)
    yield running
    running.close()
    processes.end()
    server.kill()


@pytest.fixture
def shared_whole(_one_for_all: Whole) -> Iterator[Whole]:
    """Share one whole among the tests that break nothing: each begins with every switch at its default."""
    yield _one_for_all
    _one_for_all.sandbox.control.delete("/faults").raise_for_status()


@pytest.fixture
def whole_on_postgres(
    processes: Processes, valkey: ValkeyDatabases, postgres_url: str, tmp_path: Path
) -> Iterator[Whole]:
    """Run everything, on PostgreSQL."""
    running = Whole(processes, valkey, postgres_url, tmp_path)
    yield running
    running.close()
