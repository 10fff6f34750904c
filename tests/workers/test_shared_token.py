"""The fleet's token in Redis: sealed, alive no longer than it may be, and asked for once by everybody."""

import json
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from countersign.keystone.assembly import keystone_client
from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import CredentialsRefused, RefusedBecause, TryAgainLater
from countersign.keystone.machine_token import Hidden, MachineToken
from countersign.keystone.token_cache import CacheView, Dropped, MemoryTokenCache, Pause, TokenCache
from countersign.keystone.token_endpoint import ClientCredentials
from tests.keystone.asking import access_to
from tests.services.processes import Processes, Running
from tests.services.sandbox import SandboxProcess
from tests.services.valkey import ValkeyDatabases, ValkeyServer
from tests.services.waiting import eventually
from workers.token_cache import RedisTokenCache

CREDENTIALS = ClientCredentials(
    token_url="https://t.example/oauth/token", audience="a", client_id="c", client_secret="s3cret"
)
MINUTE = timedelta(minutes=1)


def a_token(value: str = "token-1", life: timedelta = timedelta(hours=1)) -> MachineToken:
    return MachineToken(
        value=Hidden(value),
        life=life,
        expires_at=datetime(2026, 1, 2, tzinfo=UTC),
        issuer="https://t.example/",
        audience=("a", "b"),
        scopes=frozenset({"settlements:read"}),
        problem=None,
    )


@pytest.fixture
def redis(valkey: ValkeyDatabases) -> Iterator[Redis]:
    with valkey.cache_client() as client:
        yield client


@pytest.fixture(params=["in Redis", "in memory"])
def cache(request: pytest.FixtureRequest, redis: Redis) -> TokenCache:
    """Give the test each kind of cache: they are twins."""
    return MemoryTokenCache() if request.param == "in memory" else RedisTokenCache(redis, CREDENTIALS)


def test_an_empty_cache_says_so(cache: TokenCache) -> None:
    assert cache.read() == CacheView()


def test_a_token_comes_back_whole_with_the_life_it_has_left(cache: TokenCache) -> None:
    cache.store(a_token())

    view = cache.read()

    assert view.token == a_token()
    assert timedelta(minutes=59) < view.left <= timedelta(hours=1)


def test_a_token_whose_life_is_over_is_gone(cache: TokenCache) -> None:
    cache.store(a_token(life=timedelta(milliseconds=20)))

    eventually(lambda: cache.read() == CacheView(), 2)


def test_one_at_a_time_may_fetch(cache: TokenCache) -> None:
    claim = cache.claim(MINUTE)

    assert claim is not None
    assert cache.claim(MINUTE) is None
    cache.release("somebody else's")
    assert cache.claim(MINUTE) is None
    cache.release(claim)
    assert cache.claim(MINUTE) is not None


def test_a_claim_whose_holder_died_is_free_again(cache: TokenCache) -> None:
    assert cache.claim(timedelta(milliseconds=20)) is not None

    eventually(lambda: cache.claim(MINUTE), 2)


@pytest.mark.parametrize("why", [None, RefusedBecause.CLIENT_REFUSED])
def test_a_pause_is_known_to_all_until_it_ends(cache: TokenCache, why: RefusedBecause | None) -> None:
    cache.pause(Pause(message="down", left=MINUTE, why=why, status=503))

    pause = cache.read().pause
    assert pause is not None
    assert (pause.message, pause.why, pause.status) == ("down", why, 503)
    assert timedelta(seconds=58) < pause.left <= MINUTE

    cache.pause(Pause(message="down", left=timedelta(milliseconds=20)))
    eventually(lambda: cache.read().pause is None, 2)


def test_a_token_ends_the_pause_and_the_count_of_failures(cache: TokenCache) -> None:
    assert [cache.count_failure(), cache.count_failure()] == [1, 2]
    cache.pause(Pause(message="down", left=MINUTE))

    cache.store(a_token())

    assert cache.read().pause is None
    assert cache.count_failure() == 1


def test_only_the_token_that_was_refused_is_dropped_and_not_too_often(cache: TokenCache) -> None:
    first, second = a_token("token-1"), a_token("token-2")
    cache.store(first)

    assert cache.drop(second.id, at_most_every=MINUTE) is Dropped.REPLACED
    assert cache.read().token == first
    assert cache.drop(first.id, at_most_every=MINUTE) is Dropped.FETCH_ANOTHER
    assert cache.read().token is None
    assert cache.drop(first.id, at_most_every=MINUTE) is Dropped.REPLACED

    cache.store(second)
    assert cache.drop(second.id, at_most_every=MINUTE) is Dropped.TOO_SOON
    assert cache.read().token == second


