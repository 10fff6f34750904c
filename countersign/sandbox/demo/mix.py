"""Which settlements a run has: some of every kind, in an order and with amounts that the seed fixes."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from countersign.sandbox.demo.comparison import Fate

LIMIT = Decimal(1_000_000)
"""The amount above which the demo's policy wants a person to look."""

DENIED_WALLETS = tuple(f"0x{number:x}{'0ddba11' * 5}{number:04x}" for number in range(1, 4))
"""Made-up wallets that the demo's policy denies."""

TROUBLE: Mapping[str, Any] = {
    # A failed screening waits for a decision here, so that the demo has flags of both kinds.
    "fail_effect": "review",
    # The network of every day: some webhooks come twice, the answer to one decision breaks off after it took
    # effect, and one call finds the platform out of order.
    "webhook_duplicate": {"count": 3, "skip": 5},
    "cut_middle": {"count": 1, "skip": 3, "routes": ["decision"]},
    "server_error": {"count": 1, "skip": 2, "routes": ["settlement"]},
}
"""The sandbox's switches during a run."""

_EXPIRING_SECONDS = 4.0
"""Long enough to be flagged, judged and held first; short enough to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """A kind of settlement: what the sandbox is asked for, and what must become of it.

    `share` is how many of 40 settlements are of this kind.
    """

    name: str
    share: int
    fate: Fate
    wish: Mapping[str, Any]
    denied: bool = False
    over_the_limit: bool = False


KINDS = (
    Kind(name="passes", share=11, fate=Fate.PASSED, wish={"outcome": "pass"}),
    Kind(name="flagged, nothing against it", share=6, fate=Fate.APPROVED, wish={"outcome": "flag"}),
    Kind(name="denied wallet", share=5, fate=Fate.REJECTED, wish={"outcome": "flag"}, denied=True),
    Kind(name="over the limit", share=6, fate=Fate.HELD, wish={"outcome": "flag"}, over_the_limit=True),
    Kind(
        name="expires while held",
        share=3,
        fate=Fate.EXPIRED,
        wish={"outcome": "flag", "timeout_seconds": _EXPIRING_SECONDS},
        over_the_limit=True,
    ),
    Kind(
        name="flagged again, alike", share=3, fate=Fate.APPROVED, wish={"outcome": "flag", "recheck": "same"}
    ),
    Kind(
        name="flagged again, otherwise",
        share=3,
        fate=Fate.APPROVED,
        wish={"outcome": "flag", "recheck": "different"},
    ),
    Kind(name="fails, denied wallet", share=2, fate=Fate.REJECTED, wish={"outcome": "fail"}, denied=True),
    Kind(
        name="both against it",
        share=1,
        fate=Fate.REJECTED,
        wish={"outcome": "flag"},
        denied=True,
        over_the_limit=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One settlement of the run, before it exists."""

    kind: Kind
    wish: Mapping[str, Any]


def mix(total: int, seed: int) -> tuple[Planned, ...]:
    """Plan `total` settlements. The same total and seed give the same plan again."""
    chance = random.Random(seed)  # noqa: S311 - the point is that it repeats.
    kinds = [kind for kind, count in _counts(total).items() for _ in range(count)]
    chance.shuffle(kinds)
    kinds.sort(key=lambda kind: kind.fate is not Fate.EXPIRED)  # What takes longest goes first.
    return tuple(Planned(kind=kind, wish=_wish(kind, chance)) for kind in kinds)


def least(plan: Sequence[Planned]) -> dict[Fate, int]:
    """Say how many settlements must at least end approved, rejected and held: five each, of a full mix."""
    planned = Counter(each.kind.fate for each in plan)
    return {fate: min(5, planned[fate]) for fate in (Fate.APPROVED, Fate.REJECTED, Fate.HELD)}


def _counts(total: int) -> dict[Kind, int]:
    """Share out `total` by the kinds' shares; what rounding leaves over goes to the largest remainders."""
    whole = sum(kind.share for kind in KINDS)
    exact = {kind: Decimal(kind.share * total) / whole for kind in KINDS}
    counts = {kind: int(share) for kind, share in exact.items()}
    by_remainder = sorted(KINDS, key=lambda kind: counts[kind] - exact[kind])
    for kind in by_remainder[: total - sum(counts.values())]:
        counts[kind] += 1
    return counts


def _wish(kind: Kind, chance: random.Random) -> dict[str, Any]:
    amount = chance.randint(2, 9) * LIMIT if kind.over_the_limit else chance.randint(1, 999) * LIMIT / 1000
    wish = {**kind.wish, "quantity": format(amount, "f")}
    return {**wish, "wallet": chance.choice(DENIED_WALLETS)} if kind.denied else wish
