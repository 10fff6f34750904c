"""Facts: what a case is judged on beyond the settlement, each with where it came from and when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact. `value` is plain data; `source` names the enricher or system; `at` is when it was true."""

    value: Any = field(repr=False)  # It may be personal data, and a traceback shows what is inside an object.
    source: str
    at: datetime

    def to_plain(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {"value": self.value, "source": self.source, "at": self.at.isoformat()}


class Facts(Mapping[str, Fact]):
    """The facts of one case by name. Reading one that is missing raises `KeyError`: it is never a default."""

    def __init__(self, facts: Mapping[str, Fact] | None = None) -> None:
        self._facts = dict(facts or {})

    def __getitem__(self, name: str) -> Fact:
        return self._facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def __repr__(self) -> str:
        """Name the facts, and never show what they say."""
        return f"Facts({', '.join(sorted(self._facts))})"

    def to_plain(self) -> dict[str, Any]:
        """Return JSON-safe data, in order of name."""
        return {name: self._facts[name].to_plain() for name in sorted(self._facts)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Facts":
        """Read what `to_plain` wrote."""
        return cls(
            {
                name: Fact(value=fact["value"], source=fact["source"], at=datetime.fromisoformat(fact["at"]))
                for name, fact in plain.items()
            }
        )
