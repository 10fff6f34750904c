"""Canonical JSON (RFC 8785): one text for one value, so that its hash means something."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import rfc8785

_EXACT_INTEGER = 2**53 - 1


def canonical(value: Any) -> str:  # noqa: ANN401 - any JSON value.
    """Return the canonical JSON text of plain data; decimals and times become strings."""
    return rfc8785.dumps(_jsonable(value)).decode()


def sha256_of(text: str | bytes) -> str:
    """Return the SHA-256 of a text (as UTF-8) or of bytes, in lower-case hex."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def _jsonable(value: Any) -> Any:  # noqa: ANN401 - likewise.
    match value:
        case Mapping():
            return {str(key): _jsonable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_jsonable(inner) for inner in value]
        case datetime():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case bool() | None | str() | float():
            return value
        case int():
            # RFC 8785 numbers are doubles: an integer that a double can't hold is kept as its digits.
            return value if abs(value) <= _EXACT_INTEGER else str(value)
        case _:
            raise TypeError(f"a {type(value).__name__} is not plain data and can't be kept as evidence")
