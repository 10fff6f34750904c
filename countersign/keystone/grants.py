"""Which scopes a client lacks for what it is to do: known at start-up, from the token itself."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from countersign.keystone.calls import SCOPES, WHERE_TO_GRANT, Call
from countersign.keystone.errors import KeystoneError
from countersign.keystone.machine_token import MachineToken
from countersign.keystone.tokens import TokenSource

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingScope:
    """A scope that the token does not carry, and the calls that answer 403 because of it."""

    scope: str
    calls: tuple[str, ...]

    def __str__(self) -> str:
        """Say what is missing, who needs it, and what to do."""
        return (
            f"the scope `{self.scope}` ({SCOPES[self.scope]}) is missing: {self._needed_by()}{WHERE_TO_GRANT}"
        )

    def _needed_by(self) -> str:
        return f"{', '.join(f'`{call}`' for call in self.calls)} will be refused; "


def missing_scopes(token: MachineToken, calls: Iterable[Call]) -> tuple[MissingScope, ...]:
    """Return what the token is known to lack. Where its scopes can't be read, that is nothing."""
    needing: dict[str, list[str]] = {}
    for call in calls:
        if token.lacks(call.scope):
            needing.setdefault(call.scope, []).append(call.name)
    return tuple(MissingScope(scope=scope, calls=tuple(names)) for scope, names in needing.items())


def report_grants(tokens: TokenSource, calls: Iterable[Call]) -> None:
    """Log each scope that is missing, or that no token can be had: what a process does at its start.

    It never raises: a scope that only a decision needs must not keep the process from everything else.
    """
    try:
        token = tokens.token()
    except KeystoneError as error:
        _log.error("no_machine_token_at_start", why=str(error))
        return
    for missing in missing_scopes(token, calls):
        _log.error("scope_missing", scope=missing.scope, calls=list(missing.calls), what=str(missing))


def report_grants_aside(tokens: TokenSource, calls: Iterable[Call]) -> None:
    """Do so in a thread of its own: a start must not wait for the token endpoint."""
    threading.Thread(target=report_grants, args=(tokens, calls), name="keystone-grants", daemon=True).start()
