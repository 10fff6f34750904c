"""`Retry-After`: seconds or an HTTP date (RFC 9110, 10.2.3), never believed beyond reason."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(minutes=5)
"""No answer makes us wait longer: a limit is per minute, and an outage is better probed than believed."""


def retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """Return how long to wait, between `SHORTEST` and `LONGEST`, or `None` if the header says nothing.

    `now` is the time by the clock that wrote the header, where that is known: its `Date`.
    """
    seconds = None if value is None else _seconds(value.strip(), now)
    return None if seconds is None else bounded(seconds)


def bounded(seconds: float) -> timedelta:
    """Return a wait in seconds within reason."""
    return timedelta(seconds=min(max(seconds, SHORTEST.total_seconds()), LONGEST.total_seconds()))


def _seconds(value: str, now: datetime) -> float | None:
    try:
        return max(float(value), 0.0) if value[:1].isdigit() else (_date(value) - now).total_seconds()
    except (ValueError, OverflowError):
        return None


def http_date(value: str | None) -> datetime | None:
    """Return the time in an HTTP date such as the `Date` header, or `None`."""
    try:
        return None if value is None else _date(value)
    except (ValueError, OverflowError):
        return None


def _date(value: str) -> datetime:
    read = parsedate_to_datetime(value)
    # A date with the zone "-0000" comes back without one; HTTP dates are always UTC.
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
