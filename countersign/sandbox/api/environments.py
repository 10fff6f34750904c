"""Environment calls (keystone-api.md 4.7). Their scopes are undocumented: `platform:read` opens them all."""

from typing import Annotated, Any

import msgspec
from litestar import delete, get, patch, post

from countersign.sandbox.api.calls import Call, needs
from countersign.sandbox.refusal import Refused, page_of, paged, read
from countersign.sandbox.tenants import Environment
from countersign.sandbox.world import World

OPT = needs("platform:read")

BASE = "/v1/platforms/me/environments"
ONE = BASE + "/{environment_id:str}"

Timeout = Annotated[int, msgspec.Meta(ge=60, le=604_800)]
Slug = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]*$", max_length=63)]


class EnvironmentInput(msgspec.Struct, kw_only=True):
    """The body of a new environment."""

    name: str
    slug: Slug
    auth0_client_id: str
    webhook_url: str | None = None
    webhook_secret: str | None = None
    default_timeout_seconds: Timeout = 3600


class EnvironmentChange(msgspec.Struct, kw_only=True):
    """What may be changed; what is absent stays."""

    name: str | msgspec.UnsetType | None = msgspec.UNSET
    webhook_url: str | msgspec.UnsetType | None = msgspec.UNSET
    webhook_secret: str | msgspec.UnsetType | None = msgspec.UNSET
    default_timeout_seconds: Timeout | msgspec.UnsetType | None = msgspec.UNSET
    is_active: bool | msgspec.UnsetType | None = msgspec.UNSET
    rate_limit_rpm: int | msgspec.UnsetType | None = msgspec.UNSET


NULLABLE = frozenset({"webhook_url", "webhook_secret", "rate_limit_rpm"})
"""Fields that null clears; in the others null changes nothing."""


@post(BASE, name="environment_create", opt=OPT, status_code=201)
async def environment_create(request: Call, world: World) -> dict[str, Any]:
    """Make an environment of the caller's platform."""
    given = read(await request.body(), EnvironmentInput)
    platform = request.user.environment.platform
    if any(each.slug == given.slug for each in world.tenants.of_platform(platform)):
        raise Refused(409, "Environment slug is already in use")
    if given.webhook_url is not None:
        world.endpoints.check_url(given.webhook_url)
    environment = world.tenants.new_environment(platform, given.name, given.slug, given.auth0_client_id)
    environment.webhook_url = given.webhook_url
    environment.webhook_secret = given.webhook_secret
    environment.default_timeout_seconds = given.default_timeout_seconds
    return _shape(environment)


@get(BASE, name="environments", opt=OPT)
async def environments(request: Call, world: World) -> dict[str, Any]:
    """List the environments of the caller's platform."""
    mine = world.tenants.of_platform(request.user.environment.platform)
    return paged(mine, page_of(request.query_params, most=100), _shape)


@get(ONE, name="environment", opt=OPT)
async def environment(request: Call, world: World, environment_id: str) -> dict[str, Any]:
    """Show one environment."""
    return _shape(_mine(request, world, environment_id))


@patch(ONE, name="environment_update", opt=OPT)
async def environment_update(request: Call, world: World, environment_id: str) -> dict[str, Any]:
    """Change an environment."""
    found = _mine(request, world, environment_id)
    given = read(await request.body(), EnvironmentChange)
    if isinstance(given.webhook_url, str):
        world.endpoints.check_url(given.webhook_url)
    for name, value in msgspec.structs.asdict(given).items():
        if value is not msgspec.UNSET and (value is not None or name in NULLABLE):
            setattr(found, name, value)
    found.updated_at = world.clock.now()
    return _shape(found)


@delete(ONE, name="environment_delete", opt=OPT, status_code=200)
async def environment_delete(request: Call, world: World, environment_id: str) -> dict[str, Any]:
    """Deactivate an environment: everything is kept, its clients are refused."""
    found = _mine(request, world, environment_id)
    found.is_active = False
    found.updated_at = world.clock.now()
    return _shape(found)


def _mine(request: Call, world: World, environment_id: str) -> Environment:
    found = world.tenants.environments.get(environment_id)
    if found is None or found.platform != request.user.environment.platform:
        raise Refused(404, "Environment not found")
    return found


def _shape(environment: Environment) -> dict[str, Any]:
    return {
        "id": environment.id,
        "platform_id": environment.platform.id,
        "name": environment.name,
        "slug": environment.slug,
        "auth0_client_id": environment.auth0_client_id,
        "webhook_url": environment.webhook_url,
        "api_version": environment.api_version,
        "default_timeout_seconds": environment.default_timeout_seconds,
        "is_active": environment.is_active,
        "rate_limit_rpm": environment.rate_limit_rpm,
        "created_at": environment.created_at,
        "updated_at": environment.updated_at,
    }
