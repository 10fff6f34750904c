"""The case as a handler gets it: one flag, with all that may be judged, and nothing that can be changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from countersign.facts import Facts
from countersign.settlement import Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One flag on one settlement.

    `event` is the name of the KeyStone event that opened the case, `judged_at` the time that every handler
    of this case shares (a handler that asks for the clock could not be replayed), and `deadline` when
    KeyStone times the settlement out.
    """

    id: str
    environment: str
    event: str
    settlement: Settlement
    judged_at: datetime
    deadline: datetime | None = None
    facts: Facts = field(default_factory=Facts)

    def to_plain(self) -> dict[str, Any]:
        """Return JSON-safe data: this is what crosses into a handler's process."""
        return {
            "id": self.id,
            "environment": self.environment,
            "event": self.event,
            "settlement": self.settlement.to_plain(),
            "judged_at": self.judged_at.isoformat(),
            "deadline": None if self.deadline is None else self.deadline.isoformat(),
            "facts": self.facts.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` wrote."""
        deadline = plain.get("deadline")
        return cls(
            id=plain["id"],
            environment=plain["environment"],
            event=plain["event"],
            settlement=Settlement.from_plain(plain["settlement"]),
            judged_at=datetime.fromisoformat(plain["judged_at"]),
            deadline=None if deadline is None else datetime.fromisoformat(deadline),
            facts=Facts.from_plain(plain.get("facts", {})),
        )
