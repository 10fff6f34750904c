"""Token endpoint, discovery and keys (keystone-api.md 1.1). Errors have Auth0's shape."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Response, get, post

from countersign.sandbox.api.calls import Call
from countersign.sandbox.refusal import Refused
from countersign.sandbox.world import World


class TokenRequest(msgspec.Struct, kw_only=True):
    """The four documented keys."""

    client_id: str = ""
    client_secret: str = ""
    audience: str = ""
    grant_type: str = ""


@post("/oauth/token", name="token", status_code=200)
async def token(request: Call, world: World) -> Response[dict[str, Any]]:
    """Give out a machine token for client credentials, sent as JSON or as a form."""
    body = await request.body()
    try:
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            given = msgspec.convert(dict(parse_qsl(body.decode())), TokenRequest)
        else:
            given = msgspec.json.decode(body, type=TokenRequest)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return _refused(400, "invalid_request", "The body can't be read")
    if given.grant_type != "client_credentials":
        return _refused(403, "unsupported_grant_type", f"Unsupported grant type: {given.grant_type}")
    try:
        client = world.issuer.client(given.client_id, given.client_secret, given.audience)
    except Refused as refused:
        return _refused(refused.status, "access_denied", str(refused.detail))
    return Response(world.issuer.token(client), headers={"Cache-Control": "no-store"})


@get("/.well-known/openid-configuration", name="discovery")
async def discovery(world: World) -> dict[str, Any]:
    """Say where everything is."""
    url = world.options.url
    return {
        "issuer": world.issuer.issuer,
        "token_endpoint": f"{url}/oauth/token",
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
    }


@get("/.well-known/jwks.json", name="jwks")
async def jwks(world: World) -> dict[str, Any]:
    """Show the public keys."""
    return world.issuer.jwks()


def _refused(status: int, error: str, description: str) -> Response[dict[str, Any]]:
    return Response({"error": error, "error_description": description}, status_code=status)
