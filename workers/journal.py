"""The journal, from the workers' side: read an event, let repeats of it in again, forget it once it is safe.

The order is what makes it safe: the mark by which repeats merge goes first, so that a flag which comes during
the work becomes an event of its own; the entry goes last, after the ledger's commit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis

from workers.inbox.names import JOURNAL, PENDING

# The mark may already belong to a later event that looks the same: it is removed only with our entry in it.
_UNMARK = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
    return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
"""

PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One event as the receiver put it in."""

    entry_id: str
    event_id: str
    environment: str
    endpoint: str
    event_key: str
    received_at: datetime
    body: bytes


class Journal:
    """Reads the journal. The client must not decode responses: a body is bytes."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # redis-py's stubs don't know that this client leaves bytes as they are.
        self._unmark = redis.register_script(_UNMARK)

    def read(self, entry_id: str) -> JournalEntry | None:
        """Read one entry; None means that it is in the ledger already."""
        found = self._redis.xrange(JOURNAL, min=entry_id, max=entry_id)
        return _entry(*found[0]) if found else None

    def let_repeats_in(self, entry: JournalEntry) -> None:
        """Stop merging repeats into this event: from here on, another one like it is a new event."""
        self._unmark(keys=[PENDING], args=[entry.event_key, entry.entry_id])

    def forget(self, entry: JournalEntry) -> None:
        """Remove an entry that the ledger has committed."""
        self._redis.xdel(JOURNAL, entry.entry_id)

    def leftovers(self, *, older_than: timedelta, now: datetime) -> Iterator[JournalEntry]:
        """Find all entries that have waited too long for a worker, oldest first."""
        until_milliseconds = str(int((now - older_than).timestamp() * 1000))
        start = "-"
        while page := self._redis.xrange(JOURNAL, min=start, max=until_milliseconds, count=PAGE):
            for entry_id, fields in page:
                yield _entry(entry_id, fields)
            start = f"({page[-1][0].decode()}"


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> JournalEntry:
    return JournalEntry(
        entry_id=entry_id.decode(),
        event_id=fields[b"id"].decode(),
        environment=fields[b"environment"].decode(),
        endpoint=fields[b"endpoint"].decode(),
        event_key=fields[b"event_key"].decode(),
        received_at=datetime.fromisoformat(fields[b"received_at"].decode()).astimezone(UTC),
        body=fields[b"body"],
    )
