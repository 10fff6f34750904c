"""`countersign webhook register` against a real sandbox, a real Valkey and a real receiver."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from countersign.operations.registration import RegistrationRefused, wanted
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
        environment = self.environment | {f"COUNTERSIGN_{name}": value for name, value in more.items()}
        return subprocess.run(
            [COUNTERSIGN, "webhook", *arguments],
            env={name: value for name, value in environment.items() if value},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def read(self, *arguments: str, **more: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json", **more)
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


def secrets_kept(cache: Stored) -> int:
    return int(cache.client.hlen(SECRETS_KEY))


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


def test_doing_it_twice_changes_nothing_and_says_so(command_line: CommandLine, cache: Stored) -> None:
    first = command_line.run("register", "--url", URL)
    assert first.stdout.startswith("created: KeyStone sends * to http://127.0.0.1:1/webhooks/keystone")
    kept = cache.client.hgetall(SECRETS_KEY)

    again = command_line.run("register", URL)

    assert again.stdout.startswith("unchanged: ")
    assert cache.client.hgetall(SECRETS_KEY) == kept
    assert command_line.read("list")["total"] == 1


def test_other_events_are_an_update_of_the_same_endpoint(command_line: CommandLine, cache: Stored) -> None:
    first = command_line.read("register", URL)
    changed = command_line.read("register", URL, "--events", "settlement.*", "--events", "test.ping")
    assert (changed["outcome"], changed["id"]) == ("updated", first["id"])
    assert sorted(changed["events"]) == ["settlement.*", "test.ping"]
    assert secrets_kept(cache) == 1


def test_the_secret_is_shown_to_nobody(command_line: CommandLine, cache: Stored) -> None:
    done = command_line.run("register", URL, "--json")
    listed = command_line.run("list", "--json")
    assert "whsec" not in done.stdout + done.stderr + listed.stdout + listed.stderr
    assert "secret" not in done.stdout
    [sealed] = cache.client.hvals(SECRETS_KEY)
    assert b"whsec" not in sealed


def test_a_crash_between_the_two_steps_is_mended_by_running_it_again(
    command_line: CommandLine, sandbox: SandboxProcess, cache: Stored
) -> None:
    """KeyStone fails the call that creates: the secret is stored, the endpoint is not there."""
    sandbox.set(server_error={"routes": ["webhook_create"]})
    command_line.fails("register", URL)
    assert secrets_kept(cache) == 1
    kept = cache.client.hgetall(SECRETS_KEY)

    sandbox.set(server_error=None)
    assert command_line.read("register", URL)["outcome"] == "created"
    assert cache.client.hgetall(SECRETS_KEY) == kept


def test_a_creation_whose_answer_was_lost_is_found(
    command_line: CommandLine, sandbox: SandboxProcess, cache: Stored
) -> None:
    sandbox.set(cut_after={"routes": ["webhook_create"], "count": 1})
    assert command_line.read("register", URL)["outcome"] == "created"
    assert command_line.read("list")["total"] == 1
    assert secrets_kept(cache) == 1


def test_events_that_keystone_did_not_take_are_told(
    command_line: CommandLine, sandbox: SandboxProcess
) -> None:
    """Its pages disagree on the name of the field (keystone-api.md 6.1)."""
    sandbox.set(events_field="event_types")
    told = command_line.fails("register", URL, "--events", "settlement.*")
    assert "has it send * instead of settlement.*" in told


def test_an_endpoint_whose_secret_nobody_here_has_is_not_taken_for_ours(
    command_line: CommandLine, sandbox: SandboxProcess, cache: Stored
) -> None:
    with sandbox.api() as api:
        made = api.post("/v1/platforms/me/webhooks", json={"url": URL, "secret": "whsec_theirs"}).json()

    told = command_line.fails("register", URL)

    assert made["id"] in told
    assert "COUNTERSIGN_WEBHOOK_SECRETS" in told
    assert secrets_kept(cache) == 0
    known = command_line.read("register", URL, WEBHOOK_SECRETS="whsec_theirs")
    assert (known["outcome"], known["id"]) == ("unchanged", made["id"])


def test_two_endpoints_with_one_url_are_told(command_line: CommandLine, sandbox: SandboxProcess) -> None:
    with sandbox.api() as api:
        for _ in range(2):
            api.post("/v1/platforms/me/webhooks", json={"url": URL}).raise_for_status()
    assert "2 endpoints with this URL" in command_line.fails("register", URL)


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


def test_missing_settings_are_all_named(command_line: CommandLine) -> None:
    told = command_line.fails("register", URL, code=2, SEAL_KEYS="", CLIENT_ID="")
    assert "COUNTERSIGN_SEAL_KEYS is missing" in told
    assert "COUNTERSIGN_CLIENT_ID is missing" in told


def test_list_is_a_table_for_people(command_line: CommandLine) -> None:
    assert "no webhook endpoint" in command_line.run("list").stdout
    command_line.run("register", URL)
    shown = command_line.run("list").stdout
    assert "events" in shown
    assert "*" in shown


PRODUCTION = "https://api.keystoneos.xyz"


@pytest.mark.parametrize(
    ("url", "endpoint", "expected"),
    [
        ("https://example.com/webhooks/keystone", None, "keystone"),
        ("https://example.com/webhooks/keystone/", None, "keystone"),
        ("https://example.com/a/webhooks/keystone/environment", None, "environment"),
        ("https://example.com/webhooks/keystone/environment", "environment", "environment"),
        ("https://example.com/elsewhere", None, "keystone"),
        ("https://example.com/elsewhere", "environment", "environment"),
    ],
)
def test_the_url_tells_which_endpoint_it_is(url: str, endpoint: str | None, expected: str) -> None:
    assert wanted(url, endpoint, ("*",), PRODUCTION).endpoint == expected


@pytest.mark.parametrize(
    ("url", "endpoint", "told"),
    [
        ("http://example.com/webhooks/keystone", None, "must begin with https://"),
        ("", None, "must be a whole one"),
        ("example.com/webhooks/keystone", None, "must be a whole one"),
        ("https://user:password@example.com/", None, "must be a whole one"),
        ("https://example.com/webhooks/keystone", "environment", "would have the wrong secret"),
        ("https://example.com/webhooks/keystone/other", "environment", "would have the wrong secret"),
        ("https://example.com/elsewhere", "No Name", "only lower-case letters"),
        ("https://example.com/webhooks/keystone/No", None, "only lower-case letters"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, endpoint: str | None, told: str) -> None:
    with pytest.raises(RegistrationRefused, match=told):
        wanted(url, endpoint, ("*",), PRODUCTION)