def test_redis_never_sees_the_token_the_secret_or_the_clients_name(redis: Redis) -> None:
    cache = RedisTokenCache(redis, CREDENTIALS)
    cache.store(a_token("t0ken-in-clear"))
    cache.claim(MINUTE)
    cache.pause(Pause(message="down", left=MINUTE))
    cache.count_failure()

    stored = b"".join(bytes(name) + (redis.dump(name) or b"") for name in redis.scan_iter())

    assert b"token" in stored
    for secret in (b"t0ken-in-clear", b"s3cret", CREDENTIALS.token_url.encode()):
        assert secret not in stored


def test_nothing_is_kept_in_redis_for_ever(redis: Redis) -> None:
    cache = RedisTokenCache(redis, CREDENTIALS)
    cache.store(a_token())
    cache.claim(MINUTE)
    cache.pause(Pause(message="down", left=MINUTE))
    cache.count_failure()
    cache.drop(a_token().id, at_most_every=MINUTE)
    cache.store(a_token())

    assert len(redis.keys("*")) == 3
    assert all(redis.pttl(name) > 0 for name in redis.keys("*"))


def test_another_secret_neither_opens_the_token_nor_waits_for_its_pause(redis: Redis) -> None:
    changed = ClientCredentials(
        token_url=CREDENTIALS.token_url, audience="a", client_id="c", client_secret="another"
    )
    cache = RedisTokenCache(redis, CREDENTIALS)
    cache.store(a_token())
    cache.pause(Pause(message="refused", left=MINUTE, why=RefusedBecause.CLIENT_REFUSED))

    assert RedisTokenCache(redis, changed).read() == CacheView()


