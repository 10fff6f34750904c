"""`countersign webhook` as a person runs it, with a real sandbox, Valkey and receiver."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from countersign.sealing import new_key
from receiver.secret_store import SECRETS_KEY
from tests.inbox.stored import Stored
from tests.receiver.running import RunningReceiver
from tests.services.ports import free_port
from tests.services.processes import COUNTERSIGN, Processes
from tests.services.sandbox import SandboxProcess
from tests.services.valkey import ValkeyDatabases
from tests.services.waiting import eventually

KEY = new_key()
URL = "http://127.0.0.1:1/webhooks/keystone"


class CommandLine:
    """Runs `countersign webhook …` with the settings of a person who has all of them."""

    def __init__(self, sandbox: SandboxProcess, valkey: ValkeyDatabases) -> None:
        self.environment = {
            "COUNTERSIGN_KEYSTONE_API_URL": sandbox.url,
            "COUNTERSIGN_KEYSTONE_TOKEN_URL": sandbox.token_url,
            "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "development",
            "COUNTERSIGN_CLIENT_ID": sandbox.client_id,
            "COUNTERSIGN_CLIENT_SECRET": sandbox.client_secret,
            "COUNTERSIGN_REDIS_URL": valkey.url,
            "COUNTERSIGN_SEAL_KEYS": KEY,
        }

    def run(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a command; a setting that is given empty is taken out."""
        environment = self.environment | {f"COUNTERSIGN_{name}": value for name, value in more.items()}
        return subprocess.run(
            [COUNTERSIGN, "webhook", *arguments],
            env={name: value for name, value in environment.items() if value},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def read(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        read: dict[str, Any] = json.loads(done.stdout)
        return read

    def fails(self, *arguments: str, code: int = 1, **more: str) -> str:
        done = self.run(*arguments, **more)
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr.strip()


@pytest.fixture
def command_line(sandbox: SandboxProcess, valkey: ValkeyDatabases) -> CommandLine:
    return CommandLine(sandbox, valkey)


@pytest.fixture
def cache(valkey: ValkeyDatabases) -> Iterator[Stored]:
    with valkey.cache_client() as client:
        yield Stored(client)


def test_what_is_registered_is_verified_by_a_receiver_that_already_runs(
    command_line: CommandLine, processes: Processes, valkey: ValkeyDatabases, sandbox: SandboxProcess
) -> None:
    receiver = RunningReceiver(processes, valkey.url, SEAL_KEYS=KEY)
    try:
        done = command_line.read("register", f"{receiver.base}/webhooks/keystone")
        assert done == {
            "outcome": "created",
            "endpoint": "keystone",
            "id": done["id"],
            "url": f"{receiver.base}/webhooks/keystone",
            "events": ["*"],
            "is_active": True,
        }

        sandbox.flagged()
        eventually(lambda: receiver.deliveries().get("accepted", 0) >= 2, 20, "deliveries are accepted")
        assert {row["status"] for row in sandbox.deliveries()} <= {202, None}
        assert receiver.deliveries().keys() == {"accepted"}
    finally:
        receiver.close()


def test_a_person_is_told_what_happened_and_never_the_secret(
    command_line: CommandLine, cache: Stored
) -> None:
    assert "no webhook endpoint" in command_line.run("list").stdout
    first = command_line.run("register", "--url", URL)
    again = command_line.run("register", URL, "--events", "*")
    table = command_line.run("list")

    assert first.stdout.startswith(f"created: KeyStone sends * to {URL} (its id ")
    assert again.stdout == first.stdout.replace("created", "unchanged")
    assert "events" in table.stdout
    for each in (first, again, table):
        assert (each.returncode, each.stderr) == (0, "")
        assert "whsec" not in each.stdout
    [sealed] = cache.client.hvals(SECRETS_KEY)
    assert b"whsec" not in sealed


def test_while_redis_is_down_keystone_is_not_asked(
    command_line: CommandLine, sandbox: SandboxProcess
) -> None:
    told = command_line.fails("register", URL, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert len(told.splitlines()) == 1
    assert sandbox.counts()["calls"] == {}


def test_wrong_credentials_are_one_line(command_line: CommandLine) -> None:
    told = command_line.fails("list", CLIENT_SECRET="wrong")
    assert len(told.splitlines()) == 1
    assert "wrong" not in told


def test_a_url_that_cannot_work_is_one_line(command_line: CommandLine) -> None:
    assert "must be a whole one" in command_line.fails("register")
    assert "would have the wrong secret" in command_line.fails("register", URL, "--endpoint", "other")


def test_missing_settings_are_all_named(command_line: CommandLine) -> None:
    told = command_line.fails("register", URL, code=2, SEAL_KEYS="", CLIENT_ID="")
    assert "COUNTERSIGN_SEAL_KEYS is missing" in told
    assert "COUNTERSIGN_CLIENT_ID is missing" in told
