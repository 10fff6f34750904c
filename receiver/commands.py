"""`countersign receiver`."""

import logging
import signal
from typing import Annotated

import prometheus_client
import typer
from prometheus_client import CollectorRegistry

from countersign.log import configure_logging
from countersign.settings import SettingsInvalid
from receiver.app import create_app
from receiver.server import allow_connections, make_server
from receiver.settings import ReceiverSettings
from receiver.tally import Tally

app = typer.Typer(add_completion=False)


@app.command()
def receiver(
    host: Annotated[str | None, typer.Option(help="Listen on this address. [COUNTERSIGN_HOST]")] = None,
    port: Annotated[int | None, typer.Option(help="Listen on this port. [COUNTERSIGN_PORT]")] = None,
) -> None:
    """Take webhooks in: verify, enqueue, answer.

    Settings come from COUNTERSIGN_… variables (docs/configuration.md). It stops at SIGTERM, once it has
    finished what it has begun.
    """
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    try:
        settings = ReceiverSettings.from_environment().model_copy(update=given)
    except SettingsInvalid as problems:
        typer.echo(problems, err=True)
        raise typer.Exit(code=2) from None
    configure_logging("receiver", level=settings.log_level)
    # uvicorn writes a line for each request that it can't read; we count and log those ourselves.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    tally = Tally(CollectorRegistry())
    if settings.metrics_port is not None:
        prometheus_client.start_http_server(settings.metrics_port, settings.metrics_host, tally.registry)
    allow_connections(settings.max_connections)
    server = make_server(create_app(settings, tally), settings, tally)
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn stops at these and then raises them again, which would turn a clean end into a killed one.
        signal.signal(number, lambda *_: None)
    server.run()
