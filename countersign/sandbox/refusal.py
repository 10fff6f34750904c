"""How the API says no, and how it reads what it is given (keystone-api.md 4.1, 4.2, 4.5)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")
Kind = TypeVar("Kind")

_PLACE = re.compile(r" - at `\$\.?(?P<path>.*)`$")


class Refused(Exception):
    """A call is answered with an error. `detail` is a text, or for 422 a list of what is wrong where."""

    def __init__(
        self, status: int, detail: str | list[dict[str, Any]], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def invalid(where: Sequence[str | int], message: str, kind: str = "value_error") -> Refused:
    """Make the 422 that names one place, such as `("body", "url")`."""
    return Refused(422, [{"loc": list(where), "msg": message, "type": kind}])


def read(body: bytes, kind: type[Kind]) -> Kind:
    """Read a JSON body as `kind`.

    Raises:
        Refused: 400 for broken JSON or a missing field, 422 for a value that does not fit the schema.

    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        text = str(error)
        if "missing required field" in text:
            raise Refused(400, text) from None
        place = _PLACE.search(text)
        path = re.split(r"[.\[\]]+", place["path"].rstrip("]")) if place else []
        where = ["body", *(int(part) if part.isdigit() else part for part in path if part)]
        raise invalid(where, _PLACE.sub("", text), "type_error") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "Malformed JSON") from None


class Page(NamedTuple):
    """Which part of a list is asked for."""

    limit: int
    offset: int


def page_of(query: Mapping[str, Any], *, most: int = 200) -> Page:
    """Read `limit` (1 to `most`, 50 where absent) and `offset` from a query.

    Raises:
        Refused: 422 for anything else.

    """
    return Page(_whole(query, "limit", min(50, most), 1, most), _whole(query, "offset", 0, 0, 2**53))


def _whole(query: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        raise invalid(("query", name), "Input should be a valid integer", "int_parsing") from None
    if not least <= number <= most:
        raise invalid(("query", name), f"Input should be between {least} and {most}", "range_error")
    return number


def paged(items: Sequence[T], page: Page, shown: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """Return one page of `items` in the documented envelope."""
    part = items[page.offset : page.offset + page.limit]
    return {
        "items": [shown(item) for item in part],
        "total": len(items),
        "limit": page.limit,
        "offset": page.offset,
    }
