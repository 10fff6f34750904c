"""Which scopes a client lacks for what it is to do: known at start-up, from the token itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from countersign.keystone.calls import SCOPES, Call
from countersign.keystone.machine_token import MachineToken

WHERE_TO_GRANT = "grant it to this machine client in the KeyStone dashboard, in the environment's settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingScope:
    """A scope that the token does not carry, and the calls that will answer 403 because of it."""

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
