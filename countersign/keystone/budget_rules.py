"""The rules of the rate budget, in whole numbers; `workers/budget.lua` says the same inside Redis.

A window follows the platform's own, as its headers tell. In it we take at most `allow` calls: our share of
the limit, or less where others are seen to draw. Of these, fetches leave what decisions are expected to need,
and sweeps leave some for fetches too; both reserves melt in the second half of the window, down to a last few
that are kept for decisions. Whatever that count says, no call is made that the platform's own `Remaining`,
less what is under way, would not bear. A holder that dies costs its one call, until the window ends.

Each window begins with a few probes, until an answer has told where it stands: a window that began a second
too early would otherwise be a burst into the end of the last one.
"""

from dataclasses import dataclass
from datetime import timedelta

from countersign.keystone.budget import Permit, Priority, Wait
from countersign.keystone.rate import RateSeen

DEFAULT_LIMIT = 600
"""Requests a window until an answer has told (keystone-api.md 4.3)."""

WINDOW_MS = 60_000
PROBES = 8
PROBE_MS = 5_000
"""How long probes are waited for, should their holders die."""

TOLERANCE_MS = 2_000
"""Two ends of a window that lie closer than this are the same end: the headers carry whole seconds."""

THOUSANDTHS = 1_000
FIRST_MIX, LEAST_MIX, MOST_MIX = 333, 150, 500
"""Which part of our calls are decisions, in thousandths: at first, and within which bounds it is learned."""

SHARE = 0.8
NOT_TOLD = -1


@dataclass(slots=True, kw_only=True)
class Book:
    """What is known of one environment's limit. Times are milliseconds of the store's clock."""

    limit: int = DEFAULT_LIMIT
    told: int = 0
    learned: int = 0
    others: int = 0
    mix: int = FIRST_MIX
    blocked_until: int = 0
    window: int = 0
    began_at: int = 0
    ends_at: int = 0
    synced_end: int = 0
    used: int = 0
    decided: int = 0
    in_flight: int = 0
    lowest: int = NOT_TOLD


def take(book: Book, priority: Priority, *, now: int, share: int) -> Permit | Wait:
    """Take the right to make one call. `share` is in thousandths."""
    _roll(book, now)
    window_left = book.ends_at - now
    if now < book.blocked_until:
        return _wait(book.blocked_until - now, book.blocked_until - now)
    unsure = not book.learned or (book.told and not book.synced_end)
    if unsure and book.in_flight >= PROBES and now - book.began_at < PROBE_MS:
        return _wait(30, min(window_left, THOUSANDTHS))
    allow, headroom = _allowed(book, priority, now=now, share=share)
    counted = book.used + 1 <= allow - headroom
    if counted and _borne(book, priority, headroom):
        book.used += 1
        book.in_flight += 1
        book.decided += priority == Priority.DECISION
        return Permit(book.window)
    if counted and book.in_flight > 0:
        return _wait(min(window_left, 100), window_left)
    reserved = book.used + 1 <= allow and headroom > 0
    return _wait(min(window_left, 500) if reserved else window_left, window_left)


def observe(book: Book, window: int, seen: RateSeen, *, now: int) -> None:
    """Enter what the answer to one call told."""
    _roll(book, now)
    current = window == book.window
    if current and book.in_flight > 0:
        book.in_flight -= 1
    book.learned = 1
    if seen.limit is not None:
        book.limit, book.told = seen.limit, 1
    if seen.ends_in is not None and seen.remaining is not None:
        _follow(book, now + _milliseconds(seen.ends_in), seen.remaining, current=current, now=now)
    elif seen.remaining is not None and current:
        book.lowest = _lower(book.lowest, seen.remaining)
    if seen.throttled is not None:
        book.blocked_until = max(book.blocked_until, now + _milliseconds(seen.throttled))
        book.lowest = 0
        if seen.ends_in is None:
            book.ends_at = min(book.ends_at, book.blocked_until)


def _roll(book: Book, now: int) -> None:
    if now < book.ends_at:
        return
    if book.window > 0:
        drawn = max(0, book.limit - book.lowest - book.used) if book.lowest != NOT_TOLD else 0
        book.others = max(drawn, book.others * 7 // 10)
        if book.used >= 10:  # noqa: PLR2004 - fewer calls say nothing of the mix.
            mix = max(book.decided * THOUSANDTHS // book.used, book.mix * 8 // 10)
            book.mix = min(max(mix, LEAST_MIX), MOST_MIX)
    book.window += 1
    book.began_at, book.ends_at, book.synced_end = now, now + WINDOW_MS, 0
    book.used = book.decided = book.in_flight = 0
    book.lowest = NOT_TOLD


def _follow(book: Book, end: int, remaining: int, *, current: bool, now: int) -> None:
    if book.synced_end == 0:
        book.synced_end = book.ends_at = end
        book.lowest = remaining
    elif end > book.ends_at + TOLERANCE_MS and remaining > book.lowest:
        # The platform's window turned over before ours: this call is the first that we know of in it.
        counted = book.in_flight + 1
        book.ends_at = now
        _roll(book, now)
        book.synced_end = book.ends_at = end
        book.used, book.lowest = counted, remaining
    elif current or abs(end - book.ends_at) <= TOLERANCE_MS:
        # Rather late than early: an end that is too early is a burst into an old window.
        latest = max(book.ends_at, min(end, book.synced_end + THOUSANDTHS))
        book.ends_at = end if end < book.ends_at - TOLERANCE_MS else latest
        book.lowest = _lower(book.lowest, remaining)


def _allowed(book: Book, priority: Priority, *, now: int, share: int) -> tuple[int, int]:
    """Return how many calls this window may see of ours, and how many of them this priority must leave."""
    ours = book.limit * share // THOUSANDTHS
    drawn = max(0, book.limit - book.lowest - book.used) if book.lowest != NOT_TOLD else 0
    others = max(book.others * 11 // 10, drawn)
    allow = ours if others == 0 else min(ours, book.limit - others - book.limit * 2 // 100)
    allow = max(allow, ours // 10, 1)
    melting = min(THOUSANDTHS, max(0, book.ends_at - now) * 2 * THOUSANDTHS // WINDOW_MS)
    expected = allow * book.mix // THOUSANDTHS
    decisions = max(allow * 3 // 100, max(0, expected - book.decided) * melting // THOUSANDTHS)
    fetches = (allow - expected) // 2 * melting // THOUSANDTHS
    return allow, (0, decisions, decisions + fetches)[priority]


def _borne(book: Book, priority: Priority, headroom: int) -> bool:
    if book.lowest == NOT_TOLD:
        return True
    guard = max(1, book.limit * (1 if priority == Priority.DECISION else 3) // 100)
    return book.lowest - book.in_flight - 1 >= guard + headroom


def _lower(lowest: int, remaining: int) -> int:
    return remaining if lowest == NOT_TOLD else min(lowest, remaining)


def _wait(recheck_ms: int, until_ms: int) -> Wait:
    return Wait(
        recheck=timedelta(milliseconds=max(recheck_ms, 10)), until=timedelta(milliseconds=max(until_ms, 10))
    )


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
