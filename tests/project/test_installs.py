"""The extras: each process starts, and does its work, where nothing of the others is installed."""

import hashlib
import hmac
import json
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

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
    """A fresh environment that has this project's wheel, and what the wheel asks for with one of its extras.

    What it asks for is linked from the environment of the tests, which has it at the locked versions: so this
    takes a second, and no network.
    """

    def __init__(self, folder: Path, extra: str) -> None:
        self._python = folder / "environment" / "bin" / "python"
        run(sys.executable, "-m", "venv", "--without-pip", str(folder / "environment"))
        packages = Path(run(str(self._python), "-c", "import site; print(site.getsitepackages()[0])").strip())
        with zipfile.ZipFile(_wheel(folder)) as wheel:
            wheel.extractall(packages)
        metadata = Distribution.at(next(packages.glob("keystone_countersign-*.dist-info")))
        for name in _asked_for(metadata, extra):
            _link(distribution(name), packages)

    def countersign(self, *arguments: str) -> list[str]:
        """Return the command line of this environment's `countersign`."""
        return [str(self._python), "-m", "countersign", *arguments]

    def can_import(self, *modules: str) -> list[str]:
        """Say which of these modules are installed here."""
        program = "import sys, importlib.util as i; print(*[n for n in sys.argv[1:] if i.find_spec(n)])"
        return run(str(self._python), "-c", program, *modules, cwd=self._python.parent).split()


def _wheel(folder: Path) -> Path:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    run(*build, cwd=REPOSITORY)
    return next(folder.glob("*.whl"))


def _asked_for(project: Distribution, extra: str) -> set[str]:
    """Name all distributions that an install of the project with this extra brings."""
    wanted: set[tuple[str, str]] = set()
    left = [(project, extra)]
    while left:
        asking, with_extra = left.pop()
        for text in asking.requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": with_extra}):
                new = {(requirement.name, each) for each in ("", *requirement.extras)} - wanted
                wanted |= new
                left += [(distribution(name), each) for name, each in new]
    return {name for name, _ in wanted}


def _link(source: Distribution, packages: Path) -> None:
    for top in {file.parts[0] for file in source.files or [] if file.parts[0] not in {"..", "__pycache__"}}:
        target = packages / top
        if not target.exists():
            target.symlink_to(Path(str(source.locate_file(top))).resolve())


def send(port: int) -> int:
    """Send the event as KeyStone does, and return the answer's status."""
    signature = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    url = f"http://127.0.0.1:{port}/webhooks/keystone"
    return httpx.post(url, content=BODY, headers={"X-Keystone-Signature": signature}).status_code


def test_the_receiver_takes_a_webhook_where_only_its_extra_is_installed(
    tmp_path: Path, processes: Processes, valkey: ValkeyDatabases
) -> None:
    installed = Installed(tmp_path, "receiver")
    assert installed.can_import("litestar", "redis") == ["litestar", "redis"]
    assert not installed.can_import("alembic", "dramatiq", "psycopg", "sqlalchemy", "sqlmodel")

    port = free_port()
    receiver = processes.start(
        *installed.countersign("receiver", "--host", "127.0.0.1", "--port", str(port)),
        name="receiver",
        cwd=tmp_path,
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

    refused = processes.start(*installed.countersign("worker"), cwd=tmp_path)
    assert refused.wait() == 2
    assert "keystone-countersign[worker]" in refused.stderr
    assert "Traceback" not in refused.stderr


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
        *installed.countersign("migrate"),
        name="migrate",
        cwd=tmp_path,
        environment={"COUNTERSIGN_DATABASE_URL": ledger["COUNTERSIGN_DATABASE_URL"]},
    )
    assert migrated.wait() == 0, migrated.tail()
    worker = processes.start(
        *installed.countersign("worker", "--processes", "1", "--threads", "2"),
        name="worker",
        cwd=tmp_path,
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
        listed = run(*installed.countersign("events", "list", "--json"), environment=ledger, cwd=tmp_path)
        return [event["name"] for event in json.loads(listed)["items"]] == [EVENT["event"]]

    eventually(recorded, 30, "the event in the ledger")
    assert worker.stop() == 0
