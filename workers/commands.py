"""`countersign worker`: starts and keeps the workers of this machine."""

import os
import tempfile
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from countersign.log import configure_logging
from countersign.settings import SettingsInvalid
from workers.composition import FLEET_PID
from workers.fleet import Fleet, child_environ, dramatiq_command
from workers.judging import open_judging
from workers.ledger.opening import LedgerUnusable, open_books
from workers.policy import PolicyInvalid
from workers.registry import HandlersInvalid
from workers.settings import WorkerSettings

EXIT_UNUSABLE = 2

app = typer.Typer()


@app.command()
def worker(
    processes: Annotated[int, typer.Option(min=1, help="How many worker processes to run.")] = 2,
    threads: Annotated[int, typer.Option(min=1, help="How many cases each of them works on at once.")] = 8,
) -> None:
    """Judge flagged settlements and submit decisions, until SIGTERM.

    Any number of these may run, on any number of machines, against the same Redis and database.
    """
    settings = _checked_settings()
    configure_logging("worker", level=settings.log_level)
    with tempfile.TemporaryDirectory(prefix="countersign-metrics-") as metrics_folder:
        if settings.metrics_port is not None:
            _serve_metrics(settings.metrics_host, settings.metrics_port, metrics_folder)
        Fleet(
            command=dramatiq_command(threads=threads, shutdown_seconds=settings.shutdown_seconds),
            environ=child_environ(FLEET_PID, metrics_folder),
            processes=processes,
            shutdown_seconds=settings.shutdown_seconds,
        ).run()


def _checked_settings() -> WorkerSettings:
    """Read everything that a worker will need, so that what is wrong is told once and not by each child."""
    try:
        settings = WorkerSettings.from_environment()
        open_judging(settings.policy_file, environ=os.environ, registry=CollectorRegistry()).close()
        open_books(settings).engine.dispose()
    except (SettingsInvalid, PolicyInvalid, HandlersInvalid, LedgerUnusable) as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(EXIT_UNUSABLE) from None
    return settings


def _serve_metrics(host: str, port: int, folder: str) -> None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call] # prometheus_client's.
    start_http_server(port, addr=host, registry=registry)
