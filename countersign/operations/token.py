"""What there is to know of the fleet's machine token, without the token."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from countersign.keystone.calls import SCOPES, WEBHOOK_CALLS, WORKER_CALLS
from countersign.keystone.grants import MissingScope, missing_scopes
from countersign.keystone.machine_token import MachineToken
from countersign.keystone.tokens import renewal_window
from workers.token_cache import Keeping


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeSheet:
    """One scope: what it is for, whether the token has it (`None`: nothing tells), which calls need it."""

    name: str
    purpose: str
    granted: bool | None
    needed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSheet:
    """Everything about the token that a person asks for. Times are by the issuer's clock."""

    issuer: str | None
    audience: tuple[str, ...]
    problem: str | None
    scopes: tuple[ScopeSheet, ...]
    missing: tuple[MissingScope, ...]
    expires_at: datetime
    renewed_from: datetime
    renewed_until: datetime
    kept_in: str
    fetched_by: str | None
    fetching_by: str | None

    def to_plain(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {
            "issuer": self.issuer,
            "audience": list(self.audience),
            "verified": self.problem is None,
            "problem": self.problem,
            "scopes": [
                {
                    "scope": scope.name,
                    "for": scope.purpose,
                    "granted": scope.granted,
                    "needed_by": list(scope.needed_by),
                }
                for scope in self.scopes
            ],
            "missing": [{"scope": each.scope, "what_to_do": str(each)} for each in self.missing],
            "expires_at": self.expires_at.isoformat(),
            "renewal": {"from": self.renewed_from.isoformat(), "until": self.renewed_until.isoformat()},
            "kept_in": self.kept_in,
            "fetched_by": self.fetched_by,
            "fetching_by": self.fetching_by,
        }


def token_sheet(token: MachineToken, keeping: Keeping, server: Mapping[str, Any]) -> TokenSheet:
    """Write down what is known of a token that is kept on `server` (a connection's own settings)."""
    first, last = renewal_window(token.life)
    return TokenSheet(
        issuer=token.issuer,
        audience=token.audience,
        problem=token.problem,
        scopes=tuple(_scope(name, token) for name in _all_scopes(token)),
        missing=missing_scopes(token, (*WORKER_CALLS, *WEBHOOK_CALLS)),
        expires_at=token.expires_at,
        renewed_from=token.expires_at - first,
        renewed_until=token.expires_at - last,
        kept_in=f"{_place(server)}, key {keeping.key}, sealed",
        fetched_by=keeping.fetched_by,
        fetching_by=keeping.fetching_by,
    )


def _all_scopes(token: MachineToken) -> tuple[str, ...]:
    needed = [call.scope for call in (*WORKER_CALLS, *WEBHOOK_CALLS)]
    return tuple(dict.fromkeys([*needed, *sorted(token.scopes or ())]))


def _scope(name: str, token: MachineToken) -> ScopeSheet:
    return ScopeSheet(
        name=name,
        purpose=SCOPES.get(name, "not documented"),
        granted=None if token.scopes is None else name in token.scopes,
        needed_by=tuple(call.name for call in (*WORKER_CALLS, *WEBHOOK_CALLS) if call.scope == name),
    )


def _place(server: Mapping[str, Any]) -> str:
    where = server.get("path") or f"{server.get('host')}:{server.get('port')}"
    return f"Redis at {where}, database {server.get('db', 0)}"
