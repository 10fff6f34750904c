"""`limits`: no leg of a settlement may be larger than what its instrument allows.

Amounts are exact decimals. What has no limit here has not been thought about: a person looks at it.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from countersign import Case, Handler, Leg, Reason, Vote, approve, escalate, handler, reject

_ON_EXCEEDED = {"escalate": escalate, "reject": reject}


class Limits:
    """Compares each leg's quantity with the maximum of its instrument.

    `instruments` maps an instrument's id to the largest quantity of one leg, `default` is for all others;
    without it an unknown instrument is escalated. `on_exceeded` is `escalate` or `reject`. Quantities are
    written as text or whole numbers: a floating-point number is not exact.

    Raises:
        ValueError: A setting is wrong; every problem is in the one message.

    """

    def __init__(
        self,
        instruments: Any = None,  # noqa: ANN401 - whatever the policy file says; it is checked below.
        default: Any = None,  # noqa: ANN401 - the same.
        on_exceeded: str = "escalate",
    ) -> None:
        problems: list[str] = []
        if on_exceeded not in _ON_EXCEEDED:
            problems.append(f"on_exceeded must be one of: {', '.join(_ON_EXCEEDED)}")
        if instruments is not None and not isinstance(instruments, Mapping):
            problems.append("instruments must be a table of instrument = maximum")
            instruments = None
        self._default = None if default is None else _limit("default", default, problems)
        self._limits = {
            name: _limit(f"instruments.{name}", most, problems) for name, most in (instruments or {}).items()
        }
        if problems:
            raise ValueError("; ".join(problems))
        self._exceeded = _ON_EXCEEDED[on_exceeded]

    def __call__(self, case: Case) -> Vote:
        """Vote on the legs of one settlement; a leg over its limit weighs more than an unknown one."""
        legs = case.settlement.legs
        if not legs:
            return escalate(Reason.LIMIT_UNKNOWN_UNIT, "the settlement shows no legs")
        if over := [leg for leg in legs if self._is_over(leg)]:
            return self._exceeded(
                Reason.LIMIT_EXCEEDED, "over the limit", legs=[self._told(leg) for leg in over]
            )
        if unknown := [leg for leg in legs if not self._is_within(leg)]:
            return escalate(
                Reason.LIMIT_UNKNOWN_UNIT,
                "no limit is set for an instrument, or its quantity can't be read",
                legs=[self._told(leg) for leg in unknown],
            )
        return approve(legs=[self._told(leg) for leg in legs])

    def _limit_of(self, leg: Leg) -> Decimal | None:
        return self._limits.get(leg.instrument_id, self._default)

    def _is_over(self, leg: Leg) -> bool:
        limit = self._limit_of(leg)
        return limit is not None and not leg.quantity.is_nan() and leg.quantity > limit

    def _is_within(self, leg: Leg) -> bool:
        limit = self._limit_of(leg)
        return limit is not None and not leg.quantity.is_nan() and 0 <= leg.quantity <= limit

    def _told(self, leg: Leg) -> dict[str, str | None]:
        limit = self._limit_of(leg)
        return {
            "leg": leg.id,
            "instrument": leg.instrument_id,
            "quantity": str(leg.quantity),
            "limit": None if limit is None else str(limit),
        }


limits: Handler = handler(name="limits", version="1", inline=True)(Limits)


def _limit(name: str, value: Any, problems: list[str]) -> Decimal:  # noqa: ANN401 - whatever the file says.
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            limit = Decimal(value)
        except InvalidOperation:
            limit = Decimal("NaN")
        if limit.is_finite() and limit >= 0:
            return limit
    problems.append(f'{name} must be a quantity of zero or more as text, such as "1000000.50"')
    return Decimal(0)
