"""A settlement as a handler sees it: plain, immutable, without any secret.

Field names follow the platform (`keystone-api.md` 3.2). Every field that KeyStone may leave out or set to
null is optional here too: a missing name is a fact that a handler must be able to see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

_MOST_DIGITS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One side of a settlement. `name` and the wallets are personal data: never log them."""

    id: str
    role: str
    status: str | None = None
    external_reference: str | None = None
    name: str | None = None
    wallet_address: str | None = None
    wallet_address_hint: str | None = None
    chain_id: str | None = None
    asset_provider: str | None = None
    counterparty_reference: str | None = None

    def __repr__(self) -> str:
        """Leave out what must never reach a log or a traceback."""
        return f"Party(id={self.id!r}, role={self.role!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One movement of an asset or of money. `quantity` is exact."""

    id: str
    leg_type: str
    instrument_id: str
    quantity: Decimal
    direction: str
    party_role: str
    chain_id: str | None = None
    token_standard: str | None = None
    status: str | None = None
    external_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What KeyStone showed at one moment. `state` is an open string: templates define their own."""

    id: str
    state: str
    settlement_type: str | None = None
    platform_id: str | None = None
    environment_id: str | None = None
    template_id: str | None = None
    template_slug: str | None = None
    template_version: int | None = None
    external_reference: str | None = None
    settlement_category: str | None = None
    parent_settlement_id: str | None = None
    timeout_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    parties: tuple[Party, ...] = field(default=())
    legs: tuple[Leg, ...] = field(default=())

    @property
    def template(self) -> str | None:
        """The name that settings use for this settlement's template: its slug, or else its id."""
        return self.template_slug or self.template_id

    def to_plain(self) -> dict[str, Any]:
        """Return JSON-safe data: decimals and times as strings. `from_plain` reads it back unchanged."""
        return _plain(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` wrote. Unknown keys are ignored, so that an old snapshot stays readable."""
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in plain.items() if name in known}
        for name in ("timeout_at", "created_at", "updated_at"):
            if values.get(name) is not None:
                values[name] = datetime.fromisoformat(values[name])
        values["parties"] = tuple(Party(**_known(Party, party)) for party in plain.get("parties", ()))
        values["legs"] = tuple(
            Leg(**{**_known(Leg, leg), "quantity": Decimal(leg["quantity"])}) for leg in plain.get("legs", ())
        )
        return cls(**values)


def _known(kind: type[Party | Leg], plain: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    return {name: value for name, value in plain.items() if name in names}


def _plain(value: Settlement | Party | Leg) -> dict[str, Any]:
    return {f.name: _plain_value(getattr(value, f.name)) for f in fields(value)}


def _plain_value(value: Any) -> Any:  # noqa: ANN401 - any field of the three classes above.
    match value:
        case Decimal():
            return _written(value)
        case datetime():
            return value.isoformat()
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _written(value: Decimal) -> str:
    # Written out digit by digit, `1E+999999999` would fill the memory: past any real size it keeps its form.
    extreme = value.is_finite() and abs(value.adjusted()) > _MOST_DIGITS
    return str(value) if extreme else format(value, "f")
