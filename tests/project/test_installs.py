"""The extras: each process starts, and does its work, where nothing of the others is installed."""

import hashlib
import hmac
import json
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from countersign.sealing import new_key
from tests.services.ports import free_port
from tests.services.processes import Processes, run
from tests.services.valkey import ValkeyDatabases
from tests.services.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
SECRET = "whsec_of_the_installed_receiver"
EVENT = {
    "event": "settlement.state.instructed",
    "data": {
        "settlement_id": "5f3f9a4e-5d6b-4c59-9a53-0d9f5f0e2a11",
        "state": "INSTRUCTED",
        "previous_state": None,
        "settlement_type": "dvp",
        "timestamp": "2026-03-26T12:00:00+00:00",
    },
}
BODY = json.dumps(EVENT).encode()


class Installed:
    """A fresh environment in which only one extra is installed, from a wheel, at the locked versions."""

    def __init__(self, folder: Path, extra: str) -> None:
        self._bin = folder / "environment" / "bin"
        install = _fresh_environment(self._bin.parent)
        run(*install, "--constraint", str(_constraints(folder)), f"{_wheel(folder)}[{extra}]")

    @property
    def countersign(self) -> str:
        return str(self._bin / "countersign")

    def can_import(self, *modules: str) -> list[str]:
        """Say which of these modules are installed here."""
        program = "import sys, importlib.util as i; print(*[n for n in sys.argv[1:] if i.find_spec(n)])"
        return run(str(self._bin / "python"), "-c", program, *modules).split()


def _fresh_environment(folder: Path) -> list[str]:
    """Make one, and return the command that installs into it: uv's where uv is, which is quicker."""
    uv = shutil.which("uv")
    if uv is not None:
        run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
        return [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    run(sys.executable, "-m", "venv", str(folder))
    return [str(folder / "bin" / "pip"), "install", "--quiet", "--no-compile", "--no-input"]


def _wheel(folder: Path) -> Path:
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        str(folder),
        cwd=REPOSITORY,
    )
    return next(folder.glob("*.whl"))


def _constraints(folder: Path) -> Path:
    """Write the lock without its hashes: pip takes none for a wheel that was built a moment ago."""
    lines = (REPOSITORY / "requirements" / "dev.txt").read_text().splitlines()
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(line.rstrip("\\ ") for line in lines if line[:1].isalnum()))
    return constraints


def send(port: int) -> int:
    """Send the event as KeyStone does, and return the answer's status."""
    signature = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    url = f"http://127.0.0.1:{port}/webhooks/keystone"
    return httpx.post(url, content=BODY, headers={"X-Keystone-Signature": signature}).status_code


@pytest.mark.timeout(180)
def test_the_receiver_takes_a_webhook_where_only_its_extra_is_installed(
    tmp_path: Path, processes: Processes, valkey: ValkeyDatabases
) -> None:
    installed = Installed(tmp_path, "receiver")
    assert installed.can_import("litestar", "redis") == ["litestar", "redis"]
    assert not installed.can_import("alembic", "dramatiq", "psycopg", "sqlalchemy", "sqlmodel")

    port = free_port()
    receiver = processes.start(
        installed.countersign,
        *("receiver", "--host", "127.0.0.1", "--port", str(port)),
        environment={
            "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "sandbox",
            "COUNTERSIGN_REDIS_URL": valkey.url,
            "COUNTERSIGN_WEBHOOK_SECRETS": SECRET,
        },
    )
    receiver.wait_until_listening(port)
    assert send(port) == 202
    with valkey.client() as queue:
        assert queue.xlen("countersign:journal") == 1
    assert receiver.stop() == 0

    refused = processes.start(installed.countersign, "worker")
    assert refused.wait() == 2
    assert "keystone-countersign[worker]" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.timeout(180)
def test_the_worker_takes_an_event_where_only_its_extra_is_installed(
    tmp_path: Path, processes: Processes, valkey: ValkeyDatabases
) -> None:
    installed = Installed(tmp_path, "worker")
    assert installed.can_import("dramatiq", "sqlmodel") == ["dramatiq", "sqlmodel"]
    assert not installed.can_import("litestar", "uvicorn")

    keystone, port = free_port(), free_port()
    processes.countersign("sandbox", "--port", str(keystone)).wait_until_listening(keystone)
    ledger = {
        "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "sandbox",
        "COUNTERSIGN_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.sqlite3'}",
        "COUNTERSIGN_LEDGER_KEYS": new_key(),
    }
    migrated = processes.start(
        installed.countersign,
        "migrate",
        environment={"COUNTERSIGN_DATABASE_URL": ledger["COUNTERSIGN_DATABASE_URL"]},
    )
    assert migrated.wait() == 0, migrated.tail()
    worker = processes.start(
        installed.countersign,
        *("worker", "--processes", "1", "--threads", "2"),
        environment=ledger
        | {
            "COUNTERSIGN_KEYSTONE_API_URL": f"http://127.0.0.1:{keystone}",
            "COUNTERSIGN_KEYSTONE_TOKEN_URL": f"http://127.0.0.1:{keystone}/oauth/token",
            "COUNTERSIGN_CLIENT_ID": "sandbox-client",
            "COUNTERSIGN_CLIENT_SECRET": "sandbox-secret",
            "COUNTERSIGN_REDIS_URL": valkey.url,
        },
    )
    receiver = processes.countersign(
        *("receiver", "--port", str(port)),
        environment={
            "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "sandbox",
            "COUNTERSIGN_REDIS_URL": valkey.url,
            "COUNTERSIGN_WEBHOOK_SECRETS": SECRET,
        },
    )
    receiver.wait_until_listening(port)
    assert send(port) == 202

    def recorded() -> bool:
        if not worker.is_running:
            pytest.fail(f"the worker ended:\n{worker.tail()}")
        listed = run(installed.countersign, "events", "list", "--json", environment=ledger)
        return [event["name"] for event in json.loads(listed)["items"]] == [EVENT["event"]]

    eventually(recorded, 30, "the event in the ledger")
    assert worker.stop() == 0
