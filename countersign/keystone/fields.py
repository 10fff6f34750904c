"""Reading single JSON values of the platform: lenient where one may be missing, exact where it counts."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

_MOST_DIGITS = 200
"""No quantity has more, zeros included; `1E+999999` would fill the memory when it is written out."""


class Unusable(ValueError):
    """An answer lacks what we can't do without. The message names the field, never a value."""


def text(value: Any) -> str | None:  # noqa: ANN401 - any JSON value.
    """Return a non-empty string; a whole number as its digits (`chain_id` comes as both); else `None`.

    NUL is replaced, because PostgreSQL stores it in no text.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).replace("\x00", "\ufffd") or None


def whole(value: Any) -> int | None:  # noqa: ANN401 - any JSON value.
    """Return a whole number, also from its digits; else `None`."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < _MOST_DIGITS
    return int(value) if digits else None


def exact(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON value.
    """Return a finite decimal from a string or a number, without any rounding; else `None`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        # A float's shortest text is what stood in the JSON; our own client never makes floats of numbers.
        number = Decimal(str(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and _is_sane(number) else None


def _is_sane(number: Decimal) -> bool:
    _, digits, exponent = number.as_tuple()
    return len(digits) + abs(int(exponent)) <= _MOST_DIGITS


def moment(value: Any) -> datetime | None:  # noqa: ANN401 - any JSON value.
    """Return a time as UTC; one without a zone is taken as UTC; what can't be read is `None`."""
    if not isinstance(value, str):
        return None
    with contextlib.suppress(ValueError, OverflowError):
        read = datetime.fromisoformat(value)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    return None


def objects(value: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 - any JSON value.
    """Return the objects in a list, and nothing for what is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
