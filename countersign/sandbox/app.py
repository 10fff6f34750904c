"""Puts the sandbox together: the world's parts, the platform's calls behind the gate, the control API."""

from typing import Any

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, ControllerRouterHandler

from countersign.sandbox.api import environments, identity, settlements, templates, webhooks
from countersign.sandbox.control import control_router
from countersign.sandbox.door import Door
from countersign.sandbox.gate import Gate
from countersign.sandbox.options import Options
from countersign.sandbox.refusal import Refused
from countersign.sandbox.world import World

PLATFORM_CALLS: list[ControllerRouterHandler] = [
    identity.token,
    identity.discovery,
    identity.jwks,
    settlements.settlement,
    settlements.settlements,
    settlements.settlement_create,
    settlements.history,
    settlements.related,
    settlements.decision,
    templates.templates,
    templates.template,
    webhooks.webhooks,
    webhooks.webhook,
    webhooks.webhook_create,
    webhooks.webhook_update,
    webhooks.webhook_delete,
    webhooks.webhook_test,
    webhooks.webhook_rotate,
    webhooks.webhook_deliveries,
    environments.environments,
    environments.environment,
    environments.environment_create,
    environments.environment_update,
    environments.environment_delete,
]
"""Every call of the platform that the sandbox has. The name of each is its route's name for faults."""


def new_app(options: Options) -> ASGIApp:
    """Make the whole application; it needs a running event loop only once the first call comes in."""
    world = World(options)
    litestar = Litestar(
        route_handlers=[*PLATFORM_CALLS, control_router()],
        middleware=[Gate(world)],  # Here and not on a router: Litestar copies routers, and the world with it.
        dependencies={"world": Provide(_giving(world), use_cache=True, sync_to_thread=False)},
        exception_handlers={Refused: _refused, HTTPException: _not_handled},
        on_shutdown=[world.close],
        openapi_config=None,
        logging_config=None,
    )
    return Door(litestar, world)


def _giving(world: World) -> Any:  # noqa: ANN401 - Litestar reads the inner function's annotation.
    def give() -> World:
        return world

    return give


def _refused(_request: Request[Any, Any, Any], refused: Refused) -> Response[dict[str, Any]]:
    return Response({"detail": refused.detail}, status_code=refused.status, headers=refused.headers)


def _not_handled(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    return Response({"detail": error.detail}, status_code=error.status_code)
