"""`countersign sandbox`: run a local KeyStone."""

import json
import logging
import socket
import sys
from typing import Annotated

import structlog
import typer
import uvicorn

from countersign.sandbox.app import new_app
from countersign.sandbox.options import AUDIENCE, Options
from countersign.sandbox.switches import Switches, SwitchUnknown, with_changes

app = typer.Typer(add_completion=False)

Text = Annotated[str, typer.Option()]


class _Server(uvicorn.Server):
    """Says in one line on stdout that it answers, once it does."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        typer.echo(f"KeyStone sandbox ready at {self._url}")


@app.command()
def sandbox(  # noqa: PLR0913 - each is an option of the command line.
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8085,
    public_url: Annotated[str | None, typer.Option(help="Where clients reach it, if not there.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same run again.")] = 0,
    client_id: Annotated[str, typer.Option(help="The first client's id.")] = "sandbox-client",
    client_secret: Annotated[
        str, typer.Option(help="Its secret; insecure unless you set it.")
    ] = "sandbox-secret",  # noqa: S107 - made up and documented as insecure.
    audience: Annotated[str, typer.Option(help="Audience of the tokens.")] = AUDIENCE,
    token_seconds: Annotated[float, typer.Option(help="Life of a token.")] = 86_400,
    rate_limit: Annotated[int, typer.Option(help="Calls a window and environment; 0 is no limit.")] = 600,
    rate_window_seconds: Annotated[float, typer.Option(help="Length of that window.")] = 60,
    screening_seconds: Annotated[float, typer.Option(help="How long screening takes, about.")] = 0.05,
    step_seconds: Annotated[float, typer.Option(help="Between two states.")] = 0.02,
    flag_rate: Annotated[float, typer.Option(help="Share flagged where nothing says otherwise.")] = 0.05,
    fail_rate: Annotated[float, typer.Option(help="Share that fails, likewise.")] = 0.0,
    allow_http_webhooks: Annotated[
        bool | None,
        typer.Option(
            "--allow-http-webhooks/--https-webhooks-only", help="Default: HTTP to loopback addresses only."
        ),
    ] = None,
    webhook_attempts: Annotated[int, typer.Option(help="Attempts to deliver a webhook.")] = 8,
    webhook_backoff_seconds: Annotated[float, typer.Option(help="First pause between them; doubles.")] = 0.2,
    webhook_timeout_seconds: Annotated[float, typer.Option(help="How long an attempt may take.")] = 5,
    rotation_overlap_seconds: Annotated[float, typer.Option(help="How long an old secret lives.")] = 86_400,
    switches: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of a switch; may be repeated.")
    ] = None,
    verbose: Annotated[bool, typer.Option(help="Log to stderr.")] = False,
) -> None:
    """Run a local KeyStone for development and tests. docs/sandbox.md describes it."""
    listener = _listening(host, port)
    url = (public_url or f"http://{_in_url(host)}:{listener.getsockname()[1]}").rstrip("/")
    options = Options(
        url=url,
        seed=seed,
        client_id=client_id,
        client_secret=client_secret,
        audience=audience,
        token_seconds=token_seconds,
        rate_limit=rate_limit,
        rate_window_seconds=rate_window_seconds,
        screening_seconds=screening_seconds,
        step_seconds=step_seconds,
        flag_rate=flag_rate,
        fail_rate=fail_rate,
        allow_http_webhooks=allow_http_webhooks,
        webhook_attempts=webhook_attempts,
        webhook_backoff_seconds=webhook_backoff_seconds,
        webhook_timeout_seconds=webhook_timeout_seconds,
        rotation_overlap_seconds=rotation_overlap_seconds,
        switches=_switches(switches or []),
    )
    _configure_logs(verbose=verbose)
    config = uvicorn.Config(
        new_app(options),
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        backlog=2048,
    )
    _Server(config, url).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """Bind first, so that the port is known before anything is built on it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Name the protocol: asyncio turns Nagle's delay off only then, and it costs 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise typer.BadParameter(
            f"can't listen on {host}:{port}: {error.strerror}", param_hint="--port"
        ) from None
    return listener


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _switches(given: list[str]) -> Switches:
    changes: dict[str, object] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise typer.BadParameter(f"{each!r} is not NAME=VALUE", param_hint="--set")
        try:
            changes[name] = json.loads(value)
        except ValueError:
            changes[name] = value
    try:
        return with_changes(Switches(), changes)
    except SwitchUnknown as unknown:
        raise typer.BadParameter(str(unknown), param_hint="--set") from None


def _configure_logs(*, verbose: bool) -> None:
    level = logging.INFO if verbose else logging.CRITICAL
    logging.basicConfig(level=level)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
