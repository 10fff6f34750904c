"""The rules of the rate budget against a made-up limiter: our share, others' draw, priorities, and no 429."""

import dataclasses
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.keystone.budget import Permit, Priority, Wait
from countersign.keystone.budget_memory import MemoryBudgetStore, share_in_thousandths
from countersign.keystone.budget_rules import PROBE_MS, PROBES, Book, observe, take
from countersign.keystone.rate import NOTHING_SEEN, RateSeen

SHARE = 800
SECOND = 1000


@dataclass
class Limiter:
    """A platform that counts calls in fixed windows, and answers with the documented headers."""

    limit: int = 600
    window_ms: int = 60 * SECOND
    ends_at: int = 0
    used: int = 0
    granted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def call(self, who: str, now: int) -> RateSeen:
        if now >= self.ends_at:
            self.ends_at, self.used = now + self.window_ms, 0
        allowed = self.used < self.limit
        self.used += allowed
        (self.granted if allowed else self.refused)[who] += 1
        # `Reset` and `Date` are whole seconds: rounded up, and cut off.
        ends_in = timedelta(seconds=-(-self.ends_at // SECOND) - now // SECOND)
        throttled = None if allowed else timedelta(milliseconds=max(self.ends_at - now, SECOND))
        return RateSeen(
            limit=self.limit, remaining=self.limit - self.used, ends_in=ends_in, throttled=throttled
        )


@dataclass
class Fleet:
    """Workers with a backlog: each call is answered after a while, and a case fetched twice is decided."""

    limiter: Limiter
    book: Book = field(default_factory=Book)
    answer_ms: int = 20
    threads: int = 32
    under_way: list[tuple[int, Permit, RateSeen]] = field(default_factory=list)
    made: Counter[Priority] = field(default_factory=Counter)
    to_decide: int = 0
    waits_while_fetching: int = 0

    def step(self, now: int, *, decides: bool = True) -> None:
        """Finish what is answered, then let idle threads make calls until the budget refuses."""
        for call in [call for call in self.under_way if call[0] <= now]:
            self.under_way.remove(call)
            observe(self.book, call[1].window, call[2], now=now)
        while len(self.under_way) < self.threads:
            waits = decides and self.to_decide > 0
            if waits and self.take(Priority.DECISION, now):
                self.to_decide -= 1
                continue
            if not self.take(Priority.FETCH, now):
                break
            self.waits_while_fetching += waits
            self.to_decide += self.made[Priority.FETCH] % 2 == 0

    def take(self, priority: Priority, now: int) -> bool:
        permit = take(self.book, priority, now=now, share=SHARE)
        if isinstance(permit, Wait):
            return False
        self.made[priority] += 1
        self.under_way.append((now + self.answer_ms, permit, self.limiter.call("us", now)))
        return True


def run(
    fleet: Fleet, seconds: float, *, foreign_a_minute: int = 0, decides: bool = True, begin: int = 0
) -> int:
    due = 0.0
    now = begin
    for now in range(begin, begin + int(seconds * SECOND), 10):
        due += foreign_a_minute / 60_000 * 10
        while due >= 1:
            due -= 1
            fleet.limiter.call("foreign", now)
        fleet.step(now, decides=decides)
    return now


@pytest.mark.parametrize("limit", [120, 600])
def test_alone_we_use_our_share_and_meet_no_429(limit: int) -> None:
    fleet = Fleet(Limiter(limit))

    run(fleet, 5 * 62)

    assert fleet.limiter.refused["us"] == 0
    assert sum(fleet.made.values()) >= 0.95 * 5 * limit * SHARE / 1000
    assert sum(fleet.made.values()) <= 6 * limit * SHARE / 1000


@pytest.mark.parametrize("limit", [120, 600])
def test_beside_a_foreign_client_no_decision_waits_while_fetches_run(limit: int) -> None:
    fleet = Fleet(Limiter(limit))

    run(fleet, 5 * 62, foreign_a_minute=limit // 2)

    assert fleet.limiter.refused["us"] <= 0.01 * sum(fleet.made.values())
    assert fleet.waits_while_fetching == 0


@pytest.mark.parametrize("limit", [120, 600])
def test_what_a_foreign_client_draws_is_left_to_it_once_that_is_seen(limit: int) -> None:
    fleet = Fleet(Limiter(limit))
    end = run(fleet, 3 * 62, foreign_a_minute=limit // 2)
    fleet.limiter.granted.clear()
    fleet.limiter.refused.clear()

    run(fleet, 3 * 62, foreign_a_minute=limit // 2, begin=end)

    assert fleet.limiter.refused["foreign"] <= 0.02 * fleet.limiter.granted["foreign"]
    assert fleet.limiter.granted["us"] >= 0.7 * 3 * limit // 2


@pytest.mark.parametrize("limit", [120, 600])
def test_without_decisions_the_part_that_is_kept_for_them_melts(limit: int) -> None:
    fleet = Fleet(Limiter(limit))

    run(fleet, 5 * 62, decides=False)

    assert fleet.limiter.refused["us"] == 0
    assert fleet.made[Priority.FETCH] >= 0.95 * 5 * limit * SHARE / 1000


def test_a_burst_of_sweeps_starves_neither_decisions_nor_fetches() -> None:
    book, limiter = Book(), Limiter(600)
    made: Counter[Priority] = Counter()

    def spend(priority: Priority, now: int) -> None:
        while isinstance(permit := take(book, priority, now=now, share=SHARE), Permit):
            made[priority] += 1
            observe(book, permit.window, limiter.call("us", now), now=now)

    spend(Priority.SWEEP, 0)
    assert 0 < made[Priority.SWEEP] < 200
    spend(Priority.FETCH, 1000)
    assert made[Priority.FETCH] > 100
    spend(Priority.DECISION, 2000)
    assert made[Priority.DECISION] > 100
    assert sum(made.values()) == 480


def book_that_saw(remaining: int, *, now: int, limit: int = 600) -> Book:
    """Return a book after one call whose answer told this."""
    book = Book()
    permit = take(book, Priority.FETCH, now=now, share=SHARE)
    assert isinstance(permit, Permit)
    told = RateSeen(limit=limit, remaining=remaining, ends_in=timedelta(seconds=60))
    observe(book, permit.window, told, now=now)
    return book


def granted(book: Book, priority: Priority, *, now: int) -> int:
    """Take until the answer is no, and return how many calls that made."""
    made = 0
    while isinstance(take(book, priority, now=now, share=SHARE), Permit):
        made += 1
    return made


def test_what_remains_bounds_us_whatever_our_share_is() -> None:
    assert granted(book_that_saw(599, now=0), Priority.DECISION, now=1) == 479
    assert granted(book_that_saw(40, now=0), Priority.FETCH, now=1) < 22
    assert granted(book_that_saw(40, now=0), Priority.DECISION, now=1) == 34
    assert granted(book_that_saw(0, now=0), Priority.DECISION, now=1) == 0


def test_what_was_seen_a_while_ago_beside_others_is_tried_with_one_call() -> None:
    assert granted(book_that_saw(300, now=0), Priority.DECISION, now=1500) == 1
    assert granted(book_that_saw(300, now=0), Priority.DECISION, now=500) > 1
    assert granted(book_that_saw(599, now=0), Priority.DECISION, now=1500) > 1


def test_a_limit_that_changes_is_followed_up_and_down() -> None:
    fleet = Fleet(Limiter(600))
    end = run(fleet, 62)
    fleet.limiter.limit = 120
    end = run(fleet, 62, begin=end)
    before = sum(fleet.made.values())
    end = run(fleet, 62, begin=end)
    assert sum(fleet.made.values()) - before <= 97

    fleet.limiter.limit = 1200
    end = run(fleet, 62, begin=end)
    before = sum(fleet.made.values())
    run(fleet, 62, begin=end)

    assert sum(fleet.made.values()) - before >= 900
    assert fleet.limiter.refused["us"] == 0


def test_one_burst_of_others_does_not_silence_us() -> None:
    fleet = Fleet(Limiter(600))
    end = run(fleet, 1)
    for _ in range(600):
        fleet.limiter.call("foreign", end)
    end = run(fleet, 61, begin=end)
    before = sum(fleet.made.values())

    run(fleet, 60, begin=end)

    assert sum(fleet.made.values()) - before > 200


def test_a_window_that_others_have_used_up_costs_a_few_probes() -> None:
    limiter = Limiter(600)
    for _ in range(600):
        limiter.call("foreign", 0)
    fleet = Fleet(limiter)

    run(fleet, 30, begin=1000)

    assert limiter.refused["us"] <= PROBES


def test_after_a_429_nobody_calls_until_the_time_it_named() -> None:
    book = Book()
    permit = take(book, Priority.DECISION, now=0, share=SHARE)
    assert isinstance(permit, Permit)

    observe(book, permit.window, RateSeen(throttled=timedelta(seconds=7)), now=10)

    for priority in Priority:
        wait = take(book, priority, now=11, share=SHARE)
        assert isinstance(wait, Wait)
        assert timedelta(seconds=6) < wait.until <= timedelta(seconds=7)
    assert isinstance(take(book, Priority.SWEEP, now=7_010, share=SHARE), Permit)


def test_probes_whose_holders_died_are_not_waited_for_long() -> None:
    book = Book()
    probes = [take(book, Priority.FETCH, now=0, share=SHARE) for _ in range(PROBES)]
    assert all(isinstance(probe, Permit) for probe in probes)

    assert isinstance(take(book, Priority.DECISION, now=PROBE_MS - 1, share=SHARE), Wait)
    assert isinstance(take(book, Priority.DECISION, now=PROBE_MS, share=SHARE), Permit)


def test_calls_whose_holders_died_count_until_the_window_ends_and_no_longer() -> None:
    book, limiter = Book(), Limiter(100)
    first = take(book, Priority.FETCH, now=0, share=1000)
    assert isinstance(first, Permit)
    observe(book, first.window, limiter.call("us", 0), now=0)
    lost = 0
    while isinstance(take(book, Priority.DECISION, now=10, share=1000), Permit):
        lost += 1
    assert lost > 90

    assert isinstance(take(book, Priority.DECISION, now=59_000, share=1000), Wait)
    assert isinstance(take(book, Priority.DECISION, now=62_000, share=1000), Permit)


def test_a_platform_without_headers_is_called_at_our_share_of_the_documented_limit() -> None:
    book = Book()
    made = 0
    for now in range(0, 59_000, 100):
        while isinstance(permit := take(book, Priority.DECISION, now=now, share=SHARE), Permit):
            made += 1
            observe(book, permit.window, NOTHING_SEEN, now=now)

    assert made == 480


def test_a_late_answer_of_an_old_window_spoils_nothing() -> None:
    book, limiter = Book(), Limiter(600)
    late = take(book, Priority.FETCH, now=0, share=SHARE)
    assert isinstance(late, Permit)
    old = limiter.call("us", 0)
    now = 62_000
    fresh = take(book, Priority.FETCH, now=now, share=SHARE)
    assert isinstance(fresh, Permit)
    observe(book, fresh.window, limiter.call("us", now), now=now)
    before = dataclasses.replace(book)

    observe(
        book, late.window, dataclasses.replace(old, remaining=0, ends_in=timedelta(seconds=0)), now=now + 100
    )

    assert book == before


@pytest.mark.parametrize("share", [0, -1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="RATE_SHARE"):
        share_in_thousandths(share)


def test_the_whole_limit_may_be_ours() -> None:
    fleet = Fleet(Limiter(600))
    store = MemoryBudgetStore(share=1.0, clock_ms=lambda: 0)

    assert isinstance(store.take(Priority.DECISION), Permit)
    assert fleet.book.limit == 600


seen = st.builds(
    RateSeen,
    limit=st.none() | st.integers(1, 1000),
    remaining=st.none() | st.integers(0, 1000),
    ends_in=st.none() | st.integers(0, 120_000).map(lambda ms: timedelta(milliseconds=ms)),
    throttled=st.none() | st.integers(1000, 300_000).map(lambda ms: timedelta(milliseconds=ms)),
)


@settings(max_examples=200)
@given(
    answers=st.lists(st.tuples(st.integers(0, 40_000), seen, st.sampled_from(Priority)), max_size=30),
    share=st.integers(1, 1000),
    seed=st.integers(0, 9),
)
def test_whatever_the_platform_tells_a_call_is_possible_again_some_day(
    answers: list[tuple[int, RateSeen, Priority]], share: int, seed: int
) -> None:
    book, now, dice = Book(), 0, random.Random(seed)  # noqa: S311 - for a test.
    permits: list[Permit] = []
    for pause, told, priority in answers:
        now += pause
        permit = take(book, priority, now=now, share=share)
        if isinstance(permit, Permit):
            permits.append(permit)
        if permits and dice.random() < 0.8:
            observe(book, permits.pop(dice.randrange(len(permits))).window, told, now=now)
        assert book.used >= book.decided >= 0
        assert book.in_flight >= 0

    waited = 0
    while isinstance(wait := take(book, Priority.DECISION, now=now, share=share), Wait):
        now += max(1, wait.until // timedelta(milliseconds=1))
        waited += 1
        assert waited < 20
