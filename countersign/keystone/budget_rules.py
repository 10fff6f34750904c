"""The rules of the rate budget, in whole numbers; `workers/budget.lua` says the same inside Redis.

A window follows the platform's own, as its headers tell. In it we take at most `allow` calls: our share of
the limit, or less where others are seen to draw. Of these, fetches leave what decisions are expected to need,
and sweeps leave some for fetches too; both reserves melt in the second half of the window, down to a last few
that are kept for decisions. Whatever that count says, no call is made that the platform's own `Remaining`,
less what is under way, would not bear. A holder that dies costs its one call, until the window ends.

Where others are seen to draw, fetches and sweeps are spread over the window, so that we go on seeing it.

Each window begins with a few probes, until an answer has told where it stands: a window that began a second
too early would otherwise be a burst into the end of the last one. Beside others, one probe also comes first
after a while without any call.
"""

import math
from dataclasses import dataclass
from datetime import timedelta

from countersign.keystone.budget import Permit, Priority, Wait
from countersign.keystone.rate import RateSeen

DEFAULT_LIMIT = 600
"""Requests a window until an answer has told (keystone-api.md 4.3)."""

WINDOW_MS = 60_000
PROBES = 8
PROBE_MS = 5_000
"""How long a probe is waited for, should its holder have died."""

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
    seen_at: int = 0
    taken_at: int = 0


def take(book: Book, priority: Priority, *, now: int, share: int) -> Permit | Wait:
    """Take the right to make one call. `share` is in thousandths."""
    _roll(book, now)
    window_left = book.ends_at - now
    if now < book.blocked_until:
        return _wait(book.blocked_until - now, book.blocked_until - now)
    if book.in_flight >= _most_in_flight(book, now) and now - book.taken_at < PROBE_MS:
        return _wait(30, min(window_left, THOUSANDTHS))
    part = _part(book, priority, now=now, share=share)
    counted = book.used < part.now
    if counted and _borne(book, priority, part.reserve):
        book.used += 1
        book.in_flight += 1
        book.decided += priority == Priority.DECISION
        book.taken_at = now
        return Permit(book.window)
    if counted and book.in_flight > 0:
        return _wait(min(window_left, 100), window_left)
    return _wait(min(window_left, 500) if part.now < part.most else window_left, window_left)


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
        book.lowest, book.seen_at = _lower(book.lowest, seen.remaining), now
    if seen.throttled is not None:
        book.blocked_until = max(book.blocked_until, now + _milliseconds(seen.throttled))
        if seen.ends_in is None:
            book.ends_at = min(book.ends_at, book.blocked_until)


def _roll(book: Book, now: int) -> None:
    if now < book.ends_at:
        return
    if book.window > 0:
        drawn = _drawn(book)
        if 0 <= book.lowest <= book.limit * 5 // 100:
            # Next to nothing was left, so the others may have wanted more than they got.
            drawn = drawn * 3 // 2
        # One burst of theirs must not silence us for minutes: half of the limit is the most that we leave.
        book.others = min(max(drawn, book.others * 7 // 10), book.limit // 2)
        if book.used >= 10:  # noqa: PLR2004 - fewer calls say nothing of the mix.
            mix = max(book.decided * THOUSANDTHS // book.used, book.mix * 8 // 10)
            book.mix = min(max(mix, LEAST_MIX), MOST_MIX)
    book.window += 1
    book.began_at, book.ends_at, book.synced_end = now, now + WINDOW_MS, 0
    book.used = book.decided = book.in_flight = 0
    book.lowest = NOT_TOLD


def _most_in_flight(book: Book, now: int) -> float:
    if not book.learned or (book.told and not book.synced_end):
        return PROBES
    # What was seen a while ago, others may have used up since.
    stale = now - book.seen_at > THOUSANDTHS and (book.others > 0 or _drawn(book) > 0)
    return 1 if stale else math.inf


def _follow(book: Book, end: int, remaining: int, *, current: bool, now: int) -> None:
    if book.synced_end == 0:
        book.synced_end = book.ends_at = end
        book.lowest, book.seen_at = remaining, now
    elif end > book.ends_at + TOLERANCE_MS and remaining > book.lowest:
        # The platform's window turned over before ours: this call is the first that we know of in it.
        counted = book.in_flight + 1
        book.ends_at = now
        _roll(book, now)
        book.synced_end = book.ends_at = end
        book.used, book.lowest, book.seen_at = counted, remaining, now
    elif current or abs(end - book.ends_at) <= TOLERANCE_MS:
        # Rather late than early: an end that is too early is a burst into an old window.
        latest = max(book.ends_at, min(end, book.synced_end + THOUSANDTHS))
        book.ends_at = end if end < book.ends_at - TOLERANCE_MS else latest
        book.lowest, book.seen_at = _lower(book.lowest, remaining), now


@dataclass(frozen=True, slots=True)
class _Part:
    """Up to how many calls of ours one priority may add to now; up to how many at most; what it leaves."""

    now: int
    most: int
    reserve: int


def _part(book: Book, priority: Priority, *, now: int, share: int) -> _Part:
    ours = book.limit * share // THOUSANDTHS
    others = max(book.others * 11 // 10, _drawn(book))
    allow = ours if others == 0 else min(ours, book.limit - others - book.limit * 4 // 100)
    allow = max(allow, ours // 10, 1)
    if priority == Priority.DECISION:
        return _Part(allow, allow, 0)
    length = max(1, book.ends_at - book.began_at)
    left = max(0, book.ends_at - now)
    melting = min(THOUSANDTHS, left * 2 * THOUSANDTHS // length)
    expected = allow * book.mix // THOUSANDTHS
    reserve = max(allow * 3 // 100, max(0, expected - book.decided) * melting // THOUSANDTHS)
    if priority == Priority.SWEEP:
        reserve += (allow - expected) // 2 * melting // THOUSANDTHS
    # Beside others we don't take all at once: only who still calls sees what they draw.
    paced = 0 if others == 0 else allow * 6 // 10 * left // length
    return _Part(allow - reserve - paced, allow, reserve)


def _drawn(book: Book) -> int:
    """Return how many calls of this window were certainly made by others."""
    return 0 if book.lowest == NOT_TOLD else max(0, book.limit - book.lowest - book.used)


def _borne(book: Book, priority: Priority, reserve: int) -> bool:
    if book.lowest == NOT_TOLD:
        return True
    guard = max(1, book.limit * (1 if priority == Priority.DECISION else 3) // 100)
    return book.lowest - book.in_flight - 1 >= guard + reserve


def _lower(lowest: int, remaining: int) -> int:
    return remaining if lowest == NOT_TOLD else min(lowest, remaining)


def _wait(recheck_ms: int, until_ms: int) -> Wait:
    return Wait(
        recheck=timedelta(milliseconds=max(recheck_ms, 10)), until=timedelta(milliseconds=max(until_ms, 10))
    )


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
