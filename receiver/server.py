"""Serving the application: uvicorn, with our bounds, quiet and without a word about itself."""

import resource
import socket

import structlog
import uvicorn
from litestar import Litestar

from receiver.protocol import Bounds, bounded
from receiver.settings import ReceiverSettings
from receiver.tally import Tally

_KEEP_ALIVE_SECONDS = 30


_OTHER_FILES = 100
"""What a process has open beside the connections of its callers: Redis, logs, libraries."""


def allow_connections(number: int) -> None:
    """Raise the limit on open files, as far as we may, so that `MAX_CONNECTIONS` is the bound."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where it listens, once it does: with port 0 nobody knows it before."""
        await super().startup(sockets)
        for listener in (each for server in self.servers for each in server.sockets):
            host, port = listener.getsockname()[:2]
            structlog.get_logger(__name__).info("receiver_listening", host=host, port=port)


def make_server(app: Litestar, settings: ReceiverSettings, tally: Tally) -> uvicorn.Server:
    """Make the server. It stops at SIGTERM or SIGINT, once it has finished what it has begun."""
    bounds = Bounds(settings.max_header_bytes, settings.request_timeout_seconds, settings.max_connections)
    return _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=bounded(bounds, tally.refused),
            ws="none",
            lifespan="on",
            log_config=None,  # The command has set up structlog.
            access_log=False,  # A line a request would cost more than the request.
            proxy_headers=False,  # Nobody's word on where a request came from is used.
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=settings.shutdown_timeout_seconds,
        )
    )
