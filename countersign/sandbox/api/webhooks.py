"""The eight webhook endpoint calls (keystone-api.md 2.1)."""

from typing import Any

import msgspec
from litestar import Response, delete, get, patch, post

from countersign.sandbox.api.calls import Call, needs
from countersign.sandbox.refusal import invalid, page_of, paged, read
from countersign.sandbox.webhooks import DeliveryRow, Endpoint
from countersign.sandbox.world import World

READ = needs("platform:webhooks:manage", "platform:read")
MANAGE = needs("platform:webhooks:manage")

BASE = "/v1/platforms/me/webhooks"
ONE = BASE + "/{endpoint_id:str}"

Patterns = tuple[str, ...]


class EndpointInput(msgspec.Struct, kw_only=True):
    """The body of a new endpoint. The docs name the patterns' key in two ways (keystone-api.md 6.1)."""

    url: str
    description: str | None = None
    secret: str | None = None
    events: Patterns = ("*",)
    event_types: Patterns = ("*",)


class EndpointChange(msgspec.Struct, kw_only=True):
    """What may be changed; what is absent stays. The secret is not among it."""

    url: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    events: Patterns | msgspec.UnsetType = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET


@post(BASE, name="webhook_create", opt=MANAGE, status_code=201)
async def webhook_create(request: Call, world: World) -> dict[str, Any]:
    """Register an endpoint. This answer is the only one that shows the secret."""
    given = read(await request.body(), EndpointInput)
    endpoint = world.endpoints.create(
        request.user.environment,
        url=given.url,
        description=given.description,
        events=_checked(given.events if world.board.now.events_field == "events" else given.event_types),
        secret=given.secret,
    )
    return {**_shape(endpoint), "secret": endpoint.secret}


@get(BASE, name="webhooks", opt=READ)
async def webhooks(request: Call, world: World) -> dict[str, Any]:
    """List the endpoints."""
    return paged(world.endpoints.of(request.user.environment), page_of(request.query_params), _shape)


@get(ONE, name="webhook", opt=READ)
async def webhook(request: Call, world: World, endpoint_id: str) -> dict[str, Any]:
    """Show one endpoint."""
    return _shape(world.endpoints.get(endpoint_id, request.user.environment))


@patch(ONE, name="webhook_update", opt=MANAGE)
async def webhook_update(request: Call, world: World, endpoint_id: str) -> dict[str, Any]:
    """Change an endpoint."""
    endpoint = world.endpoints.get(endpoint_id, request.user.environment)
    given = read(await request.body(), EndpointChange)
    if given.url is not msgspec.UNSET:
        world.endpoints.check_url(given.url)
        endpoint.url = given.url
    if given.description is not msgspec.UNSET:
        endpoint.description = given.description
    if given.events is not msgspec.UNSET:
        endpoint.events = _checked(given.events)
    if given.is_active is not msgspec.UNSET:
        endpoint.is_active = given.is_active
    endpoint.updated_at = world.clock.now()
    return _shape(endpoint)


@delete(ONE, name="webhook_delete", opt=MANAGE, status_code=204)
async def webhook_delete(request: Call, world: World, endpoint_id: str) -> None:
    """Remove an endpoint."""
    world.endpoints.delete(world.endpoints.get(endpoint_id, request.user.environment))


@post(ONE + "/test", name="webhook_test", opt=MANAGE, status_code=200)
async def webhook_test(request: Call, world: World, endpoint_id: str) -> dict[str, Any]:
    """Send `test.ping` once and tell what came back."""
    attempt = await world.sender.ping(world.endpoints.get(endpoint_id, request.user.environment))
    return {
        "success": attempt.error is None,
        "status_code": attempt.status,
        "duration_ms": attempt.duration_ms,
        "error": attempt.error,
    }


@post(ONE + "/rotate-secret", name="webhook_rotate", opt=MANAGE, status_code=200)
async def webhook_rotate(request: Call, world: World, endpoint_id: str) -> dict[str, Any]:
    """Give an endpoint a new secret; the old one stays good for a while."""
    endpoint = world.endpoints.get(endpoint_id, request.user.environment)
    until = world.endpoints.rotate(endpoint)
    return {"new_secret": endpoint.secret, "previous_secret_valid_until": until}


@get(ONE + "/deliveries", name="webhook_deliveries", opt=READ)
async def webhook_deliveries(request: Call, world: World, endpoint_id: str) -> Response[dict[str, Any]]:
    """List an endpoint's delivery log."""
    log = world.endpoints.get(endpoint_id, request.user.environment).log
    rows = log[::-1] if world.board.now.list_order == "newest" else log
    return Response(paged(rows, page_of(request.query_params), _row))


def _checked(patterns: Patterns) -> Patterns:
    if not patterns or not all(patterns):
        raise invalid(("body", "events"), "Patterns must not be empty")
    return patterns


def _row(row: DeliveryRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in DeliveryRow.__dataclass_fields__}


def _shape(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": list(endpoint.events),
        "is_active": endpoint.is_active,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }
