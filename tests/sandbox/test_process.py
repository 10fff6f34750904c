"""The sandbox as a process: its command, its seed, its speed, and what it does not import."""

import ast
import statistics
import time
from pathlib import Path

import httpx
import pytest

import countersign.sandbox
from tests.services.ports import free_port
from tests.services.processes import COUNTERSIGN, Processes
from tests.services.sandbox import Json, SandboxProcess

ROOM = Path(countersign.sandbox.__file__).parent


def test_one_line_says_that_it_is_ready_and_a_signal_ends_it(processes: Processes) -> None:
    sandbox = SandboxProcess(processes)
    assert sandbox.process.stdout == f"KeyStone sandbox ready at {sandbox.url}\n"
    assert httpx.get(f"{sandbox.url}/_sandbox/ready").json() == {"ready": True}
    assert sandbox.stop() in {0, -15}
    assert sandbox.process.stderr == ""


def test_options_of_the_command_line(processes: Processes) -> None:
    port = free_port()
    given = {
        "--port": str(port),
        "--client-id": "mine",
        "--client-secret": "my secret",
        "--rate-limit": "9",
        "--audience": "https://a",
        "--public-url": "http://sandbox.example:8085/",
    }
    switches = ("decision_status=202", 'server_error={"count": 1}', "flag_name=short")
    SandboxProcess(
        processes,
        *(part for pair in given.items() for part in pair),
        *(part for switch in switches for part in ("--set", switch)),
    )
    url = f"http://127.0.0.1:{port}"
    body = {"client_id": "mine", "client_secret": "my secret", "audience": "https://a"}
    answer = httpx.post(f"{url}/oauth/token", json={**body, "grant_type": "client_credentials"})
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    first, second = (httpx.get(f"{url}/v1/settlements", headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (503, 200)
    assert second.headers["X-RateLimit-Limit"] == "9"
    now = httpx.get(f"{url}/_sandbox/faults").json()
    assert (now["decision_status"], now["flag_name"]) == (202, "short")
    told = httpx.get(f"{url}/.well-known/openid-configuration").json()
    assert told["issuer"] == "http://sandbox.example:8085/"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "decision_status"], "is not NAME=VALUE"),
        (["--set", "decision_status=203"], "docs/sandbox.md"),
        (["--set", "nonsense=1"], "nonsense"),
    ],
)
def test_a_wrong_option_is_one_clear_error(processes: Processes, arguments: list[str], told: str) -> None:
    process = processes.start(COUNTERSIGN, "sandbox", "--port", "0", *arguments)
    assert process.wait() == 2
    assert told in process.stderr


def test_a_port_in_use(processes: Processes, sandbox: SandboxProcess) -> None:
    port = sandbox.url.rpartition(":")[2]
    process = processes.start(COUNTERSIGN, "sandbox", "--port", port)
    assert process.wait() == 2
    assert port in process.stderr


def test_the_same_seed_is_the_same_run(sandbox: SandboxProcess) -> None:
    def run(seed: int) -> list[tuple[str, ...]]:
        sandbox.reset(seed=seed, flag_rate=0.3, fail_rate=0.2)
        made = sandbox.make(count=30)
        sandbox.wait_until_idle()
        with sandbox.api() as api:
            first_event = api.get(f"/v1/settlements/{made[0]['id']}/events").json()["items"][0]["id"]
        ends = [truth["outcome"] for truth in sandbox.settlements()]
        return [(first_event, *ends), *(fixed(each) for each in made)]

    first, again, other = run(7), run(7), run(8)
    assert first == again
    assert first != other
    assert {"pass", "flag", "fail"} == set(first[0][1:])


def fixed(settlement: Json) -> tuple[str, ...]:
    parties = [(each["id"], each["name"], each["wallet_address"]) for each in settlement["parties"]]
    legs = [(each["id"], each["instrument_id"], each["quantity"]) for each in settlement["legs"]]
    return (settlement["id"], settlement["template_id"], str(parties), str(legs))


def test_about_one_in_twenty_is_flagged_where_nothing_says_otherwise(sandbox: SandboxProcess) -> None:
    sandbox.make(count=1000)
    outcomes = [truth["outcome"] for truth in sandbox.settlements()]
    assert 25 <= outcomes.count("flag") <= 80
    assert outcomes.count("flag") + outcomes.count("pass") == 1000


def test_a_lifecycle_is_quick(sandbox: SandboxProcess) -> None:
    began = time.monotonic()
    sandbox.wait_for_state(sandbox.make("pass")[0]["id"], "FINALIZED")
    assert time.monotonic() - began < 1


def test_thousands_that_wait_do_not_slow_an_answer(sandbox: SandboxProcess) -> None:
    ids = [made["id"] for made in sandbox.make("flag", count=3000)]
    sandbox.wait_until_idle()
    took = []
    with sandbox.api() as api:
        for settlement_id in ids[:100]:
            began = time.monotonic()
            api.get(f"/v1/settlements/{settlement_id}").raise_for_status()
            took.append(time.monotonic() - began)
    assert statistics.median(took) < 0.01


def test_it_imports_none_of_our_other_rooms() -> None:
    files = [path for path in ROOM.rglob("*.py") if "demo" not in path.relative_to(ROOM).parts]
    assert len(files) > 20
    for path in files:
        for name in imported(path):
            top = name.partition(".")[0]
            assert top not in {"receiver", "workers"}, path
            assert top != "countersign" or name.startswith("countersign.sandbox"), (path, name)
            assert "demo" not in name, path


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_an_unknown_path_is_answered_as_the_platform_does(api: httpx.Client) -> None:
    answer = api.get("/v1/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert api.put("/v1/settlements").status_code == 405


def test_reset_forgets_everything(sandbox: SandboxProcess, api: httpx.Client) -> None:
    sandbox.flagged()
    sandbox.set(decision_status=202)
    sandbox.reset()
    assert sandbox.settlements() == []
    assert sandbox.control.get("/faults").json()["decision_status"] == 200
    assert api.get("/v1/settlements").status_code == 401
    assert sandbox.control.post("/reset", json={"url": "http://elsewhere"}).status_code == 422
    assert sandbox.control.post("/reset", json={"nonsense": 1}).status_code == 422
