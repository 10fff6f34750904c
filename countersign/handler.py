"""How a compliance duty is written: `@handler` on a function of one case, or on a class that takes settings.

The mark only describes; nothing is registered and nothing runs at import. A handler is found through the
entry-point group `countersign.handlers`, or through `module:name` in the policy file.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from countersign.case import Case
from countersign.votes import Vote

Judge = Callable[[Case], Vote | Awaitable[Vote]]
"""Judges one case. It may raise: `TryLater` to be asked again, anything else becomes an error vote."""

DEFAULT_BUDGET = timedelta(seconds=5)
LONGEST_BUDGET = timedelta(minutes=5)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One compliance duty.

    `version` is written into every vote, so raise it with every change of behaviour. `templates` and `events`
    say which cases it wants to see (empty: all); for any other it is not asked, and not required. `requires`
    names the facts that must be there, else the vote is an error. After `budget` it is stopped and the vote
    is a timeout. `inline` runs it inside the worker, without a process of its own: only for code that can
    neither hang nor crash. Only a built-in handler gets what it asks for here; any other runs in a process of
    its own all the same.

    Raises:
        ValueError: The name, the version or the budget can't be used.

    """

    name: str
    version: str
    make: Callable[[Mapping[str, Any]], Judge]
    events: frozenset[str] = frozenset()
    templates: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()
    required: bool = True
    budget: timedelta = DEFAULT_BUDGET
    inline: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} can't be a handler's name: use small letters, digits and underscores, "
                "a letter first, 64 at most"
            )
        if not self.version:
            raise ValueError(f"handler {self.name!r} has no version: every vote names the one that cast it")
        if not timedelta(0) < self.budget <= LONGEST_BUDGET:
            raise ValueError(f"handler {self.name!r} needs a budget above zero and up to {LONGEST_BUDGET}")

    def __call__(self, case: Case, **settings: Any) -> Vote | Awaitable[Vote]:  # noqa: ANN401 - any setting.
        """Judge one case directly: what a handler's own tests do."""
        return self.make(settings)(case)

    def wants(self, case: Case) -> bool:
        """Say whether this case is of a kind that the handler asked for.

        A template goes by its slug or its id. A settlement that shows neither is of every kind: a duty is not
        skipped because KeyStone left something out.
        """
        names = {case.settlement.template_slug, case.settlement.template_id} - {None}
        return (not self.events or case.event in self.events) and (
            not self.templates or not names or not names.isdisjoint(self.templates)
        )


def handler(  # noqa: PLR0913 - each argument is one line of the handler's description, all by name.
    *,
    name: str,
    version: str,
    events: Collection[str] = frozenset(),
    templates: Collection[str] = frozenset(),
    requires: Collection[str] = frozenset(),
    required: bool = True,
    budget: timedelta = DEFAULT_BUDGET,
    inline: bool = False,
) -> Callable[[Callable[..., Any]], Handler]:
    """Mark a function of a case, or a class whose constructor takes the handler's settings by name.

    Raises:
        TypeError: One string where several are meant; and later, when settings reach a function, or a class
            that does not know them.
        ValueError: The name, the version or the budget can't be used.

    """

    def mark(judge: Callable[..., Any]) -> Handler:
        return Handler(
            name=name,
            version=version,
            make=_maker(name, judge),
            events=_several("events", events),
            templates=_several("templates", templates),
            requires=_several("requires", requires),
            required=required,
            budget=budget,
            inline=inline,
        )

    return mark


def _several(what: str, names: Collection[str]) -> frozenset[str]:
    if isinstance(names, str):  # Python would take a string for the set of its letters.
        raise TypeError(f"`{what}` is one string: write it as a set, {what}={{{names!r}}}")
    return frozenset(names)


def _maker(name: str, judge: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Judge]:
    def make(settings: Mapping[str, Any]) -> Judge:
        if isinstance(judge, type):
            made: Judge = judge(**settings)
            return made
        if settings:
            raise TypeError(
                f"handler {name!r} is a function and takes no settings, but the policy gives it "
                f"{', '.join(sorted(settings))}: write it as a class that takes them by name"
            )
        return judge

    return make
