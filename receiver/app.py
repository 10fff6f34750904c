"""The composition root: what turns the settings into the parts, which take only parameters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from litestar import Litestar, MediaType, Response, asgi, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import Scope
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from redis.asyncio import Redis

from countersign import __version__
from countersign.sealing import Sealer, decoded_key
from receiver.carrier import Carrier
from receiver.connection import connect
from receiver.health import Readiness, health_routes
from receiver.keyring import STORE_TIMEOUT_SECONDS, Keyring
from receiver.secret_file import SecretFile
from receiver.secret_lines import parsed_secrets
from receiver.secret_store import SecretStore
from receiver.settings import ReceiverSettings
from receiver.tally import Tally
from receiver.webhook import Limits, WebhookRoute
from workers.inbox import Inbox

MOUNT = "/webhooks/keystone"
"""Where deliveries come to: the default endpoint, and below it the others by name.

It is a mount because a plain ASGI route of Litestar 2.25 answers 500 as soon as its path has a parameter.
"""


def create_app(settings: ReceiverSettings, tally: Tally | None = None) -> Litestar:
    """Build the receiver. `tally` is given by who also counts below it, as the server does."""
    tally = tally or Tally(CollectorRegistry())
    queue = connect(settings.redis_url.get_secret_value(), settings.queue_timeout_seconds)
    cache = connect(settings.cache_address, STORE_TIMEOUT_SECONDS) if settings.seal_keys else None
    keyring = _keyring(settings, tally, cache)
    carrier = Carrier(Inbox(queue), settings.queue_timeout_seconds, tally)
    limits = Limits(settings.max_body_bytes, settings.max_concurrent_requests, settings.stale_after)
    route = WebhookRoute(settings.keystone_environment, keyring, carrier, tally, limits)
    readiness = Readiness(queue, settings.queue_timeout_seconds, settings.ready_journal_age_seconds)

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        await keyring.reread()
        freshness = asyncio.create_task(keyring.stay_fresh())
        try:
            yield
        finally:
            await carrier.finish()
            freshness.cancel()
            with suppress(asyncio.CancelledError):
                await freshness
            for client in (queue, cache):
                if client is not None:
                    await client.aclose()

    return Litestar(
        route_handlers=[
            asgi(MOUNT, is_mount=True, copy_scope=False)(route.handle),
            *health_routes(readiness),
            *([_metrics(tally.registry)] if settings.metrics_port is None else []),
        ],
        lifespan=[running],
        after_exception=[_log_unexpected],
        openapi_config=OpenAPIConfig(
            title="Countersign receiver", version=__version__, render_plugins=[JsonRenderPlugin()]
        ),
        logging_config=None,  # The command has set up structlog.
    )


def _keyring(settings: ReceiverSettings, tally: Tally, cache: Redis | None) -> Keyring:
    store = None
    if cache is not None:
        keys = [decoded_key(key.get_secret_value()) for key in settings.seal_keys]
        store = SecretStore(cache, Sealer(keys))
    path = settings.webhook_secrets_file
    return Keyring(
        parsed_secrets(settings.webhook_secrets),
        tally,
        None if path is None else SecretFile(path),
        store,
    )


def _metrics(registry: CollectorRegistry) -> HTTPRouteHandler:
    @get("/metrics", media_type=MediaType.TEXT, summary="Metrics for Prometheus", sync_to_thread=False)
    def metrics() -> Response[bytes]:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return metrics


def _log_unexpected(error: Exception, scope: Scope) -> None:
    # What Litestar answers with 4xx (no such route, no such method) is the caller's, not news.
    status = getattr(error, "status_code", 500)
    if status >= 500:  # noqa: PLR2004 - HTTP's own boundary between the two sides' faults.
        structlog.get_logger(__name__).error(
            "unexpected_error",
            route=scope.get("path_template"),
            exc_info=(type(error), error, error.__traceback__),
        )
