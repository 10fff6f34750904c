"""Pages: how the platform cuts lists into pieces (keystone-api.md 4.5)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from countersign.keystone.fields import Unusable, whole

LARGEST_PAGE = 200

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list. `unreadable` counts entries that were left out because they can't be used."""

    items: tuple[Item, ...]
    total: int
    limit: int
    offset: int
    unreadable: int = 0

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins, or `None` after the last one."""
        reached = self.offset + len(self.items) + self.unreadable
        return reached if self.offset < reached < self.total else None


def parse_page(body: Any, parse: Callable[[Any], Item], *, limit: int, offset: int) -> Page[Item]:  # noqa: ANN401 - JSON, as it came.
    """Read one page. An entry that can't be used is left out and counted: it must not hide the others.

    Raises:
        Unusable: There is no list of `items`.

    """
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        raise Unusable("a page has no list of `items`")
    items, unreadable = [], 0
    for entry in body["items"]:
        try:
            items.append(parse(entry))
        except Unusable:
            unreadable += 1
    reached = offset + len(body["items"])
    total = whole(body.get("total"))
    return Page(
        items=tuple(items),
        total=reached if total is None else total,
        limit=limit,
        offset=offset,
        unreadable=unreadable,
    )
