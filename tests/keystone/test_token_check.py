"""Checking a token: what is proved wrong is refused, what can't be proved is told."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from countersign.keystone.jwks import REFETCH_SECONDS, STALE_SECONDS, IssuerKeys
from countersign.keystone.token_check import Checked, TokenNotGenuine, check_token

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT = int(NOW.timestamp())
ISSUER = "https://auth.example/"
AUDIENCE = "https://api.example"
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "iat": AT, "exp": AT + 3600, "scope": "a:read b:write"}


class Keys:
    """The issuer's key pairs, and a network on which it publishes them."""

    def __init__(self, pairs: Mapping[str, rsa.RSAPrivateKey]) -> None:
        self.pairs = pairs
        self.published: list[Any] = [self.jwk("one")]
        self.configuration: Any = {"issuer": ISSUER, "jwks_uri": "https://keys.example/jwks"}
        self.asked: list[str] = []
        self.now = 0.0
        self.down = False
        self.http = httpx.Client(transport=httpx.MockTransport(self._respond))
        self.keys = IssuerKeys(self.http, "https://auth.example/oauth/token?x=1", clock=lambda: self.now)

    def jwk(self, kid: str, **changes: object) -> dict[str, Any]:
        return {**RSAAlgorithm.to_jwk(self.pairs[kid].public_key(), as_dict=True), "kid": kid, **changes}

    def token(
        self, claims: Mapping[str, object] | None = None, *, kid: str | None = "one", key: str = "one"
    ) -> str:
        wanted = {name: value for name, value in {**CLAIMS, **(claims or {})}.items() if value is not None}
        return jwt.encode(wanted, self.pairs[key], algorithm="RS256", headers={"kid": kid} if kid else None)

    def check(self, value: str) -> Checked:
        return check_token(value, self.keys, audience=AUDIENCE, issuer_now=NOW)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        if self.down:
            return httpx.Response(503)
        discovery = request.url.path == "/.well-known/openid-configuration"
        return httpx.Response(200, json=self.configuration if discovery else {"keys": self.published})


@pytest.fixture(scope="module")
def pairs() -> dict[str, rsa.RSAPrivateKey]:
    return {kid: rsa.generate_private_key(65537, 2048) for kid in ("one", "two")}


@pytest.fixture
def issuer(pairs: dict[str, rsa.RSAPrivateKey]) -> Keys:
    return Keys(pairs)


def test_a_good_token_is_verified_and_read(issuer: Keys) -> None:
    checked = issuer.check(issuer.token())

    assert checked.problem is None
    assert checked.issuer == ISSUER
    assert checked.scopes == frozenset({"a:read", "b:write"})
    assert issuer.asked == [
        "https://auth.example/.well-known/openid-configuration",
        "https://keys.example/jwks",
    ]


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": None}, None),
        ({"scope": None, "permissions": ["c:do"]}, ["c:do"]),
        ({"scope": ["a:read"], "permissions": ["c:do", 7]}, ["a:read", "c:do"]),
        ({"scope": ""}, []),
    ],
)
def test_granted_scopes_are_read_wherever_they_stand(
    issuer: Keys, claims: dict[str, object], scopes: list[str] | None
) -> None:
    granted = issuer.check(issuer.token(claims)).scopes

    assert (None if granted is None else sorted(granted)) == scopes


GENUINE = [
    pytest.param({"iss": ISSUER.rstrip("/")}, id="issuer without its slash"),
    pytest.param({"aud": ["https://other.example", AUDIENCE]}, id="several audiences"),
    pytest.param({"iat": AT + 30}, id="issued half a minute ahead"),
    pytest.param({"exp": AT - 30}, id="expired half a minute ago"),
    pytest.param({"nbf": AT + 30}, id="valid in half a minute"),
    pytest.param({"sub": 7}, id="a subject that PyJWT would mind"),
]


@pytest.mark.parametrize("claims", GENUINE)
def test_what_is_only_unusual_is_genuine(issuer: Keys, claims: dict[str, object]) -> None:
    assert issuer.check(issuer.token(claims)).problem is None


WRONG = [
    pytest.param({"iss": "https://evil.example/"}, id="another issuer"),
    pytest.param({"aud": "https://evil.example"}, id="another audience"),
    pytest.param({"exp": AT - 61}, id="expired"),
    pytest.param({"nbf": AT + 61}, id="not valid yet"),
    pytest.param({"iat": AT + 3600}, id="issued in an hour"),
]


@pytest.mark.parametrize("claims", WRONG)
def test_what_is_proved_wrong_is_refused(issuer: Keys, claims: dict[str, object]) -> None:
    with pytest.raises(TokenNotGenuine):
        issuer.check(issuer.token(claims))


def test_a_signature_by_another_key_is_refused(issuer: Keys) -> None:
    with pytest.raises(TokenNotGenuine):
        issuer.check(issuer.token(kid="one", key="two"))


