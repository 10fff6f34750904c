"""What an HTTP status means for the caller: the table of keystone-api.md 4.1, as errors.

Only the status decides. The texts of a 403 pick the hint in its message, because the platform documents no
code that tells its three causes apart (1.5, 4.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from countersign.keystone.calls import SCOPES, WHERE_TO_GRANT, Call
from countersign.keystone.errors import (
    CredentialsRefused,
    KeystoneError,
    NotFound,
    OutcomeUnknown,
    RefusedBecause,
    RequestRefused,
    StateConflict,
    TryAgainLater,
)
from countersign.keystone.machine_token import MachineToken
from countersign.keystone.retry_after import retry_after

SOON = timedelta(seconds=2)
"""When to try again after an outage of which nothing says how long it lasts."""

A_PERSON_NEEDS = timedelta(minutes=5)
"""After a 403: a grant that is missing is not there a second later."""

_LATER = frozenset({HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_MAYBE_DONE = frozenset({HTTPStatus.REQUEST_TIMEOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is no 2xx, with what may tell more about it. `detail` only ever picks a hint."""

    call: Call
    status: int
    headers: Mapping[str, str]
    token: MachineToken
    detail: str = ""
    now: datetime
    egress_address: str | None = None


def error_for(refusal: Refusal) -> KeystoneError:
    """Return the error that this answer is to the caller. A 401 is the transport's to handle first."""
    call, status = refusal.call, refusal.status
    told = f"KeyStone answers {status} to `{call.name}`"
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _MAYBE_DONE:
        return _refused(told, refusal)
    if not call.is_safe:
        return OutcomeUnknown(f"{told}: it may or may not have been carried out", status=status)
    if status < HTTPStatus.BAD_REQUEST:
        return RequestRefused(f"{told}, which is no answer: check KEYSTONE_API_URL", status=status)
    return TryAgainLater(told, after=_after(refusal), status=status)


def _refused(told: str, refusal: Refusal) -> KeystoneError:
    status = refusal.status
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(told, refusal)
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(f"{told}: it is not there, or in another environment", status=status)
    if status == HTTPStatus.CONFLICT:
        return StateConflict(f"{told}: its state does not allow this; read it first", status=status)
    if status in _LATER:
        return TryAgainLater(f"{told}: too many requests", after=_after(refusal), status=status)
    return RequestRefused(f"{told}: the same request will never work", status=status)


def _after(refusal: Refusal) -> timedelta:
    return retry_after(refusal.headers.get("Retry-After"), now=refusal.now) or SOON


def detail_of(body: Any) -> str:  # noqa: ANN401 - any JSON value.
    """Return the platform's text in an error's body: `detail` is a string, or a list of objects (4.2)."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        return " ".join(str(item.get("msg", "")) for item in detail if isinstance(item, dict))
    return detail if isinstance(detail, str) else ""


def _forbidden(told: str, refusal: Refusal) -> CredentialsRefused:
    why = _why_forbidden(refusal)
    return CredentialsRefused(
        f"{told}: {_advice(why, refusal)}", why=why, after=A_PERSON_NEEDS, status=refusal.status
    )


def _why_forbidden(refusal: Refusal) -> RefusedBecause:
    if refusal.token.lacks(refusal.call.scope):
        return RefusedBecause.SCOPE_MISSING
    if "insufficient_scope" in refusal.headers.get("WWW-Authenticate", ""):  # RFC 6750, 3.1.
        return RefusedBecause.SCOPE_MISSING
    detail = refusal.detail.lower()
    if "suspend" in detail or "deactivat" in detail:
        return RefusedBecause.PLATFORM_SUSPENDED
    if any(word in detail for word in ("allowlist", "allow list", "whitelist", "ip address", "ip not")):
        return RefusedBecause.ADDRESS_NOT_ALLOWED
    if "scope" in detail or "permission" in detail:
        return RefusedBecause.SCOPE_MISSING
    return RefusedBecause.UNCLEAR


def _advice(why: RefusedBecause, refusal: Refusal) -> str:
    scope = refusal.call.scope
    egress = f" (we call from {refusal.egress_address})" if refusal.egress_address else ""
    grant = f"the client needs the scope `{scope}` ({SCOPES[scope]}): {WHERE_TO_GRANT}"
    suspended = "the platform or the environment is suspended: ask KeyStone"
    listed = f"our address is not on the environment's allowlist{egress}: add it under Settings > Security"
    match why:
        case RefusedBecause.SCOPE_MISSING:
            return grant
        case RefusedBecause.PLATFORM_SUSPENDED:
            return suspended
        case RefusedBecause.ADDRESS_NOT_ALLOWED:
            return listed
        case _:
            return f"the answer does not tell why. Either {grant}; or {suspended}; or {listed}"
