"""Evidence as it is kept: plain JSON that every ledger can store and every auditor can read."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

MAX_EVIDENCE_BYTES = 64 * 1024
MAX_NOTE_CHARACTERS = 2000
MAX_DEPTH = 20

_EXACT_INTEGER = 2**53 - 1
_LONGEST_NAME = 60


class AnswerInvalid(Exception):
    """An answer can't be used. The message says what is wrong with it, and shows nothing of what is in it."""


def plain_evidence(evidence: object) -> dict[str, Any]:
    """Return evidence as JSON data: decimals, times and integers beyond a double become their exact text.

    Raises:
        AnswerInvalid: Something in it is not JSON, or it is too large or too deep.

    """
    if not isinstance(evidence, Mapping):
        raise AnswerInvalid("the evidence is not a mapping")
    plain: dict[str, Any] = _plain(evidence, MAX_DEPTH)
    size = len(json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_EVIDENCE_BYTES:
        raise AnswerInvalid(f"the evidence has {size} bytes, where {MAX_EVIDENCE_BYTES} are allowed")
    return plain


def plain_note(note: object) -> str:
    """Return a note that can be kept.

    Raises:
        AnswerInvalid: It is not text, or too long.

    """
    if not isinstance(note, str) or len(note) > MAX_NOTE_CHARACTERS:
        raise AnswerInvalid(f"the note is not text of at most {MAX_NOTE_CHARACTERS} characters")
    return _text(note)


def type_name(value: object) -> str:
    """Name the type of a value. A class that was made at run time may have anything for a name: not told."""
    name = type(value).__name__
    return name if name.isidentifier() and len(name) <= _LONGEST_NAME else "class"


def _plain(value: Any, depth: int) -> Any:  # noqa: ANN401 - whatever a handler gives.
    if depth == 0:
        raise AnswerInvalid(f"the evidence is nested more than {MAX_DEPTH} deep")
    match value:
        case Mapping():
            return {_key(key): _plain(inner, depth - 1) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner, depth - 1) for inner in value]
        case Enum():
            return _plain(value.value, depth - 1)
        case None | bool():
            return value
        case str():
            return _text(value)
        case _:
            return _number_or_time(value)


def _number_or_time(value: object) -> int | float | str:
    match value:
        case int():
            # JSON numbers are doubles (RFC 8785): an integer that a double can't hold is kept as its digits.
            return int(value) if abs(value) <= _EXACT_INTEGER else _digits(value)
        case float() if value - value == 0:  # Neither NaN nor infinite.
            return float(value)
        case Decimal():
            return str(value)
        case date():
            return value.isoformat()
        case _:
            raise AnswerInvalid(f"the evidence holds a {type_name(value)}, which is not JSON")


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        raise AnswerInvalid("the evidence holds a whole number with thousands of digits") from None


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise AnswerInvalid(f"the evidence has a {type_name(key)} as a key, where JSON has text")
    return _text(key)


def _text(text: str) -> str:
    # What the ledger can't store would stop the case: PostgreSQL takes no NUL, UTF-8 no lone surrogate.
    if "\0" in text:
        raise AnswerInvalid("the answer has a NUL character in it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise AnswerInvalid("the answer has text in it that is not Unicode") from None
    return str.__str__(text)
