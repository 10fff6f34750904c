"""Time: the true one for the sandbox's own records, and the platform's, which a switch can set wrong."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def true_now() -> datetime:
    """Return the true time, aware and in UTC."""
    return datetime.now(UTC)


class Clock:
    """The platform's clock. `skew_seconds` says, whenever asked, how far it is ahead of the true time."""

    def __init__(self, skew_seconds: Callable[[], float]) -> None:
        self._skew_seconds = skew_seconds

    def now(self) -> datetime:
        """Return what the platform believes the time to be."""
        return true_now() + timedelta(seconds=self._skew_seconds())


def written(moment: datetime, *, timespec: str = "seconds") -> str:
    """Write a time as webhook bodies have it: ISO 8601 with `Z` (keystone-api.md 2.3)."""
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
