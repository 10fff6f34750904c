"""The rate budget in Redis: the rules are those in memory, the count is one for all processes."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from countersign.keystone.budget import Budget, Permit, Priority, Wait
from countersign.keystone.budget_rules import Book, observe, take
from countersign.keystone.errors import TryAgainLater
from countersign.keystone.rate import NOTHING_SEEN, RateSeen
from tests.services.valkey import ValkeyDatabases, ValkeyServer
from workers.budget import RedisBudgetStore

MILLISECOND = timedelta(milliseconds=1)
SHARE = 800

_names = count()


@pytest.fixture
def redis(valkey: ValkeyDatabases) -> Iterator[Redis]:
    with valkey.cache_client() as client:
        yield client


seen = st.builds(
    RateSeen,
    limit=st.none() | st.integers(1, 1000),
    remaining=st.none() | st.integers(0, 1000),
    ends_in=st.none() | st.integers(0, 120_000).map(lambda ms: ms * MILLISECOND),
    throttled=st.none() | st.integers(1000, 300_000).map(lambda ms: ms * MILLISECOND),
)
steps = st.lists(
    st.tuples(st.integers(0, 20_000), st.sampled_from(Priority), seen, st.booleans()), max_size=25
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=steps, share=st.integers(1, 1000))
def test_redis_and_memory_follow_the_same_rules(
    redis: Redis, steps: list[tuple[int, Priority, RateSeen, bool]], share: int
) -> None:
    store = RedisBudgetStore(redis, f"parity-{next(_names)}", share=share / 1000)
    book, now, windows = Book(), 1_000_000, [1]
    for pause, priority, told, observes in steps:
        now += pause
        expected = take(book, priority, now=now, share=share)
        answer = store.take(priority, now_ms=now)
        assert answer == expected
        if isinstance(answer, Permit):
            windows.append(answer.window)
        if observes:
            window = windows.pop() if len(windows) > 1 else windows[0]
            observe(book, window, told, now=now)
            store.observe(Permit(window), told, now_ms=now)


def test_the_store_has_a_clock_of_its_own(redis: Redis) -> None:
    store = RedisBudgetStore(redis, "development")

    permit = store.take(Priority.DECISION)
    assert isinstance(permit, Permit)
    store.observe(permit, RateSeen(throttled=timedelta(seconds=30)))

    wait = store.take(Priority.DECISION)
    assert isinstance(wait, Wait)
    assert timedelta(seconds=25) < wait.until <= timedelta(seconds=30)


def test_two_processes_share_one_count(redis: Redis) -> None:
    first, second = RedisBudgetStore(redis, "development"), RedisBudgetStore(redis, "development")
    told = RateSeen(limit=100, remaining=100, ends_in=timedelta(seconds=60))

    made = 0
    for _ in range(100):
        for store in (first, second):
            if isinstance(permit := store.take(Priority.DECISION), Permit):
                made += 1
                store.observe(permit, told)

    assert made == 80


def test_another_environment_has_another_count(redis: Redis) -> None:
    first, second = RedisBudgetStore(redis, "development"), RedisBudgetStore(redis, "production")
    permit = first.take(Priority.DECISION)
    assert isinstance(permit, Permit)
    first.observe(permit, RateSeen(throttled=timedelta(seconds=30)))

    assert isinstance(second.take(Priority.DECISION), Permit)


def test_many_threads_at_once_get_no_more_than_there_is(redis: Redis) -> None:
    store = RedisBudgetStore(redis, "development", share=0.5)
    told = RateSeen(limit=100, remaining=100, ends_in=timedelta(seconds=60))
    begin = store.take(Priority.DECISION)
    assert isinstance(begin, Permit)
    store.observe(begin, told)
    made: list[Permit] = []

    def thread() -> None:
        answers = [store.take(Priority.DECISION) for _ in range(20)]
        made.extend(answer for answer in answers if isinstance(answer, Permit))

    threads = [threading.Thread(target=thread) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(made) == 49


def test_a_count_that_nobody_uses_is_forgotten(redis: Redis) -> None:
    RedisBudgetStore(redis, "development").take(Priority.SWEEP)

    assert 0 < redis.ttl("countersign:budget:development") <= 3600


def test_without_redis_no_call_is_made_but_no_answer_is_lost(own_valkey: ValkeyServer) -> None:
    with own_valkey.client(retry=Retry(NoBackoff(), 0)) as client:
        store = RedisBudgetStore(client, "development")
        permit = store.take(Priority.FETCH)
        assert isinstance(permit, Permit)
        own_valkey.kill()

        store.observe(permit, NOTHING_SEEN)
        with pytest.raises(TryAgainLater, match="rate budget"):
            store.take(Priority.DECISION)


def test_a_server_that_forgot_the_script_gets_it_again(redis: Redis) -> None:
    store = RedisBudgetStore(redis, "development")
    store.take(Priority.FETCH)
    redis.script_flush()

    assert isinstance(store.take(Priority.FETCH), Permit)


def test_who_has_waited_long_enough_gives_its_thread_back(redis: Redis) -> None:
    store = RedisBudgetStore(redis, "development")
    waits: list[float] = []
    budget = Budget(store, sleep=waits.append, patience=dict.fromkeys(Priority, timedelta(seconds=1)))
    permit = budget.acquire(Priority.FETCH)
    budget.observe(permit, RateSeen(throttled=timedelta(seconds=30)))

    with pytest.raises(TryAgainLater) as later:
        budget.acquire(Priority.DECISION)

    assert waits == []
    assert timedelta(seconds=25) < later.value.after < timedelta(seconds=33)
