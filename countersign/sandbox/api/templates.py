"""Template calls (keystone-api.md 3.4)."""

from typing import Any

from litestar import get

from countersign.sandbox.api.calls import Call, needs
from countersign.sandbox.refusal import page_of, paged
from countersign.sandbox.shapes import template_shape
from countersign.sandbox.world import World

READ = needs("templates:read")


@get("/v1/settlement-templates", name="templates", opt=READ)
async def templates(request: Call, world: World) -> dict[str, Any]:
    """List the templates."""
    switches = world.board.now
    page = page_of(request.query_params, most=100)
    return paged(world.templates.all, page, lambda each: template_shape(each, switches))


@get("/v1/settlement-templates/{template_id:str}", name="template", opt=READ)
async def template(world: World, template_id: str) -> dict[str, Any]:
    """Show one template."""
    return template_shape(world.templates.find(template_id), world.board.now)
