"""What the inbox has written, read back as plain Python, for any test that must see it."""

import json
from typing import Any, NamedTuple

import redis

from workers.inbox.names import EVENTS_QUEUE, JOURNAL, PENDING, bell, messages_key, queue_key


class Entry(NamedTuple):
    """One entry of the journal."""

    id: str
    fields: dict[str, bytes]

    @property
    def body(self) -> bytes:
        return self.fields["body"]

    @property
    def event_id(self) -> str:
        return self.fields["id"].decode()


class Stored:
    """Reads through a client that does not decode responses."""

    def __init__(self, client: redis.Redis) -> None:
        self.client: Any = client

    def journal(self) -> list[Entry]:
        return [
            Entry(entry_id.decode(), {name.decode(): value for name, value in fields.items()})
            for entry_id, fields in self.client.xrange(JOURNAL)
        ]

    def pending(self) -> dict[str, str]:
        return {key.decode(): entry_id.decode() for key, entry_id in self.client.hgetall(PENDING).items()}

    def queued(self) -> list[str]:
        return [each.decode() for each in self.client.lrange(queue_key(EVENTS_QUEUE), 0, -1)]

    def raw_message(self, event_id: str) -> bytes:
        raw: bytes = self.client.hget(messages_key(EVENTS_QUEUE), event_id)
        return raw

    def message(self, event_id: str) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.raw_message(event_id))
        return message

    def rings(self) -> int:
        return int(self.client.llen(bell(EVENTS_QUEUE)))

    def keys(self) -> list[str]:
        return sorted(key.decode() for key in self.client.keys("*"))
