"""2xx only after Redis has it; else 503, soon, and service comes back by itself. Valkey is really broken."""

import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.inbox.stored import Stored
from tests.receiver.conftest import StartReceiver
from tests.receiver.lossy_proxy import lossy_proxy
from tests.receiver.running import RunningReceiver, event_body
from tests.services.ports import free_port
from tests.services.valkey import ValkeyServer
from tests.services.waiting import eventually
from tests.services.warden import Warden

BOUND_SECONDS = 2.0
MARGIN_SECONDS = 1.0
SOON_SECONDS = 0.5


def is_refused_for_now(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and answer.headers["retry-after"].isdigit()


def timed(receiver: RunningReceiver, settlement_id: str) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    answer = receiver.post(event_body(settlement_id))
    return answer, time.monotonic() - started


def eventually_accepted(receiver: RunningReceiver, settlement_id: str) -> None:
    eventually(lambda: receiver.post(event_body(settlement_id)).status_code == 202, 10, "service is back")


@pytest.fixture
def receiver(
    surviving_receiver: RunningReceiver,
    breakable_valkey: ValkeyServer,  # noqa: ARG001 - it makes the server whole again.
) -> RunningReceiver:
    """Give the test a receiver on a Valkey that it may break."""
    return surviving_receiver


@pytest.fixture
def stored(breakable_valkey: ValkeyServer) -> Iterator[Stored]:
    with breakable_valkey.client() as client:
        yield Stored(client)


def settlements(stored: Stored) -> set[str]:
    bodies = [entry.body for entry in stored.journal()]
    return {body.split(b'"settlement_id": "')[1].split(b'"')[0].decode() for body in bodies}


def test_a_server_that_is_down_is_503_soon_and_service_comes_back(
    receiver: RunningReceiver, breakable_valkey: ValkeyServer, stored: Stored
) -> None:
    assert receiver.post(event_body("before")).status_code == 202
    breakable_valkey.kill()

    answer, seconds = timed(receiver, "during")

    assert is_refused_for_now(answer)
    assert seconds < SOON_SECONDS
    breakable_valkey.start()
    eventually_accepted(receiver, "after")
    assert settlements(stored) == {"before", "after"}


def test_a_restart_that_nobody_saw_costs_nothing(
    receiver: RunningReceiver, breakable_valkey: ValkeyServer
) -> None:
    """The connection that we held is gone, and the script is not known any more."""
    assert receiver.post(event_body("before")).status_code == 202
    breakable_valkey.restart()
    assert receiver.post(event_body("after")).status_code == 202


def test_a_server_that_hangs_is_503_within_the_bound_and_service_comes_back(
    receiver: RunningReceiver, breakable_valkey: ValkeyServer, stored: Stored
) -> None:
    assert receiver.post(event_body("before")).status_code == 202
    breakable_valkey.pause()
    try:
        with ThreadPoolExecutor(40) as pool:
            futures = []
            for number in range(40):
                futures.append(pool.submit(timed, receiver, f"during-{number}"))
                time.sleep(0.05)  # Spread over the bound: those who wait behind others must not wait longer.
            outcomes = [future.result() for future in futures]
    finally:
        breakable_valkey.resume()

    assert all(is_refused_for_now(answer) for answer, _ in outcomes)
    assert max(seconds for _, seconds in outcomes) < BOUND_SECONDS + MARGIN_SECONDS
    eventually_accepted(receiver, "after")
    assert {"before", "after"} <= settlements(stored)


def test_nothing_is_mixed_up_after_a_hang(
    receiver: RunningReceiver, breakable_valkey: ValkeyServer, stored: Stored
) -> None:
    """The reply to a group that was given up on must never answer the next one."""
    for round_number in range(2):
        breakable_valkey.pause()
        assert is_refused_for_now(receiver.post(event_body(f"lost-{round_number}")))
        breakable_valkey.resume()
        for number in range(5):
            settlement_id = f"kept-{round_number}-{number}"
            eventually_accepted(receiver, settlement_id)
            assert settlement_id in settlements(stored)


Break = Callable[[Stored, bool], None]


def full(stored: Stored, broken: bool) -> None:  # noqa: FBT001 - a switch that is thrown and thrown back.
    stored.client.config_set("maxmemory", 1 if broken else 0)


def read_only(stored: Stored, broken: bool) -> None:  # noqa: FBT001 - likewise.
    # A replica of a primary that does not exist: it serves reads and refuses writes.
    stored.client.replicaof(*(("127.0.0.1", free_port()) if broken else ("NO", "ONE")))


def too_few_replicas(stored: Stored, broken: bool) -> None:  # noqa: FBT001 - likewise.
    stored.client.config_set("min-replicas-to-write", 1 if broken else 0)


@pytest.mark.parametrize("switch", [full, read_only, too_few_replicas])
def test_a_server_that_may_not_write_is_503_soon_and_service_comes_back(
    receiver: RunningReceiver, stored: Stored, switch: Break
) -> None:
    assert receiver.post(event_body("before")).status_code == 202
    switch(stored, True)  # noqa: FBT003 - the switch above.

    answer, seconds = timed(receiver, "during")

    assert is_refused_for_now(answer)
    assert seconds < SOON_SECONDS
    assert receiver.http.get("/health/ready").status_code == 503
    switch(stored, False)  # noqa: FBT003 - likewise.
    eventually_accepted(receiver, "after")
    assert settlements(stored) == {"before", "after"}


def test_a_server_that_still_loads_is_503_and_service_comes_back(
    start_receiver: StartReceiver, tmp_path: Path, warden: Warden
) -> None:
    slow = {"appendonly": "no", "key-load-delay": "100000", "loading-process-events-interval-bytes": "1024"}
    server = ValkeyServer(tmp_path / "slow", warden, config=slow).start()
    with server.client() as client:
        for number in range(15):  # A tenth of a second each.
            client.set(f"key-{number}", secrets.token_bytes(2048))
        client.save()
    receiver = start_receiver(server.url())
    server.kill()
    loading = threading.Thread(target=server.start)
    loading.start()
    eventually(lambda: 'error="BusyLoadingError"' in refused_metrics(receiver), 10, "it was seen loading")
    loading.join()
    eventually_accepted(receiver, "after")
    server.kill()


def refused_metrics(receiver: RunningReceiver) -> str:
    assert is_refused_for_now(receiver.post(event_body("during")))
    return receiver.http.get("/metrics").text


def test_a_lost_reply_makes_no_second_message(
    start_receiver: StartReceiver, breakable_valkey: ValkeyServer, stored: Stored
) -> None:
    with lossy_proxy(breakable_valkey.port) as proxy:
        receiver = start_receiver(proxy.url)
        assert receiver.post(event_body("before")).status_code == 202
        proxy.lose_the_next_reply_to(b"EVALSHA")

        answer = receiver.post(event_body("lost"))

        assert proxy.lost.is_set()
        assert answer.status_code == 202
    assert len(stored.journal()) == len(stored.queued()) == 2
    assert settlements(stored) == {"before", "lost"}


def test_what_was_accepted_is_in_the_journal_whenever_redis_dies(
    receiver: RunningReceiver, breakable_valkey: ValkeyServer, stored: Stored
) -> None:
    accepted: set[str] = set()
    stop = threading.Event()

    def deliver(sender: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            settlement_id = f"{sender}-{number}"
            if receiver.post(event_body(settlement_id)).status_code == 202:
                accepted.add(settlement_id)

    with ThreadPoolExecutor(8) as pool:
        senders = [pool.submit(deliver, number) for number in range(8)]
        for deaths in range(3):
            enough = 100 * (deaths + 1)
            eventually(partial(has_more_than, accepted, enough), 20, "accepted deliveries")
            breakable_valkey.restart()
        stop.set()
        for sender in senders:
            sender.result()

    assert len(accepted) > 300
    assert accepted <= settlements(stored)
    assert len(stored.journal()) == len(settlements(stored))


def has_more_than(accepted: set[str], enough: int) -> bool:
    return len(accepted) > enough


def test_a_receiver_that_is_stopped_finishes_what_it_has_begun(
    start_receiver: StartReceiver, breakable_valkey: ValkeyServer, stored: Stored
) -> None:
    receiver = start_receiver(breakable_valkey.url())
    breakable_valkey.pause()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(receiver.post, event_body(str(number))) for number in range(8)]
        eventually(lambda: receiver.under_way() == 8, 5, "all are under way")
        receiver.process.send(signal.SIGTERM)
        eventually(lambda: not accepts_connections(receiver), 5, "the door is closed")
        breakable_valkey.resume()
        assert [answer.result().status_code for answer in answers] == [202] * 8
    assert receiver.process.wait() == 0
    assert len(stored.journal()) == 8


def accepts_connections(receiver: RunningReceiver) -> bool:
    try:
        receiver.connect(1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_receiver_starts_while_redis_is_down(
    start_receiver: StartReceiver, breakable_valkey: ValkeyServer
) -> None:
    breakable_valkey.kill()
    receiver = start_receiver(breakable_valkey.url())
    assert is_refused_for_now(receiver.post(event_body("early")))
    assert receiver.http.get("/health/live").status_code == 200
    assert receiver.http.get("/health/ready").status_code == 503
    breakable_valkey.start()
    eventually_accepted(receiver, "late")
    eventually(lambda: receiver.http.get("/health/ready").status_code == 200, 10, "ready")
