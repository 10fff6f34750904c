"""One receiver that the tests of a process share, and one of its own for each test that breaks something."""

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
