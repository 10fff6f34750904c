"""Starting and stopping: what refuses to start says why in one line, and what stops leaves nothing open."""

import json
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack

import httpx
import pytest

from countersign.settings import SettingsInvalid
from receiver.settings import ReceiverSettings
from tests.receiver.conftest import StartReceiver
from tests.receiver.running import SECRET, event_body
from tests.services.ports import free_port
from tests.services.processes import COUNTERSIGN, Processes
from tests.services.waiting import eventually

ENOUGH = {
    "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "development",
    "COUNTERSIGN_REDIS_URL": "redis://127.0.0.1:1/0",
    "COUNTERSIGN_WEBHOOK_SECRETS": SECRET,
}


def refused(processes: Processes, environment: Mapping[str, str]) -> list[str]:
    """Start a receiver that must not start, and return the problems that it names."""
    process = processes.countersign("receiver", environment=environment)
    assert process.wait() == 2
    assert process.stdout == ""
    heading, *problems = process.stderr.splitlines()
    assert heading == "the receiver can't start with these settings:"
    return problems


def test_without_any_secret_it_refuses_to_start(processes: Processes) -> None:
    environment = {name: value for name, value in ENOUGH.items() if name != "COUNTERSIGN_WEBHOOK_SECRETS"}
    [problem] = refused(processes, environment)
    assert "no webhook secret is configured" in problem
    assert "COUNTERSIGN_WEBHOOK_SECRETS" in problem
    with pytest.raises(SettingsInvalid, match="no webhook secret is configured"):
        ReceiverSettings.from_environment(environment | {"COUNTERSIGN_WEBHOOK_SECRETS": " , "})


def test_every_problem_is_named_at_once(processes: Processes) -> None:
    wrong = {"COUNTERSIGN_CLIENT_SECRET": "not-yours", "COUNTERSIGN_PORT": "eighty"}
    problems = refused(processes, ENOUGH | wrong)
    assert [problem.split()[1] for problem in problems] == [
        "COUNTERSIGN_CLIENT_SECRET",
        "COUNTERSIGN_PORT:",
    ]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CLIENT_SECRET", "not-yours", "the receiver must not hold it"),
        ("DATABASE_URL", "postgresql://x", "the receiver must not hold it"),
        ("LEDGER_KEYS", "not-yours", "the receiver must not hold it"),
        ("SEAL_KEYS", "too-short", "a key must be 32 random bytes in base64"),
        ("WEBHOOK_SECRETS", "@:never-shown", "entry 1 can't be read"),
        ("REDIS_URL", "http://never-shown", "it must begin with redis://"),
        ("CACHE_URL", "redis://never-shown/x", "it must end in a database number"),
        ("PORT", "eighty", "COUNTERSIGN_PORT"),
        ("MAX_BODY_BYTES", "0", "COUNTERSIGN_MAX_BODY_BYTES"),
        ("QUEUE_TIMEOUT_SECONDS", "inf", "COUNTERSIGN_QUEUE_TIMEOUT_SECONDS"),
        ("LOG_LEVEL", "LOUD", "COUNTERSIGN_LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_is_named_and_not_shown(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsInvalid) as refused_settings:
        ReceiverSettings.from_environment(ENOUGH | {f"COUNTERSIGN_{name}": value})
    [_, problem] = str(refused_settings.value).splitlines()
    assert f"COUNTERSIGN_{name}" in problem
    assert told in problem
    assert "never-shown" not in problem


def test_a_port_that_is_taken_ends_it(start_receiver: StartReceiver, processes: Processes) -> None:
    receiver = start_receiver()
    second = processes.countersign("receiver", "--port", str(receiver.port), environment=ENOUGH)
    assert second.wait() == 3  # What uvicorn ends with when it can't start.
    assert "address already in use" in second.stderr


def test_with_port_0_it_says_where_it_listens(processes: Processes) -> None:
    process = processes.countersign("receiver", "--port", "0", environment=ENOUGH)
    port = json.loads(process.wait_for_output("receiver_listening"))["port"]
    live = httpx.get(f"http://127.0.0.1:{port}/health/live", trust_env=False)
    assert live.status_code == 200


def test_a_low_limit_on_open_files_is_raised(processes: Processes) -> None:
    command = 'ulimit -Sn 64 && exec "$0" receiver --port 0'
    process = processes.start("sh", "-c", command, COUNTERSIGN, environment=ENOUGH)
    port = json.loads(process.wait_for_output("receiver_listening"))["port"]
    with ExitStack() as open_ones:
        for _ in range(100):
            open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
        live = httpx.get(f"http://127.0.0.1:{port}/health/live", trust_env=False)
    assert live.status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked(start_receiver: StartReceiver, number: signal.Signals) -> None:
    receiver = start_receiver()
    assert receiver.post(event_body()).status_code == 202  # So a connection is open, and idle.
    receiver.process.send(number)
    assert receiver.process.wait(5) == 0
    assert "Traceback" not in receiver.process.stderr


def test_metrics_can_have_a_port_of_their_own(start_receiver: StartReceiver) -> None:
    port = free_port()
    receiver = start_receiver(METRICS_PORT=str(port))
    assert receiver.http.get("/metrics").status_code == 404
    shown = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    assert "countersign_receiver_deliveries_total" in shown.text


def test_no_answer_tells_what_serves_it(start_receiver: StartReceiver) -> None:
    receiver = start_receiver()
    for answer in (
        receiver.post(event_body()),
        receiver.http.get("/health/live"),
        receiver.http.get("/none"),
    ):
        assert "server" not in answer.headers
        assert "Traceback" not in answer.text


def test_an_event_passes_without_a_word_in_the_log(start_receiver: StartReceiver) -> None:
    receiver = start_receiver(STALE_AFTER_SECONDS="9999999999")
    before = receiver.process.stderr
    assert receiver.post(event_body()).status_code == 202
    eventually(lambda: receiver.deliveries().get("accepted") == 1)
    assert receiver.process.stderr == before
