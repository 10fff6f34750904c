"""Receivers that the tests of a process share, and one of its own for each test that needs other settings.

A receiver takes half a second to start, so what can be shared is: one on a Valkey that stays whole, and one
on a Valkey that tests may break, for it must survive that anyway.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.inbox.stored import Stored
from tests.receiver.running import RunningReceiver
from tests.services.processes import Processes
from tests.services.valkey import ValkeyDatabases, ValkeyServer
from tests.services.warden import Warden

StartReceiver = Callable[..., RunningReceiver]


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory, warden: Warden) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("receiver-valkey"), warden).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def shared_receiver(
    tmp_path_factory: pytest.TempPathFactory, warden: Warden, shared_valkey: ValkeyServer
) -> Iterator[RunningReceiver]:
    processes = Processes(tmp_path_factory.mktemp("receiver-processes"), warden)
    running = RunningReceiver(processes, shared_valkey.url(), MAX_BODY_BYTES="65536")
    yield running
    running.close()
    processes.end()


@pytest.fixture
def stored(shared_valkey: ValkeyServer) -> Iterator[Stored]:
    with shared_valkey.client() as client:
        client.flushall()
        yield Stored(client)


@pytest.fixture
def receiver(shared_receiver: RunningReceiver, stored: Stored) -> RunningReceiver:  # noqa: ARG001 - it empties.
    """Give the test the shared receiver, on an empty Valkey."""
    return shared_receiver


@pytest.fixture(scope="session")
def breakable_server(
    queue_server_binary: str, tmp_path_factory: pytest.TempPathFactory, warden: Warden
) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("breakable"), warden, binary=queue_server_binary).start()
    yield server
    server.kill()


@pytest.fixture
def breakable_valkey(breakable_server: ValkeyServer) -> ValkeyServer:
    """Give the test a server that it may break: whole again, as it was configured, and empty."""
    breakable_server.restart()
    with breakable_server.client() as client:
        client.flushall()
    return breakable_server


@pytest.fixture(scope="session")
def surviving_receiver(
    tmp_path_factory: pytest.TempPathFactory, warden: Warden, breakable_server: ValkeyServer
) -> Iterator[RunningReceiver]:
    """Start a receiver whose Valkey is broken again and again. It gives a request little time to arrive."""
    processes = Processes(tmp_path_factory.mktemp("surviving-processes"), warden)
    running = RunningReceiver(processes, breakable_server.url(), REQUEST_TIMEOUT_SECONDS="0.4")
    yield running
    running.close()
    processes.end()


@pytest.fixture
def start_receiver(processes: Processes, valkey: ValkeyDatabases) -> Iterator[StartReceiver]:
    """Start a receiver with settings of the test's own, on its own databases unless it names others."""
    started: list[RunningReceiver] = []

    def start(redis_url: str = "", **settings: str) -> RunningReceiver:
        started.append(RunningReceiver(processes, redis_url or valkey.url, **settings))
        return started[-1]

    yield start
    for each in started:
        each.close()
