"""One machine token and what is known of it. Its value leaves it only as a header, or to be sealed."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec


class Hidden(str):
    """A text that does not show itself where variables are shown, as in a traceback that lists them."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show nothing."""
        return "[hidden]"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineToken:
    """A client-credentials token (keystone-api.md 1.1), good for `life` from when it was fetched.

    `expires_at` is by the issuer's clock and only for people: what we count is `life`, which needs no clock.
    `scopes` is `None` where nothing tells them. `problem` says why the token could not be checked, or `None`
    for a token that was.
    """

    value: Hidden = field(repr=False)
    life: timedelta
    expires_at: datetime
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    scopes: frozenset[str] | None = None
    problem: str | None = None

    @property
    def id(self) -> str:
        """What tells this token from another; it can't be turned back into the token."""
        return hashlib.sha256(b"countersign token id" + self.value.encode()).hexdigest()[:16]

    @property
    def is_verified(self) -> bool:
        """Say whether the token was checked against the issuer's keys."""
        return self.problem is None

    def lacks(self, scope: str) -> bool:
        """Say whether the token is known not to have a scope."""
        return self.scopes is not None and scope not in self.scopes

    def authorization(self) -> str:
        """Return the value of the `Authorization` header: the only way out for the token's value."""
        return f"Bearer {self.value}"

    def to_bytes(self) -> bytes:
        """Return everything, the value included: only ever to be sealed."""
        return msgspec.json.encode(
            {
                "value": str(self.value),
                "life_seconds": self.life.total_seconds(),
                "expires_at": self.expires_at.isoformat(),
                "issuer": self.issuer,
                "audience": self.audience,
                "scopes": None if self.scopes is None else sorted(self.scopes),
                "problem": self.problem,
            }
        )

    @classmethod
    def from_bytes(cls, plain: bytes) -> "MachineToken":
        """Read what `to_bytes` wrote."""
        read: dict[str, Any] = msgspec.json.decode(plain)
        return cls(
            value=Hidden(read["value"]),
            life=timedelta(seconds=read["life_seconds"]),
            expires_at=datetime.fromisoformat(read["expires_at"]),
            issuer=read["issuer"],
            audience=tuple(read["audience"]),
            scopes=None if read["scopes"] is None else frozenset(read["scopes"]),
            problem=read["problem"],
        )
