"""The switchboard: holds the switches as they are now and draws, call by call, whether a fault happens."""

from collections import Counter
from collections.abc import Mapping

from countersign.sandbox.dice import Dice
from countersign.sandbox.switches import Fault, Switches, with_changes

IDENTITY_ROUTES = frozenset({"token", "jwks", "discovery"})
"""Routes outside the API: a fault reaches them only if it names them."""


class Switchboard:
    """The switches at this moment, and how often each fault has been asked for and has happened."""

    def __init__(self, at_start: Switches, dice: Dice) -> None:
        self._at_start = at_start
        self._dice = dice
        self._streams = {name: dice.stream("fault", name) for name in Switches.__struct_fields__}
        self._asked: Counter[str] = Counter()
        self._happened: Counter[str] = Counter()
        self.now = at_start

    def put(self, given: Mapping[str, object]) -> None:
        """Set some switches; their counts begin again.

        Raises:
            SwitchUnknown: Nothing was changed, because a name or a value can't be used.

        """
        self.now = with_changes(self.now, given)
        for name in given:
            self._begin_again(name)

    def reset(self, name: str | None = None) -> None:
        """Set one switch, or all, to what it was at start."""
        names = Switches.__struct_fields__ if name is None else (name,)
        self.put({each: getattr(self._at_start, each) for each in names})

    def draw(self, name: str, *, route: str | None = None, event: str | None = None) -> Fault | None:
        """Say whether the fault `name` happens to this call or webhook now, and count that it did."""
        fault: Fault | None = getattr(self.now, name)
        if fault is None or not _concerns(fault, route, event):
            return None
        self._asked[name] += 1
        if self._asked[name] <= fault.skip or self._happened[name] == fault.count:
            return None
        if fault.probability < 1 and self._streams[name].random() >= fault.probability:
            return None
        self._happened[name] += 1
        return fault

    def _begin_again(self, name: str) -> None:
        self._asked[name] = self._happened[name] = 0
        self._streams[name] = self._dice.stream("fault", name)


def _concerns(fault: Fault, route: str | None, event: str | None) -> bool:
    if route is not None:
        return route in fault.routes if fault.routes else route not in IDENTITY_ROUTES
    return not fault.events or event in fault.events
