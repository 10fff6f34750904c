"""What one answer says of the environment's rate limit (keystone-api.md 4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from countersign.keystone.fields import whole
from countersign.keystone.retry_after import http_date, retry_after

_NEVER_A_UNIX_TIME = 10**8
"""A smaller `X-RateLimit-Reset` is taken as seconds from now, which other platforms send."""

_LONGEST_WINDOW = timedelta(hours=1)
_LARGEST_LIMIT = 10**6
TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSeen:
    """The limit a window, what remains of it, when the window ends; `throttled` if the call was refused."""

    limit: int | None = None
    remaining: int | None = None
    ends_in: timedelta | None = None
    throttled: timedelta | None = None


NOTHING_SEEN = RateSeen()
"""What a call without an answer tells."""


def rate_seen(status: int, headers: Mapping[str, str], *, now: datetime) -> RateSeen:
    """Read the headers of one answer. What is missing or absurd is `None`.

    Times are taken from the platform's own clock (`Date`) where it is told, so that our clock doesn't matter.
    """
    now = http_date(headers.get("Date")) or now
    limit = whole(headers.get("X-RateLimit-Limit"))
    throttled = retry_after(headers.get("Retry-After"), now=now) if status == TOO_MANY_REQUESTS else None
    if status == TOO_MANY_REQUESTS and throttled is None:
        throttled = timedelta(seconds=1)
    return RateSeen(
        limit=limit if limit is not None and 0 < limit <= _LARGEST_LIMIT else None,
        remaining=whole(headers.get("X-RateLimit-Remaining")),
        ends_in=_ends_in(whole(headers.get("X-RateLimit-Reset")), now),
        throttled=throttled,
    )


def _ends_in(reset: int | None, now: datetime) -> timedelta | None:
    if reset is None or reset > _NEVER_A_UNIX_TIME**2:
        return None
    seconds = reset if reset < _NEVER_A_UNIX_TIME else reset - now.timestamp()
    ends_in = timedelta(seconds=seconds)
    return ends_in if timedelta(0) <= ends_in <= _LONGEST_WINDOW else None
