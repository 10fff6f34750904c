"""`countersign token` as a person runs it: everything about the token but the token."""

import json
import subprocess

import pytest

from tests.services.processes import COUNTERSIGN
from tests.services.sandbox import SandboxProcess
from tests.services.valkey import ValkeyDatabases


class CommandLine:
    """Runs `countersign token` with what it needs of the settings, and nothing else."""

    def __init__(self, sandbox: SandboxProcess, valkey: ValkeyDatabases) -> None:
        self.environment = {
            "COUNTERSIGN_KEYSTONE_API_URL": sandbox.url,
            "COUNTERSIGN_KEYSTONE_TOKEN_URL": sandbox.token_url,
            "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "development",
            "COUNTERSIGN_CLIENT_ID": sandbox.client_id,
            "COUNTERSIGN_CLIENT_SECRET": sandbox.client_secret,
            "COUNTERSIGN_REDIS_URL": valkey.url,
            "COLUMNS": "200",
        }

    def run(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [COUNTERSIGN, "token", *arguments],
            env={**self.environment, **{f"COUNTERSIGN_{name}": value for name, value in more.items()}},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def command_line(sandbox: SandboxProcess, valkey: ValkeyDatabases) -> CommandLine:
    return CommandLine(sandbox, valkey)


def test_a_person_reads_everything_about_the_token_but_the_token(
    command_line: CommandLine, sandbox: SandboxProcess
) -> None:
    first, second = command_line.run(), command_line.run()

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout
    for told in (sandbox.url, sandbox.audience, "settlements:write", "decide", "sealed", "renewed", "UTC"):
        assert told in first.stdout
    assert "eyJ" not in first.stdout
    assert sandbox.counts()["token_requests"] == 1


def test_a_program_reads_the_same_as_json(
    command_line: CommandLine, sandbox: SandboxProcess, valkey: ValkeyDatabases
) -> None:
    done = command_line.run("--json")
    sheet = json.loads(done.stdout)

    assert sheet["issuer"] == f"{sandbox.url}/"
    assert sheet["audience"] == [sandbox.audience]
    assert (sheet["verified"], sheet["problem"], sheet["missing"]) == (True, None, [])
    assert sheet["renewal"]["from"] < sheet["renewal"]["until"] < sheet["expires_at"]
    assert sheet["fetched_by"]
    assert sheet["fetching_by"] is None
    with valkey.cache_client() as cache:
        [key] = cache.keys("*:token")
    assert key.decode() in sheet["kept_in"]
    assert "eyJ" not in done.stdout


def test_a_missing_scope_is_named_and_is_an_exit_code(
    command_line: CommandLine, sandbox: SandboxProcess
) -> None:
    sandbox.add_client("reader", "settlements:read", "templates:read")

    done = command_line.run(CLIENT_ID="reader", CLIENT_SECRET="reader")
    sheet = json.loads(command_line.run("--json", CLIENT_ID="reader", CLIENT_SECRET="reader").stdout)

    assert done.returncode == 1
    assert "`settlements:write`" in done.stdout
    assert [each["scope"] for each in sheet["missing"]] == ["settlements:write", "platform:webhooks:manage"]
    granted = {scope["scope"]: scope["granted"] for scope in sheet["scopes"]}
    assert granted == {
        "settlements:read": True,
        "settlements:write": False,
        "platform:webhooks:manage": False,
        "templates:read": True,
    }


def test_a_scope_that_only_a_person_needs_fails_nothing(
    command_line: CommandLine, sandbox: SandboxProcess
) -> None:
    sandbox.add_client("worker", "settlements:read", "settlements:write")

    assert command_line.run(CLIENT_ID="worker", CLIENT_SECRET="worker").returncode == 0


def test_a_token_that_was_not_verified_says_why(command_line: CommandLine, sandbox: SandboxProcess) -> None:
    sandbox.set(server_error={"routes": ["jwks"]})

    assert "the key set answers 503" in command_line.run().stdout
    command_line.environment["FORCE_COLOR"] = "1"
    assert "\x1b[31mno: the key set answers 503" in command_line.run().stdout

    strict = command_line.run(TOKEN_VERIFY="require")
    assert (strict.returncode, strict.stdout) == (1, "")
    assert "TOKEN_VERIFY=require" in strict.stderr


def test_no_scope_is_cut_off_on_a_narrow_terminal(command_line: CommandLine) -> None:
    command_line.environment["COLUMNS"] = "80"

    shown = command_line.run().stdout

    assert "platform:webhooks:manage" in shown
    assert "…" not in shown


def test_what_a_token_says_is_shown_as_it_is(command_line: CommandLine, sandbox: SandboxProcess) -> None:
    sandbox.add_client("odd", "settlements:read", "settlements:write", "[/red]", "[bold]")

    done = command_line.run(CLIENT_ID="odd", CLIENT_SECRET="odd")

    assert (done.returncode, done.stderr) == (0, "")
    assert "[/red]" in done.stdout
    assert "[bold]" in done.stdout


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"server_error": {"routes": ["token"]}}, "answers 503; try again in"),
        ({"cut_before": {"routes": ["token"]}}, "can't be reached"),
        ({"html_answer": {"routes": ["token"], "status": 200}}, "without a token"),
    ],
)
def test_an_endpoint_that_is_down_is_one_line(
    command_line: CommandLine, sandbox: SandboxProcess, faults: dict[str, object], told: str
) -> None:
    sandbox.set(**faults)

    done = command_line.run()

    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert told in done.stderr


def test_wrong_credentials_are_one_line(command_line: CommandLine) -> None:
    done = command_line.run(CLIENT_SECRET="not-it")

    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "not-it" not in done.stderr
