"""Wallet endings that force an outcome. They are the sandbox's own; `docs/sandbox.md` lists them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What will happen to a settlement. An outcome of None leaves it to the seed."""

    outcome: str | None = None
    recheck: str | None = None
    silent: bool = False
    deposits: bool = True


ENDINGS: dict[str, Fate] = {
    "a55e": Fate(outcome="pass"),
    "f1a6": Fate(outcome="flag"),
    "fa11": Fate(outcome="fail"),
    "5a5e": Fate(outcome="flag", recheck="same"),
    "d1ff": Fate(outcome="flag", recheck="different"),
    "51e4": Fate(outcome="flag", silent=True),
    "dead": Fate(outcome="stuck"),
    "0d0d": Fate(outcome="pass", deposits=False),
}

_ENDING_LENGTH = 4


def fate_of(wallets: Iterable[str | None]) -> Fate:
    """Return the fate that the first wallet with a magic ending forces."""
    for wallet in wallets:
        fate = ENDINGS.get((wallet or "")[-_ENDING_LENGTH:].lower())
        if fate is not None:
            return fate
    return Fate()


def is_magic(wallet: str) -> bool:
    """Say whether a made-up wallet ends magically by accident; it must then be drawn again."""
    return wallet[-_ENDING_LENGTH:].lower() in ENDINGS