def test_changed_claims_are_refused(issuer: Keys) -> None:
    head, _, signature = issuer.token().split(".")
    _, claims, _ = issuer.token({"scope": "everything"}).split(".")

    with pytest.raises(TokenNotGenuine):
        issuer.check(f"{head}.{claims}.{signature}")


@pytest.mark.parametrize(("algorithm", "key"), [("none", None), ("HS256", "k" * 64)])
def test_the_algorithm_is_pinned(issuer: Keys, algorithm: str, key: str | None) -> None:
    token = jwt.encode(CLAIMS, key, algorithm=algorithm, headers={"kid": "one"})  # type: ignore[arg-type]  # none has no key.

    with pytest.raises(TokenNotGenuine, match="RS256"):
        issuer.check(token)


@pytest.mark.parametrize("value", ["opaque", "a.b.c", "..", "eyJhbGciOiJSUzI1NiJ9.x.y"])
def test_what_is_no_jwt_cant_be_checked(issuer: Keys, value: str) -> None:
    assert issuer.check(value).problem == "it is not a JSON Web Token"


@pytest.mark.parametrize("claim", ["iss", "aud", "exp"])
def test_a_claim_that_is_missing_cant_be_checked(issuer: Keys, claim: str) -> None:
    assert issuer.check(issuer.token({claim: None})).problem == "it lacks `iss`, `aud` or `exp`"


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_time_that_is_out_of_this_world_cant_be_checked(issuer: Keys, claim: str) -> None:
    checked = issuer.check(issuer.token({claim: 10**30}))

    assert checked.expires_at is None or claim != "exp"


def test_the_only_key_is_taken_for_a_token_that_names_none(issuer: Keys) -> None:
    assert issuer.check(issuer.token(kid=None)).problem is None

    issuer.published.append(issuer.jwk("two"))
    issuer.now += STALE_SECONDS + 1

    assert "no key" in (issuer.check(issuer.token(kid=None)).problem or "")


def test_a_new_key_is_found_at_once_and_then_looked_for_once_a_minute(issuer: Keys) -> None:
    issuer.check(issuer.token())
    assert len(issuer.asked) == 2
    issuer.published.append(issuer.jwk("two"))

    assert issuer.check(issuer.token(kid="two", key="two")).problem is None
    assert len(issuer.asked) == 4

    for _ in range(10):
        assert issuer.check(issuer.token(kid="three")).problem is not None
    assert len(issuer.asked) == 4

    issuer.now += REFETCH_SECONDS
    issuer.check(issuer.token(kid="three"))
    assert len(issuer.asked) == 6


def test_old_keys_outlive_a_refresh_that_fails(issuer: Keys) -> None:
    issuer.check(issuer.token())
    issuer.down = True
    issuer.now += STALE_SECONDS + 1

    assert issuer.check(issuer.token()).problem is None
    asked = len(issuer.asked)
    assert issuer.check(issuer.token()).problem is None
    assert len(issuer.asked) == asked


def test_keys_that_could_not_be_had_are_not_asked_for_again_at_once(issuer: Keys) -> None:
    issuer.down = True

    assert "503" in (issuer.check(issuer.token()).problem or "")
    issuer.down = False
    assert "a moment ago" in (issuer.check(issuer.token()).problem or "")

    issuer.now += REFETCH_SECONDS
    assert issuer.check(issuer.token()).problem is None


@pytest.mark.parametrize(
    "configuration",
    [
        [],
        {},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "jwks_uri": 7},
        {"issuer": ISSUER, "jwks_uri": "http://elsewhere.example/jwks"},
        {"issuer": ISSUER, "jwks_uri": "https://exa mple:port/"},
    ],
)
def test_a_discovery_that_cant_be_followed_leaves_the_token_unchecked(
    issuer: Keys, configuration: object
) -> None:
    issuer.configuration = configuration

    assert "discovery" in (issuer.check(issuer.token()).problem or "")


def test_keys_that_cant_be_read_do_not_hide_the_good_one(issuer: Keys) -> None:
    issuer.published = [
        None,
        {"kty": "RSA", "kid": "zero"},
        issuer.jwk("two", n="!"),
        issuer.jwk("two", use="enc"),
        {"kty": "EC", "kid": "four"},
        {**issuer.jwk("one"), "kid": ["one"]},
        issuer.jwk("one"),
    ]

    assert issuer.check(issuer.token()).problem is None


@pytest.mark.parametrize("published", [None, "keys", []])
def test_an_issuer_without_keys_leaves_the_token_unchecked(issuer: Keys, published: Any) -> None:  # noqa: ANN401 - any JSON.
    issuer.published = published

    assert "no key" in (issuer.check(issuer.token()).problem or "")


def test_a_problem_shows_nothing_of_the_token(issuer: Keys) -> None:
    issuer.down = True
    token = issuer.token()

    checked = issuer.check(token)

    assert token.split(".")[2] not in json.dumps(checked.problem) + repr(checked)
