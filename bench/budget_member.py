"""One process of a bench fleet: works off flagged settlements, with our client or with the official SDK.

The parent (`budget.py`) hands everything over as JSON, and reads what happened as JSON from the output.
"""

import asyncio
import heapq
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from keystoneos import KeystoneClient as SdkClient
from keystoneos import RateLimitError
from keystoneos.types.settlements import ComplianceDecisionRequest
from redis import Redis

from countersign.keystone.assembly import KeystoneAccess, keystone_client
from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import TryAgainLater
from countersign.keystone.hooks import Hooks
from countersign.log import configure_logging
from countersign.verdict import Decision
from workers.budget import RedisBudgetStore
from workers.token_cache import RedisTokenCache


class Record:
    """What one process did: each call with its end and outcome, each decision with its readiness and end."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str, str]] = []
        self.decisions: list[tuple[float, float]] = []

    def called(self, name: str, outcome: str) -> None:
        """Note the end of a call."""
        self.calls.append((time.time(), name, outcome))


class Cases:
    """A backlog as the ledger keeps one: a case that must wait comes back when it is due, others go on."""

    def __init__(self, settlement_ids: list[str]) -> None:
        self._fresh = iter(settlement_ids)
        self._later: list[tuple[float, str, int, float]] = []
        self._lock = threading.Lock()

    def next(self) -> tuple[str, int, float] | None:
        """Return a settlement, its next step (0 fetch, 1 history, 2 decide), and since when it is ready."""
        with self._lock:
            if self._later and self._later[0][0] <= time.time():
                _, settlement_id, step, ready = heapq.heappop(self._later)
                return settlement_id, step, ready
            fresh = next(self._fresh, None)
            return None if fresh is None else (fresh, 0, 0.0)

    def put_off(self, seconds: float, settlement_id: str, step: int, ready: float) -> None:
        """Put a case aside until it is due."""
        with self._lock:
            heapq.heappush(self._later, (time.time() + seconds, settlement_id, step, ready))


def work_with_ours(told: dict[str, Any], record: Record) -> None:
    """Work as a worker process does: threads, one client, the fleet's token and budget."""
    access = KeystoneAccess(**told["access"])
    redis = Redis.from_url(told["cache_url"])
    client = keystone_client(
        access,
        token_cache=RedisTokenCache(redis, access.credentials),
        budget_store=RedisBudgetStore(redis, "bench", share=told["share"]),
        hooks=Hooks(on_call=lambda name, outcome, _seconds: record.called(name, outcome)),
    )
    cases = Cases(told["settlement_ids"])

    def thread() -> None:
        while time.time() < told["until"]:
            _one_turn(client, cases, record)

    threads = [threading.Thread(target=thread) for _ in range(told["threads"])]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _one_turn(client: KeystoneClient, cases: Cases, record: Record) -> None:
    case = cases.next()
    if case is None:
        time.sleep(0.05)  # Every case waits for its time.
        return
    settlement_id, step, ready = case
    try:
        if step == 0:
            client.settlement(settlement_id)
            step = 1
        if step == 1:
            client.history(settlement_id)
            step, ready = 2, time.time()
        client.decide(settlement_id, Decision.APPROVE)
        record.decisions.append((ready, time.time()))
    except TryAgainLater as later:
        cases.put_off(later.after.total_seconds(), settlement_id, step, ready)


async def work_with_the_sdk(told: dict[str, Any], record: Record) -> None:
    """Do the same with the official SDK, used as its documentation says."""
    access = told["access"]
    ids = iter(told["settlement_ids"])
    async with SdkClient(
        client_id=access["client_id"],
        client_secret=access["client_secret"],
        base_url=access["api_url"],
        auth_domain=access["token_url"].removesuffix("/oauth/token"),
        audience=access["audience"],
    ) as client:

        async def again(name: str, call: Callable[[], Awaitable[object]]) -> None:
            while time.time() < told["until"]:
                try:
                    await call()
                except RateLimitError as limited:
                    record.called(name, "429")
                    # What its documentation asks for; it does not wait by itself.
                    await asyncio.sleep(min(limited.retry_after or 1, max(told["until"] - time.time(), 0)))
                else:
                    record.called(name, "200")
                    return

        api, approve = client.settlements, ComplianceDecisionRequest(decision="approve")

        async def task() -> None:
            while time.time() < told["until"]:
                settlement_id = next(ids)
                await again("settlement", partial(api.get, settlement_id))
                await again("history", partial(api.get_events, settlement_id))
                ready = time.time()
                await again("decide", partial(api.submit_compliance_decision, settlement_id, approve))
                record.decisions.append((ready, time.time()))

        await asyncio.gather(*(task() for _ in range(told["threads"])))


def main() -> None:
    """Read what to do, begin when all do, and tell what happened."""
    configure_logging("bench", level="CRITICAL")
    told = json.load(sys.stdin)
    record = Record()
    time.sleep(max(told["begin"] - time.time(), 0))
    if told["client"] == "sdk":
        asyncio.run(work_with_the_sdk(told, record))
    else:
        work_with_ours(told, record)
    json.dump({"calls": record.calls, "decisions": record.decisions}, sys.stdout)


if __name__ == "__main__":
    main()
