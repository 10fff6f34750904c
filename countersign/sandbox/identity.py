"""The identity provider's side: signing keys and their rotation, machine tokens (keystone-api.md 1.1).

The shapes of its errors are undocumented; these are what Auth0 answers.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from countersign.sandbox.clock import Clock
from countersign.sandbox.dice import Dice, hex_of
from countersign.sandbox.faults import Switchboard
from countersign.sandbox.options import Options
from countersign.sandbox.refusal import Refused
from countersign.sandbox.tenants import Client, Environment, Tenants


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call, by the token that came with it."""

    client_id: str
    environment: Environment
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key pair. `kid` is made from the public key, so that no two runs share one."""

    kid: str
    private: rsa.RSAPrivateKey

    @classmethod
    def new(cls) -> "SigningKey":
        """Make a key. Keys do not come from the seed: they are the one thing that is new in every run."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(hashlib.sha256(public).hexdigest()[:24], private)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half as a JWKS lists it."""
        numbers = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        numbers.pop("key_ops", None)
        return {**numbers, "kid": self.kid, "alg": "RS256", "use": "sig"}


class Issuer:
    """Gives out tokens and recognises them again."""

    def __init__(
        self,
        options: Options,
        tenants: Tenants,
        board: Switchboard,
        clock: Clock,
        dice: Dice,
        key: SigningKey,
    ) -> None:
        self._options = options
        self._tenants = tenants
        self._board = board
        self._clock = clock
        self._stream = dice.stream("tokens")
        self._keys = [key]
        self._live: set[str] = set()
        self._known: dict[str, dict[str, Any]] = {}
        self.issuer = f"{options.url}/"

    def token(self, client: Client) -> dict[str, Any]:
        """Answer a good token request of this client."""
        choice = self._board.now.token_answer
        now = self._clock.now()
        life = timedelta(seconds=-60 if choice == "expired" else self._options.token_seconds)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": f"{client.client_id}@clients",
            "aud": "https://elsewhere.example" if choice == "wrong_audience" else self._options.audience,
            "iat": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
            "azp": client.client_id,
            "scope": " ".join(sorted(client.scopes)),
            "gty": "client-credentials",
            "jti": hex_of(self._stream, 24),
        }
        self._live.add(claims["jti"])
        key = self.key
        answer = {
            "access_token": jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid}),
            "scope": claims["scope"],
            "expires_in": int(self._options.token_seconds),
            "token_type": "Bearer",
        }
        if choice == "no_expires_in":
            del answer["expires_in"]
        return answer

    def client(self, client_id: str, client_secret: str, audience: str) -> Client:
        """Recognise a client by its secret.

        Raises:
            Refused: With a status of its own and a text; the token route gives both Auth0's shape.

        """
        client = self._tenants.clients.get(client_id)
        if client is None or not compare_digest(client.client_secret.encode(), client_secret.encode()):
            raise Refused(401, "Unauthorized")
        if audience != self._options.audience:
            raise Refused(403, f"Service not enabled within domain: {audience}")
        if not client.environment.is_active:
            raise Refused(403, "The environment of this client is not active")
        return client

    def caller(self, authorization: str | None) -> Caller:
        """Recognise the caller by the `Authorization` header.

        Raises:
            Refused: 401 for a token that is missing or no good, 403 for a suspended environment.

        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "Not authenticated")
        claims = self._claims(token.strip())
        client = self._tenants.clients.get(claims["azp"])
        if client is None or claims["jti"] not in self._live:
            raise Refused(401, "Invalid token")
        if claims["exp"] <= self._clock.now().timestamp():
            raise Refused(401, "Token has expired")
        if not client.environment.is_active:
            raise Refused(403, "Environment is not active")
        return Caller(client.client_id, client.environment, frozenset(claims["scope"].split()))

    def _claims(self, token: str) -> dict[str, Any]:
        """Check signature, `iss` and `aud`; the times are the platform clock's and checked apart."""
        if token in self._known:
            return self._known[token]
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = next((key for key in self._keys if key.kid == kid), None)
            if key is None:
                raise Refused(401, "Invalid token")
            claims: dict[str, Any] = jwt.decode(
                token,
                key.private.public_key(),
                algorithms=["RS256"],
                audience=self._options.audience,
                issuer=self.issuer,
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "azp", "scope", "jti"]},
            )
        except jwt.InvalidTokenError:
            raise Refused(401, "Invalid token") from None
        self._known[token] = claims
        return claims

    @property
    def key(self) -> SigningKey:
        """The key that signs now."""
        return self._keys[-1]

    def jwks(self) -> dict[str, Any]:
        """Return every key whose tokens are still good, newest first."""
        return {"keys": [key.jwk for key in reversed(self._keys)]}

    def rotate(self, *, drop_old: bool) -> str:
        """Sign with a new key from now on and return its `kid`; old tokens stay good unless dropped."""
        if drop_old:
            self._keys.clear()
            self._known.clear()
        self._keys.append(SigningKey.new())
        return self.key.kid

    def revoke_all(self) -> None:
        """Make every token given out until now answer 401."""
        self._live.clear()
