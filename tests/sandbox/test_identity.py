"""Token endpoint, keys, scopes and what a bad token gets (keystone-api.md 1.1, 1.2)."""

import time
from typing import Any

import httpx
import jwt
import pytest

from tests.services.sandbox import SandboxProcess

GOOD = {
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "audience": "https://api.keystoneos.xyz",
    "grant_type": "client_credentials",
}


def keys(sandbox: SandboxProcess) -> dict[str, Any]:
    jwks = httpx.get(f"{sandbox.url}/.well-known/jwks.json").json()
    return {key["kid"]: jwt.PyJWK(key).key for key in jwks["keys"]}


def verified(sandbox: SandboxProcess, token: str) -> dict[str, Any]:
    key = keys(sandbox)[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=["RS256"], audience=sandbox.audience, issuer=f"{sandbox.url}/"
    )
    return claims


def test_a_token_verifies_against_the_published_keys(sandbox: SandboxProcess) -> None:
    answer = httpx.post(sandbox.token_url, json=GOOD)
    body = answer.json()
    claims = verified(sandbox, body["access_token"])
    assert claims["sub"] == "sandbox-client@clients"
    assert claims["scope"].split() == sorted(claims["scope"].split())
    assert "settlements:write" in claims["scope"]
    assert claims["exp"] - claims["iat"] == body["expires_in"] == 86_400
    assert body["token_type"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"


def test_discovery_names_the_token_endpoint_and_the_keys(sandbox: SandboxProcess) -> None:
    told = httpx.get(f"{sandbox.url}/.well-known/openid-configuration").json()
    assert told["issuer"] == f"{sandbox.url}/"
    assert told["token_endpoint"] == sandbox.token_url
    assert httpx.get(told["jwks_uri"]).json()["keys"]


def test_a_form_is_taken_as_well_as_json(sandbox: SandboxProcess) -> None:
    assert httpx.post(sandbox.token_url, data=GOOD).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "access_denied"),
        ({"client_id": "nobody"}, 401, "access_denied"),
        ({"audience": "https://api.keystoneos.xyz/v1"}, 403, "access_denied"),
        ({"grant_type": "password"}, 403, "unsupported_grant_type"),
        ({"client_id": 7}, 400, "invalid_request"),
    ],
)
def test_a_bad_request_gets_no_token(
    sandbox: SandboxProcess, change: dict[str, object], status: int, error: str
) -> None:
    answer = httpx.post(sandbox.token_url, json={**GOOD, **change})
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_new_key_signs_while_old_tokens_stay_good(sandbox: SandboxProcess) -> None:
    with sandbox.api() as api:
        old = keys(sandbox)
        new_kid = sandbox.control.post("/keys/rotate").json()["kid"]
        assert set(keys(sandbox)) == {*old, new_kid}
        assert jwt.get_unverified_header(sandbox.token())["kid"] == new_kid
        assert api.get("/v1/settlements").status_code == 200


def test_a_dropped_key_takes_its_tokens_with_it(sandbox: SandboxProcess) -> None:
    with sandbox.api() as api:
        assert api.get("/v1/settlements").status_code == 200
        kid = sandbox.control.post("/keys/rotate", json={"drop_old": True}).json()["kid"]
        assert list(keys(sandbox)) == [kid]
        assert api.get("/v1/settlements").status_code == 401
    with sandbox.api() as api:
        assert api.get("/v1/settlements").status_code == 200


def test_a_token_expires(sandbox: SandboxProcess) -> None:
    sandbox.reset(token_seconds=60)
    with sandbox.api() as api:
        assert api.get("/v1/settlements").status_code == 200
        sandbox.set(clock_skew_seconds=61)
        answer = api.get("/v1/settlements")
        assert (answer.status_code, answer.json()) == (401, {"detail": "Token has expired"})


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x.y.z", "Basic c2FuZGJveA==", "Bearer é"])
def test_without_a_good_token_nothing_is_shown(sandbox: SandboxProcess, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode()}
    answer = httpx.get(f"{sandbox.url}/v1/settlements", headers=headers)
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)


