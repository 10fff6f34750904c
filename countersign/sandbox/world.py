"""All parts of one sandbox, put together in the only order that works, and anew when it is reset."""

from collections.abc import Mapping

from countersign.sandbox.announcements import Announcer
from countersign.sandbox.clock import Clock
from countersign.sandbox.counts import Counts
from countersign.sandbox.decisions import Decisions
from countersign.sandbox.dice import Dice
from countersign.sandbox.faults import Switchboard
from countersign.sandbox.identity import Issuer, SigningKey
from countersign.sandbox.lifecycle import Lifecycle
from countersign.sandbox.limits import RateLimit
from countersign.sandbox.making import Maker
from countersign.sandbox.options import Options
from countersign.sandbox.sender import Sender
from countersign.sandbox.settlements import Book
from countersign.sandbox.templates import Templates
from countersign.sandbox.tenants import Tenants
from countersign.sandbox.webhooks import Endpoints


class World:
    """What the HTTP calls work on. Nothing runs until the first settlement starts its timers."""

    options: Options
    board: Switchboard
    clock: Clock
    tenants: Tenants
    issuer: Issuer
    limit: RateLimit
    templates: Templates
    book: Book
    maker: Maker
    lifecycle: Lifecycle
    decisions: Decisions
    endpoints: Endpoints
    sender: Sender
    counts: Counts

    def __init__(self, options: Options) -> None:
        self._at_start = options
        self._begin(options, SigningKey.new())

    async def reset(self, changes: Mapping[str, object]) -> None:
        """Stop and forget everything, and begin again with the options of the start, some of them changed.

        Raises:
            Refused: 422, and nothing has happened, because the changes can't be used.

        """
        options = self._at_start.changed(changes)
        await self.close()
        self._begin(options, self.issuer.key)

    async def close(self) -> None:
        """Stop everything that happens by itself."""
        for settlement in self.book.all.values():
            settlement.stop()
        await self.sender.close()

    def _begin(self, options: Options, key: SigningKey) -> None:
        dice = Dice(options.seed)
        board = Switchboard(options.switches, dice)
        clock = Clock(lambda: board.now.clock_skew_seconds)
        self.options, self.board, self.clock = options, board, clock
        self.tenants = Tenants(options, dice, clock)
        self.issuer = Issuer(options, self.tenants, board, clock, dice, key)
        self.limit = RateLimit(options.rate_limit, options.rate_window_seconds, clock)
        self.templates = Templates(dice, clock)
        self.book = Book()
        self.maker = Maker(options, dice, clock, board, self.templates, self.tenants)
        self.endpoints = Endpoints(options, dice, clock)
        self.sender = Sender(options, self.endpoints, board, clock, dice)
        self.lifecycle = Lifecycle(options, Announcer(self.sender, board, clock), board, clock)
        self.decisions = Decisions(self.lifecycle, board)
        self.counts = Counts()
