"""Checking a machine token before it is used: RS256 against the issuer's keys, issuer, audience and times.

PyJWT checks times against this host's clock, and refuses an `iat` that lies two minutes ahead. So it checks
the signature alone, with the algorithm pinned; the claims are checked here, times by the issuer's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import jwt

from countersign.keystone.jwks import IssuerKeys, KeySet, KeysUnavailable

ALGORITHM = "RS256"
LEEWAY = timedelta(seconds=60)
"""How far a token's times may be off the issuer's `Date`, which carries whole seconds."""


class TokenVerify(StrEnum):
    """What to do with a token that can't be checked. One that fails a check is never used."""

    WARN = "warn"
    REQUIRE = "require"


class TokenNotGenuine(Exception):
    """The token fails a check that could be made. The message says which, and shows nothing of the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a token says of itself; `problem` says why that could not be verified, or is `None`."""

    issuer: str | None = None
    audience: tuple[str, ...] = ()
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None
    problem: str | None = None


def check_token(value: str, keys: IssuerKeys, *, audience: str, issuer_now: datetime) -> Checked:
    """Check one token.

    Raises:
        TokenNotGenuine: A check could be made and failed.

    """
    try:
        header: Mapping[str, Any] = jwt.get_unverified_header(value)
        claims: Mapping[str, Any] = jwt.decode(value, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return Checked(problem="it is not a JSON Web Token")
    if header.get("alg") != ALGORITHM:
        raise TokenNotGenuine(f"it is not signed with {ALGORITHM}")
    told = _told(claims)
    _check_times(claims, issuer_now)
    if told.audience and audience not in told.audience:
        raise TokenNotGenuine("it is for another audience than KEYSTONE_AUDIENCE")
    key_id = header.get("kid")
    try:
        key_set = keys.key_set(key_id if isinstance(key_id, str) else None)
        key = _key(key_set, key_id)
    except KeysUnavailable as unavailable:
        return replace(told, problem=str(unavailable))
    _check_signature(value, key)
    if told.issuer is None or not told.audience or told.expires_at is None:
        return replace(told, problem="it lacks `iss`, `aud` or `exp`")
    # Auth0 names itself with a slash at the end, and people leave it out.
    if told.issuer.rstrip("/") != key_set.issuer.rstrip("/"):
        raise TokenNotGenuine("its `iss` is not the issuer that discovery names")
    return told


def _key(key_set: KeySet, key_id: object) -> jwt.PyJWK:
    if key_id is None and len(key_set.keys) == 1:
        return next(iter(key_set.keys.values()))
    key = key_set.keys.get(key_id) if isinstance(key_id, str) else None
    if key is None:
        raise KeysUnavailable("the issuer publishes no key with the token's `kid`")
    return key


def _check_signature(value: str, key: jwt.PyJWK) -> None:
    signature_only: jwt.types.Options = {
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": False,
        "verify_iss": False,
        "verify_sub": False,
        "verify_jti": False,
    }
    try:
        jwt.decode(value, key=key, algorithms=[ALGORITHM], options=signature_only)
    except jwt.PyJWTError as error:
        raise TokenNotGenuine(f"it does not verify ({type(error).__name__})") from None


def _check_times(claims: Mapping[str, Any], issuer_now: datetime) -> None:
    expires_at, not_before = _time(claims.get("exp")), _time(claims.get("nbf"))
    issued_at = _time(claims.get("iat"))
    if expires_at is not None and expires_at <= issuer_now - LEEWAY:
        raise TokenNotGenuine("it has expired already, by the issuer's own clock")
    if any(at is not None and at > issuer_now + LEEWAY for at in (not_before, issued_at)):
        raise TokenNotGenuine("it is not valid yet, by the issuer's own clock")


def _told(claims: Mapping[str, Any]) -> Checked:
    issuer, audience = claims.get("iss"), claims.get("aud")
    return Checked(
        issuer=issuer if isinstance(issuer, str) else None,
        audience=_words([audience] if isinstance(audience, str) else audience),
        scopes=_scopes(claims),
        expires_at=_time(claims.get("exp")),
    )


def _scopes(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the granted scopes: `scope` is one string (RFC 8693, 4.2), `permissions` a list (1.3)."""
    scope, permissions = claims.get("scope"), claims.get("permissions")
    if scope is None and permissions is None:
        return None
    granted = scope.split() if isinstance(scope, str) else _words(scope)
    return frozenset(granted) | frozenset(_words(permissions))


def _words(value: object) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def _time(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None
