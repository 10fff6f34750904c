"""Chance that repeats: every made-up thing draws from a stream named after it, all from one seed."""

import random
from uuid import UUID


class Dice:
    """Gives out random streams. The same seed and the same name always give the same stream.

    One stream a subject keeps runs equal even where calls arrive in another order.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, *names: object) -> random.Random:
        """Return a new stream for this name, from its beginning."""
        return random.Random("/".join(map(str, (self.seed, *names))))  # noqa: S311 - made up, and meant to repeat.


def new_id(stream: random.Random) -> str:
    """Draw a UUID (version 4) from the stream."""
    return str(UUID(int=stream.getrandbits(128), version=4))


def hex_of(stream: random.Random, length: int) -> str:
    """Draw `length` hexadecimal digits."""
    return f"{stream.getrandbits(length * 4):0{length}x}"
