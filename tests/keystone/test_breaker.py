"""The circuit breaker: an outage costs a probe now and then, and one success ends it."""

import threading
from collections.abc import Callable
from itertools import pairwise

import pytest

from countersign.keystone.breaker import (
    FAILURES,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PROBE_SECONDS,
    CircuitBreaker,
)
from countersign.keystone.errors import TryAgainLater


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def breaker(clock: Clock, changes: list[str]) -> CircuitBreaker:
    return CircuitBreaker("the API", on_change=lambda _upstream, state: changes.append(state), clock=clock)


def fail(breaker: CircuitBreaker, times: int = FAILURES) -> None:
    for _ in range(times):
        breaker.failed(probe=breaker.enter())


def enters(breaker: CircuitBreaker) -> bool | None:
    """Return whether the call is the probe; `None` if it is refused."""
    try:
        return breaker.enter()
    except TryAgainLater:
        return None


def test_a_few_failures_open_nothing(breaker: CircuitBreaker) -> None:
    fail(breaker, FAILURES - 1)

    assert enters(breaker) is False


def test_a_success_in_between_begins_the_count_again(breaker: CircuitBreaker) -> None:
    fail(breaker, FAILURES - 1)
    breaker.succeeded()
    fail(breaker, FAILURES - 1)

    assert not breaker.is_open


def test_too_many_in_a_row_open_it_and_tell_when_to_come_back(
    breaker: CircuitBreaker, changes: list[str]
) -> None:
    fail(breaker)

    with pytest.raises(TryAgainLater) as refused:
        breaker.enter()

    assert 0 < refused.value.after.total_seconds() <= FIRST_PAUSE_SECONDS * 1.2 + 1
    assert changes == ["open"]


def test_after_the_pause_exactly_one_of_many_threads_probes(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += FIRST_PAUSE_SECONDS * 1.3
    start, entered = threading.Barrier(16), []

    def thread() -> None:
        start.wait()
        entered.append(enters(breaker))

    threads = [threading.Thread(target=thread) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(entered, key=str) == [*[None] * 15, True]


def test_a_probe_that_succeeds_closes_it(breaker: CircuitBreaker, clock: Clock, changes: list[str]) -> None:
    fail(breaker)
    clock.now += FIRST_PAUSE_SECONDS * 1.3
    assert breaker.enter()

    breaker.succeeded()

    assert enters(breaker) is False
    assert changes == ["open", "closed"]


def test_probes_that_fail_come_less_and_less_often(
    breaker: CircuitBreaker, clock: Clock, changes: list[str]
) -> None:
    fail(breaker)
    probes: list[float] = []
    while len(probes) < 8:
        clock.now += 0.1
        if enters(breaker):
            probes.append(clock.now)
            breaker.failed(probe=True)

    gaps = [later - sooner for sooner, later in pairwise(probes)]
    assert gaps[0] < gaps[-1] <= LONGEST_PAUSE_SECONDS * 1.2 + 0.2
    assert changes == ["open"]


def test_calls_that_were_under_way_when_it_opened_lengthen_nothing(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker)
    clock.now += FIRST_PAUSE_SECONDS * 0.7
    for _ in range(32):
        breaker.failed(probe=False)

    clock.now += FIRST_PAUSE_SECONDS * 0.6

    assert enters(breaker) is True


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(lambda breaker, _clock: breaker.left(probe=True), id="was not made after all"),
        pytest.param(lambda _breaker, clock: setattr(clock, "now", clock.now + PROBE_SECONDS), id="died"),
    ],
)
def test_a_probe_that_comes_to_nothing_is_replaced(
    breaker: CircuitBreaker, clock: Clock, gone: Callable[[CircuitBreaker, Clock], None]
) -> None:
    fail(breaker)
    clock.now += FIRST_PAUSE_SECONDS * 1.3
    assert enters(breaker) is True
    assert enters(breaker) is None

    gone(breaker, clock)

    assert enters(breaker) is True


def test_a_call_that_was_not_made_changes_nothing_unless_it_was_the_probe(breaker: CircuitBreaker) -> None:
    breaker.left(probe=False)

    assert enters(breaker) is False
