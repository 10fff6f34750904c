"""The life of a token on a made-up clock: renewed ahead by one, shared by all, paused where that fails."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest

from countersign.keystone.errors import TryAgainLater
from countersign.keystone.hooks import Hooks
from countersign.keystone.jwks import IssuerKeys
from countersign.keystone.machine_token import Hidden, MachineToken
from countersign.keystone.token_cache import MemoryTokenCache
from countersign.keystone.token_endpoint import ClientCredentials, TokenEndpoint
from countersign.keystone.tokens import TokenSource
from tests.keystone.asking import Told, run_all
from tests.services.waiting import eventually


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """A token endpoint that answers as it is told, and counts."""

    def __init__(self) -> None:
        self.requests = 0
        self.respond: Callable[[], httpx.Response] = self.token
        self._numbers = count(1)

    def token(self, life_seconds: int = 86_400) -> httpx.Response:
        return httpx.Response(
            200, json={"access_token": f"token-{next(self._numbers)}", "expires_in": life_seconds}
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/oauth/token":
            return httpx.Response(503)
        self.requests += 1
        return self.respond()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


class BusyCache(MemoryTokenCache):
    """A cache in which another process can store a token between our look and our claim."""

    stored_in_between: MachineToken | None = None

    def claim(self, lease: timedelta) -> str | None:
        if self.stored_in_between is not None:
            self.store(self.stored_in_between)
        return super().claim(lease)


@pytest.fixture
def cache(clock: Clock) -> BusyCache:
    return BusyCache(clock=clock)


@pytest.fixture
def sources(
    cache: BusyCache, clock: Clock, issuer: Issuer, told: Told
) -> Iterator[Callable[[], TokenSource]]:
    """Make token sources that share a cache, as the processes of a fleet do."""
    http = httpx.Client(transport=httpx.MockTransport(issuer))
    credentials = ClientCredentials(
        token_url="https://t.example/oauth/token", audience="a", client_id="c", client_secret="s"
    )

    def make(own_cache: MemoryTokenCache | None = None) -> TokenSource:
        hooks: Hooks = told.hooks()
        keys = IssuerKeys(http, credentials.token_url)
        endpoint = TokenEndpoint(http, credentials, keys=keys, hooks=hooks)
        return TokenSource(endpoint, own_cache or cache, hooks=hooks, clock=clock)

    with http:
        yield make


HOUR = 3600.0


def test_a_token_is_renewed_ahead_by_one_while_the_others_use_the_old_one(
    sources: Callable[[], TokenSource], clock: Clock, issuer: Issuer
) -> None:
    fleet = [sources() for _ in range(8)]
    first = {source.token().value for source in fleet}
    assert first == {"token-1"}

    clock.now += 23 * HOUR
    go_on = threading.Event()

    def slowly() -> httpx.Response:
        go_on.wait(10)
        return issuer.token()

    issuer.respond = slowly
    began = time.monotonic()
    assert {source.token().value for source in fleet for _ in range(4)} == {"token-1"}
    assert time.monotonic() - began < 5
    eventually(lambda: issuer.requests == 2, 5)
    assert {source.token().value for source in fleet} == {"token-1"}
    go_on.set()

    def renewed() -> bool:
        clock.now += 2
        return {source.token().value for source in fleet} == {"token-2"}

    eventually(renewed, 10)
    assert issuer.requests == 2


def test_each_renews_at_a_moment_of_its_own(
    sources: Callable[..., TokenSource], clock: Clock, issuer: Issuer
) -> None:
    """Each has a cache of its own here, so that none takes what another has renewed."""
    fleet = [sources(MemoryTokenCache(clock=clock)) for _ in range(40)]
    for source in fleet:
        source.token()
    clock.now += 22.2 * HOUR

    for source in fleet:
        source.token()

    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "keystone-token"], 5)
    assert 40 < issuer.requests < 80


def test_a_token_is_not_renewed_before_its_time(
    sources: Callable[[], TokenSource], clock: Clock, issuer: Issuer
) -> None:
    source = sources()
    source.token()
    clock.now += 21.5 * HOUR

    source.token()

    assert issuer.requests == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "keystone-token"]


def test_a_renewal_that_cant_be_started_fails_no_caller(
    sources: Callable[[], TokenSource], clock: Clock, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sources()
    source.token()
    clock.now += 23 * HOUR

    def no_threads(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_threads)
        assert source.token().value == "token-1"
        assert source.token().value == "token-1"

    eventually(lambda: source.token().value == "token-2", 5)
    assert issuer.requests == 2


def test_an_old_token_whose_renewal_another_process_pays_for_is_replaced_without_a_request(
    sources: Callable[[], TokenSource], clock: Clock, issuer: Issuer
) -> None:
    first, second = sources(), sources()
    assert first.token().id == second.token().id
    clock.now += 23 * HOUR
    eventually(lambda: first.token().value == "token-2", 5)

    eventually(lambda: second.token().value == "token-2", 5)

    assert issuer.requests == 2


def test_a_token_about_to_end_is_not_used_any_more(sources: Callable[[], TokenSource], clock: Clock) -> None:
    source = sources()
    source.token()
    clock.now += 24 * HOUR - 5

    assert source.token().value == "token-2"
    assert sources().token().value == "token-2"


def token_of_another() -> MachineToken:
    return MachineToken(
        value=Hidden("token-of-another"), life=timedelta(days=1), expires_at=datetime(2026, 1, 2, tzinfo=UTC)
    )


def test_a_token_that_another_process_stores_in_the_last_moment_is_taken(
    sources: Callable[[], TokenSource], cache: BusyCache, issuer: Issuer
) -> None:
    cache.stored_in_between = token_of_another()

    assert sources().token().value == "token-of-another"
    assert issuer.requests == 0


def test_a_renewal_that_another_process_makes_in_the_last_moment_is_taken(
    sources: Callable[[], TokenSource], cache: BusyCache, clock: Clock, issuer: Issuer
) -> None:
    source = sources()
    source.token()
    clock.now += 23 * HOUR
    cache.stored_in_between = token_of_another()

    def renewed() -> bool:
        clock.now += 1
        return source.token().value == "token-of-another"

    eventually(renewed, 5)
    assert issuer.requests == 1


def test_an_error_that_everybody_keeps_says_when_only_once(
    sources: Callable[[], TokenSource], issuer: Issuer
) -> None:
    issuer.respond = lambda: httpx.Response(503)
    source = sources()
    for _ in range(2):
        with pytest.raises(TryAgainLater) as later:
            source.token()

    assert str(later.value).count("try again") == 1


def test_an_expiry_without_any_warning_costs_one_request(
    sources: Callable[[], TokenSource], clock: Clock, issuer: Issuer
) -> None:
    fleet = [sources() for _ in range(4)]
    for source in fleet:
        source.token()
    clock.now += 25 * HOUR
    values: list[str] = []
    owners = iter(fleet * 8)
    run_all(lambda: values.append(next(owners).token().value), 32)

    assert set(values) == {"token-2"}
    assert issuer.requests == 2


def test_an_endpoint_that_is_down_at_renewal_costs_nobody_the_token_that_lives(
    sources: Callable[[], TokenSource], clock: Clock, issuer: Issuer, told: Told
) -> None:
    source = sources()
    source.token()
    issuer.respond = lambda: httpx.Response(503)

    for _ in range(200):
        clock.now += 24 * HOUR / 205 if clock.now < 1000 + 23 * HOUR else 5
        assert source.token().value == "token-1"
        eventually(lambda: not [t for t in threading.enumerate() if t.name == "keystone-token"], 5)

    assert "failed" in told.token
    assert issuer.requests < 25

    issuer.respond = issuer.token
    clock.now += 120
    source.token()
    eventually(lambda: source.token().value == "token-2", 5)


def test_a_holder_that_dies_is_replaced_after_its_lease(
    sources: Callable[[], TokenSource], clock: Clock, issuer: Issuer
) -> None:
    cache = sources()._cache  # noqa: SLF001 - a death between claim and store can't be made otherwise.
    assert cache.claim(timedelta(seconds=20)) is not None
    waiting = sources()
    values: list[str] = []
    thread = threading.Thread(target=lambda: values.append(waiting.token().value))

    thread.start()
    thread.join(0.2)
    assert issuer.requests == 0
    clock.now += 21
    thread.join(5)

    assert values == ["token-1"]


def test_nobody_waits_longer_than_a_fetch_may_take(
    sources: Callable[[], TokenSource], clock: Clock, issuer: Issuer
) -> None:
    cache = sources()._cache  # noqa: SLF001 - the same.
    cache.claim(timedelta(days=1))
    source = sources()
    raised: list[Exception] = []

    def thread() -> None:
        try:
            source.token()
        except TryAgainLater as later:
            raised.append(later)

    waiting = threading.Thread(target=thread)
    waiting.start()
    waiting.join(0.1)
    clock.now += 30
    waiting.join(5)

    assert [str(error)[:36] for error in raised] == ["no machine token could be had in tim"]
    assert issuer.requests == 0


def test_failures_are_answered_with_longer_and_longer_pauses(
    sources: Callable[[], TokenSource], clock: Clock, issuer: Issuer
) -> None:
    source = sources()
    issuer.respond = lambda: httpx.Response(500)
    pauses: list[float] = []

    for _ in range(9):
        with pytest.raises(TryAgainLater):
            source.token()
        with pytest.raises(TryAgainLater) as paused:
            source.token()
        pauses.append(paused.value.after.total_seconds())
        clock.now += pauses[-1] + 0.01

    assert issuer.requests == 9
    assert pauses[0] < 2
    assert sorted(pauses[:6]) == pauses[:6]
    assert 55 < pauses[-1] <= 75


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"access_token": None},
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": "line\nbreak"},
        {"access_token": "ü"},
        {"access_token": "x" * 20_000},
        {"access_token": "opaque", "expires_in": 0},
        {"access_token": "opaque", "expires_in": -5},
    ],
)
def test_an_answer_without_a_usable_token_is_for_later(
    sources: Callable[[], TokenSource], issuer: Issuer, answer: object
) -> None:
    issuer.respond = lambda: httpx.Response(200, json=answer)

    with pytest.raises(TryAgainLater):
        sources().token()


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [
        (60, 60.0),
        (60.5, 60.5),
        ("60", 60.0),
        (None, 3600.0),
        ("soon", 3600.0),
        (1e40, 7 * 86_400.0),
        (10**30, 7 * 86_400.0),
    ],
)
def test_the_life_of_an_opaque_token_is_believed_within_reason(
    sources: Callable[[], TokenSource], issuer: Issuer, expires_in: object, life: float
) -> None:
    issuer.respond = lambda: httpx.Response(200, json={"access_token": "opaque", "expires_in": expires_in})

    token: MachineToken = sources().token()

    assert token.life.total_seconds() == life
    assert token.problem == "it is not a JSON Web Token"
