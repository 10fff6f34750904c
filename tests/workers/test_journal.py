"""The journal lets go of an event only after the ledger has it, and lets repeats in before that."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import redis.asyncio

from tests.services.valkey import ValkeyDatabases
from workers.inbox import Delivery, Inbox, Put
from workers.journal import Journal, JournalEntry

NOW = datetime.now(UTC)


@pytest.fixture
def journal(valkey: ValkeyDatabases) -> Iterator[Journal]:
    with valkey.client() as client:
        yield Journal(client)


def put(valkey: ValkeyDatabases, event_key: str = "key-1") -> Put:
    async def run() -> Put:
        async with redis.asyncio.Redis.from_url(valkey.url) as client:
            delivery = Delivery(str(uuid4()), "test", "main", event_key, NOW, b'{"event":"x","data":{}}')
            return (await Inbox(client).put([delivery]))[0]

    return asyncio.run(run())


def entries(journal: Journal) -> list[JournalEntry]:
    later = datetime.now(UTC) + timedelta(seconds=1)
    return list(journal.leftovers(older_than=timedelta(0), now=later))


def test_an_entry_is_read_as_it_was_put(journal: Journal, valkey: ValkeyDatabases) -> None:
    put(valkey)
    (entry,) = entries(journal)

    again = journal.read(entry.entry_id)

    assert again == entry
    assert (entry.environment, entry.endpoint, entry.event_key) == ("test", "main", "key-1")
    assert entry.received_at == NOW
    assert entry.body == b'{"event":"x","data":{}}'


def test_a_repeat_merges_until_the_work_begins_and_is_an_event_of_its_own_after(
    journal: Journal, valkey: ValkeyDatabases
) -> None:
    assert put(valkey) is Put.ACCEPTED
    assert put(valkey) is Put.MERGED
    (first,) = entries(journal)

    journal.let_repeats_in(first)

    assert put(valkey) is Put.ACCEPTED
    assert len(entries(journal)) == 2


def test_letting_repeats_in_twice_does_not_touch_the_mark_of_a_later_event(
    journal: Journal, valkey: ValkeyDatabases
) -> None:
    put(valkey)
    (first,) = entries(journal)
    journal.let_repeats_in(first)
    put(valkey)

    journal.let_repeats_in(first)

    assert put(valkey) is Put.MERGED


def test_a_forgotten_entry_is_gone(journal: Journal, valkey: ValkeyDatabases) -> None:
    put(valkey)
    (entry,) = entries(journal)

    journal.forget(entry)

    assert journal.read(entry.entry_id) is None
    assert entries(journal) == []


def test_only_what_has_waited_long_enough_is_left_over(journal: Journal, valkey: ValkeyDatabases) -> None:
    put(valkey)

    now = datetime.now(UTC)

    assert not list(journal.leftovers(older_than=timedelta(seconds=30), now=now))
    later = now + timedelta(seconds=31)
    assert len(list(journal.leftovers(older_than=timedelta(seconds=30), now=later))) == 1
