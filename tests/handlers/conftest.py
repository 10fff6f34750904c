"""Judging with real handler processes, ended after each test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry

from workers.handler_metrics import HandlerMetrics
from workers.judging import Judging
from workers.policy import parse_policy
from workers.registry import bind_handlers
from workers.supervision.pool import DEFAULT_MEMORY_BYTES, Supervisor

AUTHORS = Path(__file__).parent / "authors"
"""Where the handlers lie that these tests install by `module:name`."""

Bench = Callable[..., Judging]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def open_bench(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Open judging on a policy. The built-in handlers are off unless the policy has them."""
    opened = []
    metrics = HandlerMetrics(registry)
    monkeypatch.setenv("COUNTERSIGN_CLIENT_SECRET", "made up")

    def open_judging(text: str, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> Judging:
        for name in ("limits", "wallet_list"):
            if f"[handlers.{name}" not in text:
                text += f'\n[handlers.{name}]\nmode = "off"\n'
        policy = parse_policy(text.encode(), folder=AUTHORS)
        supervisor = Supervisor(os.environ, metrics)
        try:
            handlers = bind_handlers(policy, supervisor, memory_bytes=memory_bytes)
        except BaseException:
            supervisor.close()
            raise
        opened.append(Judging(policy, handlers, supervisor, metrics))
        return opened[-1]

    yield open_judging
    for judging in opened:
        judging.close()


def nasty(name: str, **settings: object) -> str:
    """The lines of a policy that install one handler of `authors/nasty.py`."""
    lines = [f"[handlers.{name}]", f'module = "nasty:{name}"', f"[handlers.{name}.settings]"]
    return "\n".join([*lines, *(f"{key} = {value!r}" for key, value in settings.items()), ""])


def gone(pid: int) -> bool:
    """Whether this process has ended; a zombie has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def handler_processes() -> list[psutil.Process]:
    """The handler processes that this test process has, among others that the tests may have started."""
    children = psutil.Process().children()
    return [
        child for child in children if not gone(child.pid) and "workers.supervision.child" in child.cmdline()
    ]
