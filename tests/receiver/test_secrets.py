"""Where webhook secrets come from, and that they change without a restart and without a false 401."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from countersign.keystone.signature import WebhookSecret
from countersign.sealing import Sealer, decoded_key, new_key
from receiver.secret_store import SECRETS_KEY, SecretStore
from tests.inbox.stored import Stored
from tests.receiver.conftest import StartReceiver
from tests.receiver.running import PATH, RunningReceiver, event_body, signed
from tests.services.valkey import ValkeyDatabases, ValkeyServer
from tests.services.waiting import eventually

T = TypeVar("T")

KEY = new_key()
BODY = event_body("secrets")


def status(receiver: RunningReceiver, secret: str, path: str = PATH) -> int:
    return receiver.post(BODY, signed(BODY, secret), path).status_code


def becomes(receiver: RunningReceiver, secret: str, expected: int, path: str = PATH) -> None:
    eventually(lambda: status(receiver, secret, path) == expected, 5, f"{secret} gets {expected}")


def in_store(url: str, act: Callable[[SecretStore], Awaitable[T]], key: str = KEY) -> T:
    async def go() -> T:
        async with Redis.from_url(url) as client:
            return await act(SecretStore(client, Sealer([decoded_key(key)])))

    return asyncio.run(go())


def test_a_file_is_read_again_when_it_changes(start_receiver: StartReceiver, tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("old\n")
    receiver = start_receiver(WEBHOOK_SECRETS_FILE=str(file))
    assert status(receiver, "old") == 202

    file.write_text("old\nnew\n")
    becomes(receiver, "new", 202)
    assert status(receiver, "old") == 202

    new_file = tmp_path / "moved"
    new_file.write_text("new\n")
    new_file.replace(file)
    becomes(receiver, "old", 401)
    assert status(receiver, "new") == 202


@pytest.mark.parametrize("spoil", ["", "@BAD NAME:x", None], ids=["empty", "unreadable", "gone"])
def test_a_file_that_was_spoiled_leaves_the_last_good_secrets(
    start_receiver: StartReceiver, tmp_path: Path, spoil: str | None
) -> None:
    file = tmp_path / "secrets"
    file.write_text("old")
    receiver = start_receiver(WEBHOOK_SECRETS_FILE=str(file))
    if spoil is None:
        file.unlink()
    else:
        file.write_text(spoil)

    eventually(lambda: receiver.log_lines("secrets_unreadable"), 5, "it was noticed")
    assert status(receiver, "old") == 202

    file.write_text("new")
    becomes(receiver, "new", 202)


def test_a_secret_is_accepted_until_its_time_and_no_longer(start_receiver: StartReceiver) -> None:
    now = datetime.now(UTC)
    past, future = (now - timedelta(seconds=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    receiver = start_receiver(WEBHOOK_SECRETS=f"past until {past}, future until {future}, always")
    assert [status(receiver, secret) for secret in ("past", "future", "always")] == [401, 202, 202]


def test_each_endpoint_has_secrets_of_its_own_and_an_event_by_both_is_one(
    start_receiver: StartReceiver, valkey: ValkeyDatabases
) -> None:
    receiver = start_receiver(WEBHOOK_SECRETS="mine,@environment:theirs")
    other = f"{PATH}/environment"

    assert status(receiver, "theirs") == 401
    assert status(receiver, "mine", other) == 401
    assert status(receiver, "mine") == 202
    assert status(receiver, "theirs", other) == 202

    with valkey.client() as client:
        [entry] = Stored(client).journal()
    assert entry.fields["endpoint"] == b"keystone"
    counted = receiver.http.get("/metrics").text
    assert 'deliveries_total{endpoint="environment",reason="merged",status="202"} 1.0' in counted


def test_a_stored_secret_is_accepted_without_a_restart_until_it_is_removed(
    start_receiver: StartReceiver, valkey: ValkeyDatabases
) -> None:
    receiver = start_receiver(SEAL_KEYS=KEY)
    assert status(receiver, "stored") == 401

    identity = in_store(valkey.cache_url, lambda store: store.add("keystone", WebhookSecret.of("stored")))
    becomes(receiver, "stored", 202)
    assert status(receiver, "stored", f"{PATH}/environment") == 401

    in_store(valkey.cache_url, lambda store: store.remove("keystone", identity))
    becomes(receiver, "stored", 401)


def test_the_store_keeps_a_secret_sealed_with_its_expiry(valkey: ValkeyDatabases) -> None:
    until = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    secret = WebhookSecret.of("whsec_plain", until)
    in_store(valkey.cache_url, lambda store: store.add("keystone", secret))

    with valkey.cache_client() as client:
        kept = Stored(client).client.hgetall(SECRETS_KEY)
    assert b"whsec_plain" not in b"".join([*kept, *kept.values()])
    read = in_store(valkey.cache_url, lambda store: store.read())
    assert read == ({"keystone": (secret,)}, frozenset(), 0)


@pytest.mark.parametrize("harm", ["another endpoint", "a longer life", "another key", "nonsense"])
def test_a_stored_secret_that_was_tampered_with_is_not_accepted(valkey: ValkeyDatabases, harm: str) -> None:
    until = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    in_store(valkey.cache_url, lambda store: store.add("keystone", WebhookSecret.of("stored", until)))
    with valkey.cache_client() as client:
        redis = Stored(client).client
        [(field, value)] = redis.hgetall(SECRETS_KEY).items()
        if harm == "another endpoint":
            redis.hdel(SECRETS_KEY, field)
            redis.hset(SECRETS_KEY, field.replace(b"keystone/", b"environment/"), value)
        elif harm == "a longer life":
            redis.hset(SECRETS_KEY, field, value.replace(b"2026", b"2036"))
        elif harm == "nonsense":
            redis.hset(SECRETS_KEY, field, b"\xff\xff")

    key = new_key() if harm == "another key" else KEY
    assert in_store(valkey.cache_url, lambda store: store.read(), key) == ({}, frozenset(), 1)


def test_while_a_rotation_is_marked_what_cannot_be_verified_is_503(
    start_receiver: StartReceiver, valkey: ValkeyDatabases
) -> None:
    receiver = start_receiver(SEAL_KEYS=KEY, WEBHOOK_SECRETS="mine,@environment:theirs")
    in_store(valkey.cache_url, lambda store: store.begin_rotation("keystone", datetime.now(UTC)))

    becomes(receiver, "not here yet", 503)
    assert status(receiver, "mine") == 202
    assert status(receiver, "not theirs", f"{PATH}/environment") == 401
    assert receiver.deliveries()["rotation_under_way"] == 1

    in_store(valkey.cache_url, lambda store: store.add("keystone", WebhookSecret.of("not here yet")))
    becomes(receiver, "not here yet", 202)
    in_store(valkey.cache_url, lambda store: store.end_rotation("keystone"))
    becomes(receiver, "wrong", 401)


def test_while_the_store_is_down_its_secrets_stay_and_what_cannot_be_verified_is_503(
    start_receiver: StartReceiver, own_valkey: ValkeyServer
) -> None:
    cache = own_valkey.url(1)
    in_store(cache, lambda store: store.add("keystone", WebhookSecret.of("stored")))
    receiver = start_receiver(SEAL_KEYS=KEY, CACHE_URL=cache)
    assert status(receiver, "stored") == 202

    own_valkey.kill()
    becomes(receiver, "unknown", 503)
    assert status(receiver, "stored") == 202
    assert receiver.deliveries()["secrets_unreadable"] >= 1

    own_valkey.start()
    becomes(receiver, "unknown", 401)


def test_wrong_signatures_make_the_store_be_read_once_a_second_and_no_more(
    start_receiver: StartReceiver,
) -> None:
    receiver = start_receiver(SEAL_KEYS=KEY)

    def reads() -> float:
        return receiver.metric('countersign_receiver_secret_reads_total{outcome="ok",source="store"}')

    before, started = reads(), datetime.now(UTC)
    for _ in range(100):
        assert status(receiver, "wrong") == 401
    seconds = (datetime.now(UTC) - started).total_seconds()
    assert reads() - before <= seconds + 2