def test_a_token_that_someone_else_signed_is_refused(sandbox: SandboxProcess) -> None:
    claims = verified(sandbox, sandbox.token())
    kid = next(iter(keys(sandbox)))
    forged = jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": kid})
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": kid})
    for token in (forged, unsigned):
        answer = httpx.get(f"{sandbox.url}/v1/settlements", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


NEEDED = [
    ("GET", "/v1/settlements", "settlements:read"),
    ("GET", "/v1/settlements/x", "settlements:read"),
    ("GET", "/v1/settlements/x/events", "settlements:read"),
    ("GET", "/v1/settlements/x/related", "settlements:read"),
    ("POST", "/v1/settlements", "settlements:write"),
    ("POST", "/v1/settlements/x/compliance-decision", "settlements:write"),
    ("GET", "/v1/settlement-templates", "templates:read"),
    ("GET", "/v1/settlement-templates/x", "templates:read"),
    ("POST", "/v1/platforms/me/webhooks", "platform:webhooks:manage"),
    ("GET", "/v1/platforms/me/webhooks", "platform:webhooks:manage"),
    ("GET", "/v1/platforms/me/webhooks/x", "platform:webhooks:manage"),
    ("PATCH", "/v1/platforms/me/webhooks/x", "platform:webhooks:manage"),
    ("DELETE", "/v1/platforms/me/webhooks/x", "platform:webhooks:manage"),
    ("POST", "/v1/platforms/me/webhooks/x/test", "platform:webhooks:manage"),
    ("POST", "/v1/platforms/me/webhooks/x/rotate-secret", "platform:webhooks:manage"),
    ("GET", "/v1/platforms/me/webhooks/x/deliveries", "platform:webhooks:manage"),
    ("GET", "/v1/platforms/me/environments", "platform:read"),
    ("GET", "/v1/platforms/me/environments/x", "platform:read"),
    ("POST", "/v1/platforms/me/environments", "platform:read"),
    ("PATCH", "/v1/platforms/me/environments/x", "platform:read"),
    ("DELETE", "/v1/platforms/me/environments/x", "platform:read"),
]
SCOPES = {scope for _, _, scope in NEEDED}


@pytest.mark.parametrize(("method", "path", "scope"), NEEDED)
def test_each_call_needs_its_scope(sandbox: SandboxProcess, method: str, path: str, scope: str) -> None:
    others = SCOPES - {scope} - ({"platform:read"} if "webhooks" in path and method == "GET" else set())
    sandbox.add_client("with", scope)
    sandbox.add_client("without", *others)
    with sandbox.api("without", "without") as api:
        answer = api.request(method, path)
        assert (answer.status_code, answer.json()) == (403, {"detail": f"Missing required scope: {scope}"})
    with sandbox.api("with", "with") as api:
        assert api.request(method, path, json={}).status_code in {200, 400, 404}


def test_another_platforms_environment_is_not_there(sandbox: SandboxProcess, api: httpx.Client) -> None:
    mine = api.get("/v1/platforms/me/environments").json()["items"][0]
    with sandbox.api("counterparty-client", "counterparty-secret") as other:
        assert other.get(f"/v1/platforms/me/environments/{mine['id']}").status_code == 404


def test_a_deactivated_environment_is_refused_everywhere(sandbox: SandboxProcess, api: httpx.Client) -> None:
    mine = api.get("/v1/platforms/me/environments").json()["items"][0]
    api.delete(f"/v1/platforms/me/environments/{mine['id']}")
    assert api.get("/v1/settlements").status_code == 403
    assert httpx.post(sandbox.token_url, json=GOOD).status_code == 403


class TestTokenAnswers:
    """What the token endpoint does when a switch says so."""

    def test_no_expires_in(self, sandbox: SandboxProcess) -> None:
        sandbox.set(token_answer="no_expires_in")
        assert "expires_in" not in httpx.post(sandbox.token_url, json=GOOD).json()

    @pytest.mark.parametrize("answer", ["expired", "wrong_audience"])
    def test_a_token_that_is_no_good(self, sandbox: SandboxProcess, answer: str) -> None:
        sandbox.set(token_answer=answer)
        with sandbox.api() as api:
            assert api.get("/v1/settlements").status_code == 401

    def test_trouble_at_the_token_endpoint_only(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        sandbox.set(server_error={"routes": ["token"], "count": 1})
        assert httpx.post(sandbox.token_url, json=GOOD).status_code == 503
        assert httpx.post(sandbox.token_url, json=GOOD).status_code == 200
        assert api.get("/v1/settlements").status_code == 200

    def test_a_fault_of_all_calls_leaves_the_token_endpoint_alone(self, sandbox: SandboxProcess) -> None:
        sandbox.set(server_error=True)
        assert httpx.post(sandbox.token_url, json=GOOD).status_code == 200

    def test_a_clock_that_is_ahead(self, sandbox: SandboxProcess) -> None:
        sandbox.set(clock_skew_seconds=300)
        token = sandbox.token()
        claims = jwt.decode(token, options={"verify_signature": False})
        assert 295 < claims["iat"] - time.time() <= 301
        answer = httpx.get(f"{sandbox.url}/v1/settlements", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


def test_token_requests_are_counted_apart(sandbox: SandboxProcess, api: httpx.Client) -> None:
    api.get("/v1/settlements")
    counts = sandbox.counts()
    assert counts["token_requests"] == 1
    assert counts["calls"] == {"200": 1}
