"""The processes of a run: which command, and which settings. Each gets its own secrets and no other."""

import base64
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from countersign.sandbox.demo.ports import HOST, free_port
from countersign.sandbox.demo.processes import Program
from countersign.sandbox.demo.valkey import server_command, server_program

ENVIRONMENT = "demo"
_CLIENT_ID, _CLIENT_SECRET = "sandbox-client", "sandbox-secret"
_KEY_BYTES = 32
_PREFIX = "COUNTERSIGN_"

_IMPATIENCE = {
    "LEASE_SECONDS": "3",
    "JOURNAL_LEFT_SECONDS": "2",
    "SHUTDOWN_SECONDS": "5",
}
"""Everything is on one machine, so what takes longer than this is dead: nobody waits for it in a demo."""


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a run takes place: its folder, its ports, and keys made for it alone."""

    folder: Path
    valkey_port: int = field(default_factory=free_port)
    sandbox_port: int = field(default_factory=free_port)
    receiver_port: int = field(default_factory=free_port)
    seal_key: str = field(default_factory=_new_key, repr=False)
    ledger_key: str = field(default_factory=_new_key, repr=False)

    @property
    def redis_url(self) -> str:
        """Where the queue is."""
        return f"redis://{HOST}:{self.valkey_port}/0"

    @property
    def sandbox_url(self) -> str:
        """Where the local KeyStone is."""
        return f"http://{HOST}:{self.sandbox_port}"

    @property
    def receiver_url(self) -> str:
        """Where the receiver is."""
        return f"http://{HOST}:{self.receiver_port}"

    @property
    def temporary(self) -> Path:
        """Where the processes put what they need for a while."""
        return self.folder / "temporary"

    @property
    def policy_file(self) -> Path:
        """Where the worker finds its policy."""
        return self.folder / "policy.toml"

    @property
    def database_url(self) -> str:
        """Where the ledger is."""
        return f"sqlite:///{self.folder / 'ledger.sqlite3'}"


def valkey(site: Site) -> Program:
    """Plan the queue's server."""
    command = server_command(server_program(), site.valkey_port, site.folder / "valkey-data")
    return Program(name="valkey", command=command, environment=_inherited(site))


def sandbox(site: Site, *, seed: int, calls_a_minute: int) -> Program:
    """Plan the local KeyStone."""
    options = {"host": HOST, "port": site.sandbox_port, "seed": seed, "rate-limit": calls_a_minute}
    return _countersign(
        site, "sandbox", "sandbox", *(f"--{name}={value}" for name, value in options.items()), settings={}
    )


def migrate(site: Site) -> Program:
    """Plan the making of the ledger's tables."""
    return _countersign(site, "migrate", "migrate", settings=_ledger(site))


def receiver(site: Site) -> Program:
    """Plan the receiver."""
    arguments = ("receiver", f"--host={HOST}", f"--port={site.receiver_port}")
    settings = {"KEYSTONE_ENVIRONMENT": ENVIRONMENT, "REDIS_URL": site.redis_url, "SEAL_KEYS": site.seal_key}
    return _countersign(site, "receiver", *arguments, settings=settings)


def worker(site: Site, *, processes: int, threads: int) -> Program:
    """Plan the worker."""
    arguments = ("worker", f"--processes={processes}", f"--threads={threads}")
    settings = {
        **_ledger(site),
        **_keystone(site),
        "LEDGER_KEYS": site.ledger_key,
        "REDIS_URL": site.redis_url,
        "POLICY_FILE": str(site.policy_file),
        **_IMPATIENCE,
    }
    return _countersign(site, "worker", *arguments, settings=settings)


def register(site: Site) -> Program:
    """Plan the registration of the receiver with the local KeyStone, through its API."""
    arguments = ("webhook", "register", f"{site.receiver_url}/webhooks/keystone")
    settings = {**_keystone(site), "REDIS_URL": site.redis_url, "SEAL_KEYS": site.seal_key}
    return _countersign(site, "register", *arguments, settings=settings)


def cases(site: Site) -> Program:
    """Plan the listing of all cases."""
    return _countersign(
        site, "cases", "cases", "list", "--json", "--limit=0", settings=_reading(site), printing=True
    )


def events(site: Site) -> Program:
    """Plan the listing of all events."""
    return _countersign(
        site, "events", "events", "list", "--json", "--limit=0", settings=_reading(site), printing=True
    )


def verify(site: Site) -> Program:
    """Plan the verification of the ledger's chain."""
    return _countersign(site, "verify", "ledger", "verify", settings=_reading(site), printing=True)


def _ledger(site: Site) -> dict[str, str]:
    return {"DATABASE_URL": site.database_url}


def _reading(site: Site) -> dict[str, str]:
    return {**_ledger(site), "LEDGER_KEYS": site.ledger_key, "KEYSTONE_ENVIRONMENT": ENVIRONMENT}


def _keystone(site: Site) -> dict[str, str]:
    return {
        "KEYSTONE_API_URL": site.sandbox_url,
        "KEYSTONE_TOKEN_URL": f"{site.sandbox_url}/oauth/token",
        "KEYSTONE_ENVIRONMENT": ENVIRONMENT,
        "CLIENT_ID": _CLIENT_ID,
        "CLIENT_SECRET": _CLIENT_SECRET,
    }


def _countersign(
    site: Site, name: str, *arguments: str, settings: Mapping[str, str], printing: bool = False
) -> Program:
    return Program(
        name=name,
        command=(sys.executable, "-m", "countersign", *arguments),
        environment={**_inherited(site), **{_PREFIX + key: value for key, value in settings.items()}},
        printing=printing,
    )


def _inherited(site: Site) -> dict[str, str]:
    """Hand on the environment of the person who runs the demo, without any setting of ours in it.

    A proxy is not asked for what is on this machine, and what a killed process leaves goes with the run.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
    here = f"{HOST},localhost"
    return {**inherited, "NO_PROXY": here, "no_proxy": here, "TMPDIR": str(site.temporary)}