def test_a_token_that_was_tampered_with_is_as_good_as_none(
    redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = RedisTokenCache(redis, CREDENTIALS)
    cache.store(a_token())
    [name] = redis.keys("*:token")
    redis.hset(name, "sealed", b"\x01" + bytes(60))

    assert cache.read() == CacheView()
    assert "sealed_token_does_not_open" in capsys.readouterr().out
    cache.store(a_token("token-2"))
    assert cache.read().token == a_token("token-2")


def test_without_redis_reading_is_for_later_and_telling_is_left_undone(own_valkey: ValkeyServer) -> None:
    with own_valkey.client(retry=Retry(NoBackoff(), 0)) as client:
        cache = RedisTokenCache(client, CREDENTIALS)
        own_valkey.kill()

        for asks in (cache.read, lambda: cache.claim(MINUTE), lambda: cache.drop("x", at_most_every=MINUTE)):
            with pytest.raises(TryAgainLater, match="token cache"):
                asks()
        cache.store(a_token())
        cache.release("claim")
        cache.pause(Pause(message="down", left=MINUTE))
        assert cache.count_failure() == 1


# A whole fleet, as real processes.

PROGRAM = """
import json, sys, threading
from redis import Redis
from countersign.keystone.assembly import KeystoneAccess, keystone_client
from countersign.keystone.errors import KeystoneError
from workers.token_cache import RedisTokenCache

told = json.loads(sys.argv[1])
access = KeystoneAccess(**told["access"])
cache = RedisTokenCache(Redis.from_url(told["cache_url"]), access.credentials)
client = keystone_client(access, token_cache=cache)
for turn in range(told["turns"]):
    barrier, seen, lock = threading.Barrier(told["threads"]), {}, threading.Lock()
    def thread():
        barrier.wait()
        try:
            became = client.tokens.token().id
        except KeystoneError as error:
            became = type(error).__name__
        with lock:
            seen[became] = seen.get(became, 0) + 1
    threads = [threading.Thread(target=thread) for _ in range(told["threads"])]
    [each.start() for each in threads]
    [each.join() for each in threads]
    print(json.dumps(seen), flush=True)
"""

UNTIL_ANOTHER = """
import json, sys, threading, time
from redis import Redis
from countersign.keystone.assembly import KeystoneAccess, keystone_client
from workers.token_cache import RedisTokenCache

told = json.loads(sys.argv[1])
access = KeystoneAccess(**told["access"])
redis = Redis.from_url(told["cache_url"])
client = keystone_client(access, token_cache=RedisTokenCache(redis, access.credentials))
redis.rpush("test:ready", 1)
while not redis.exists("test:go"):
    time.sleep(0.01)
pairs = []
def thread():
    first = other = client.tokens.token().id
    while other == first:
        time.sleep(0.01)
        other = client.tokens.token().id
    pairs.append([first, other])
threads = [threading.Thread(target=thread) for _ in range(told["threads"])]
[each.start() for each in threads]
[each.join() for each in threads]
assert len(pairs) == told["threads"]
print(json.dumps(pairs), flush=True)
"""


class Fleet:
    """Processes that all want a token at once, each with many threads."""

    def __init__(self, processes: Processes, sandbox: SandboxProcess, cache_url: str) -> None:
        self._processes = processes
        self._sandbox = sandbox
        self._cache_url = cache_url

    def start(self, threads: int, *, turns: int = 1, program: str = PROGRAM, **changes: str) -> Running:
        access = access_to(self._sandbox, **changes)
        names = ("api_url", "token_url", "audience", "client_id", "client_secret")
        told = {
            "access": {name: getattr(access, name) for name in names},
            "cache_url": self._cache_url,
            "threads": threads,
            "turns": turns,
        }
        return self._processes.start(sys.executable, "-c", program, json.dumps(told), name="worker")

    def run(self, count: int, threads: int, *, turns: int = 1, **changes: str) -> list[dict[str, int]]:
        running = [self.start(threads, turns=turns, **changes) for _ in range(count)]
        for process in running:
            assert process.wait(60) == 0, process.tail()
        lines = [line for process in running for line in process.stdout.splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines]


@pytest.fixture
def fleet(processes: Processes, sandbox: SandboxProcess, valkey: ValkeyDatabases) -> Fleet:
    return Fleet(processes, sandbox, valkey.cache_url)


def test_a_cold_start_of_the_fleet_costs_one_token_request_and_a_restart_none(
    fleet: Fleet, sandbox: SandboxProcess
) -> None:
    sandbox.set(slow_start={"seconds": 1.5, "routes": ["token"]})

    seen = fleet.run(8, 32)
    again = fleet.run(1, 32)

    tokens = {token for each in seen + again for token in each}
    assert len(tokens) == 1
    assert [sum(each.values()) for each in seen + again] == [32] * 9
    assert sandbox.counts()["token_requests"] == 1


def test_an_expiry_under_full_load_costs_the_fleet_one_request(
    fleet: Fleet, sandbox: SandboxProcess, redis: Redis
) -> None:
    """The endpoint is so slow that the first token has ended before the second is there: all must wait."""
    sandbox.reset(token_seconds=3)
    sandbox.set(slow_start={"seconds": 1, "routes": ["token"]})
    running = [fleet.start(32, program=UNTIL_ANOTHER) for _ in range(4)]
    eventually(lambda: redis.llen("test:ready") == len(running), 30, "all processes are ready")

    redis.set("test:go", 1)

    for process in running:
        assert process.wait(60) == 0, process.tail()
    pairs = {tuple(pair) for process in running for pair in json.loads(process.stdout.splitlines()[-1])}
    assert len(pairs) == 1
    assert sandbox.counts()["token_requests"] == 2


def test_wrong_credentials_cost_the_fleet_one_request(fleet: Fleet, sandbox: SandboxProcess) -> None:
    seen = fleet.run(4, 8, turns=3, client_secret="wrong")

    assert {became for each in seen for became in each} == {"CredentialsRefused"}
    assert sandbox.counts()["token_requests"] == 1


def test_an_endpoint_that_is_down_is_asked_once_by_the_whole_fleet(
    fleet: Fleet, sandbox: SandboxProcess
) -> None:
    sandbox.set(too_many_requests={"routes": ["token"], "seconds": 60})

    seen = fleet.run(4, 8, turns=3)

    assert {became for each in seen for became in each} == {"TryAgainLater"}
    assert sandbox.counts()["calls_by_route"]["token"] == {"429": 1}


def test_a_process_that_is_killed_while_it_fetches_is_replaced(
    fleet: Fleet, sandbox: SandboxProcess, redis: Redis
) -> None:
    """Its lease is 20 s; the test lets Redis count them in a moment."""
    sandbox.set(slow_start={"seconds": 30, "routes": ["token"], "count": 1})
    client = client_with(sandbox, redis)
    process = fleet.start(threads=1)
    eventually(lambda: redis.keys("*:claim"), 20)
    process.send(signal.SIGKILL)
    process.wait()
    [claim] = redis.keys("*:claim")
    assert 0 < redis.pttl(claim) <= 20_000

    redis.pexpire(claim, 50)

    assert client.tokens.token().is_verified
    client.close()


def client_with(sandbox: SandboxProcess, redis: Redis) -> KeystoneClient:
    access = access_to(sandbox)
    return keystone_client(access, token_cache=RedisTokenCache(redis, access.credentials))


def test_a_token_that_one_process_saw_refused_is_replaced_for_all(
    sandbox: SandboxProcess, redis: Redis
) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]
    with client_with(sandbox, redis) as first, client_with(sandbox, redis) as second:
        assert first.tokens.token().id == second.tokens.token().id
        assert sandbox.control.post("/tokens/revoke").is_success

        first.settlement(settlement_id)
        second.settlement(settlement_id)

        assert first.tokens.token().id == second.tokens.token().id
    assert sandbox.counts()["token_requests"] == 2


def test_a_refusal_in_one_process_holds_back_the_others(sandbox: SandboxProcess, redis: Redis) -> None:
    access = access_to(sandbox, client_secret="wrong")
    clients = [
        keystone_client(access, token_cache=RedisTokenCache(redis, access.credentials)) for _ in range(3)
    ]
    for client in clients:
        with client, pytest.raises(CredentialsRefused, match="CLIENT_SECRET"):
            client.tokens.token()

    assert sandbox.counts()["token_requests"] == 1
