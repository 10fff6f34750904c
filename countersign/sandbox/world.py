"""All parts of one sandbox, put together in the only order that works."""

from dataclasses import dataclass

from countersign.sandbox.announcements import Announcer
from countersign.sandbox.clock import Clock
from countersign.sandbox.counts import Counts
from countersign.sandbox.decisions import Decisions
from countersign.sandbox.dice import Dice
from countersign.sandbox.faults import Switchboard
from countersign.sandbox.identity import Issuer
from countersign.sandbox.lifecycle import Lifecycle
from countersign.sandbox.limits import RateLimit
from countersign.sandbox.making import Maker
from countersign.sandbox.options import Options
from countersign.sandbox.sender import Sender
from countersign.sandbox.settlements import Book
from countersign.sandbox.templates import Templates
from countersign.sandbox.tenants import Tenants
from countersign.sandbox.webhooks import Endpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the HTTP calls work on."""

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


def new_world(options: Options) -> World:
    """Make a sandbox's parts. Nothing runs yet; timers and webhooks start with the first settlement."""
    dice = Dice(options.seed)
    board = Switchboard(options.switches, dice)
    clock = Clock(lambda: board.now.clock_skew_seconds)
    tenants = Tenants(options, dice, clock)
    templates = Templates(dice, clock)
    endpoints = Endpoints(options, dice, clock)
    sender = Sender(options, endpoints, board, clock, dice)
    lifecycle = Lifecycle(options, Announcer(sender, board, clock), board, clock)
    return World(
        options=options,
        board=board,
        clock=clock,
        tenants=tenants,
        issuer=Issuer(options, tenants, board, clock, dice),
        limit=RateLimit(options.rate_limit, options.rate_window_seconds, clock),
        templates=templates,
        book=Book(),
        maker=Maker(options, dice, clock, board, templates, tenants),
        lifecycle=lifecycle,
        decisions=Decisions(lifecycle, board),
        endpoints=endpoints,
        sender=sender,
        counts=Counts(),
    )
