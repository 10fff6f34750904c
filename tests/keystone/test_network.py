"""Connections that break, answers that come late or in part: what is certain, and what is not."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import AnswerUnreadable, OutcomeUnknown, TryAgainLater
from countersign.keystone.reading import LARGEST_BODY
from countersign.verdict import Decision
from tests.keystone.asking import READ_SECONDS, SETTLEMENT, Told, client_of, client_with_network
from tests.services.ports import free_port
from tests.services.sandbox import SandboxProcess

NOTHING_SENT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError]
MAYBE_SENT = [
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
]


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "cut_middle"])
def test_a_safe_call_survives_one_connection_that_breaks(
    sandbox: SandboxProcess, client: KeystoneClient, fault: str
) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]
    sandbox.set(**{fault: {"count": 1}})

    assert client.settlement(settlement_id).id == settlement_id


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "cut_middle"])
def test_a_safe_call_that_breaks_again_is_for_later(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told, fault: str
) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]
    sandbox.set(**{fault: True})

    with pytest.raises(TryAgainLater):
        client.settlement(settlement_id)

    assert len(told.outcomes("settlement")) == 2


@pytest.mark.parametrize(
    ("fault", "status", "applied"),
    [("cut_before", None, []), ("cut_after", None, ["approve"]), ("cut_middle", 200, ["approve"])],
)
def test_a_decision_whose_answer_is_lost_is_unknown_and_never_sent_again(
    sandbox: SandboxProcess, client: KeystoneClient, fault: str, status: int | None, applied: list[str]
) -> None:
    settlement_id = sandbox.flagged()
    sandbox.set(**{fault: {"routes": ["decision"]}})

    with pytest.raises(OutcomeUnknown) as unknown:
        client.decide(settlement_id, Decision.APPROVE)

    assert unknown.value.status == status
    assert [each["decision"] for each in sandbox.decisions() if each["applied"]] == applied
    assert len(sandbox.decisions()) == 1


def test_a_decision_that_is_answered_too_late_is_unknown_and_never_sent_again(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    settlement_id = sandbox.flagged()
    sandbox.set(slow_answer={"seconds": 3 * READ_SECONDS, "routes": ["decision"]})

    with pytest.raises(OutcomeUnknown):
        client.decide(settlement_id, Decision.APPROVE)

    sandbox.wait_for_state(settlement_id, "FINALIZED")
    assert len(sandbox.decisions()) == 1


def test_a_safe_call_that_is_answered_too_late_is_not_repeated(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told
) -> None:
    sandbox.set(slow_answer={"seconds": 2 * READ_SECONDS})

    with pytest.raises(TryAgainLater):
        client.settlement("s-1")

    assert told.outcomes("settlement") == ["ReadTimeout"]


def test_nothing_was_sent_where_nobody_listens(sandbox: SandboxProcess, told: Told) -> None:
    with (
        client_of(sandbox, told, api_url=f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(TryAgainLater),
    ):
        client.decide("s-1", Decision.APPROVE)

    assert told.outcomes("decide") == ["ConnectError"]


def raising(error: type[httpx.HTTPError]) -> Callable[[httpx.Request], httpx.Response]:
    def respond(_request: httpx.Request) -> httpx.Response:
        raise error("made up")

    return respond


@pytest.mark.parametrize("error", NOTHING_SENT)
def test_a_decision_that_certainly_was_not_sent_is_for_later(
    told: Told, error: type[httpx.HTTPError]
) -> None:
    with client_with_network(raising(error), told) as client, pytest.raises(TryAgainLater):
        client.decide("s-1", Decision.APPROVE)

    assert told.outcomes("decide") == [error.__name__]


@pytest.mark.parametrize("error", MAYBE_SENT)
def test_a_decision_that_may_have_been_sent_is_unknown(told: Told, error: type[httpx.HTTPError]) -> None:
    with client_with_network(raising(error), told) as client, pytest.raises(OutcomeUnknown) as unknown:
        client.decide("s-1", Decision.APPROVE)

    assert unknown.value.status is None
    assert told.outcomes("decide") == [error.__name__]


@pytest.mark.parametrize("error", [*NOTHING_SENT, *MAYBE_SENT])
def test_a_safe_call_is_for_later_however_the_network_fails(error: type[httpx.HTTPError]) -> None:
    with client_with_network(raising(error)) as client, pytest.raises(TryAgainLater):
        client.settlement("s-1")


UNREADABLE = {
    "html": httpx.Response(200, html="<h1>Welcome</h1>"),
    "empty": httpx.Response(204),
    "no settlement": httpx.Response(202, json={"status": "accepted"}),
    "a list": httpx.Response(200, json=[]),
    "nested too deep": httpx.Response(200, content=b"[" * 100_000),
    "garbled": httpx.Response(200, content=b"{", headers={"Content-Encoding": "identity"}),
    "too long": httpx.Response(200, content=b" " * (LARGEST_BODY + 1)),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_safe_call_whose_answer_cant_be_used_says_so(case: str) -> None:
    with client_with_network(lambda _: UNREADABLE[case]) as client, pytest.raises(AnswerUnreadable) as raised:
        client.settlement("s-1")

    assert raised.value.status == UNREADABLE[case].status_code


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_decision_answered_2xx_with_what_cant_be_used_is_unknown(case: str) -> None:
    with client_with_network(lambda _: UNREADABLE[case]) as client, pytest.raises(OutcomeUnknown) as raised:
        client.decide("s-1", Decision.APPROVE)

    # A page of a proxy is not the platform's word: nobody may take it for a yes.
    assert raised.value.status == (None if case == "html" else UNREADABLE[case].status_code)


def test_a_body_that_drips_does_not_hold_the_thread() -> None:
    """httpx bounds only the wait for each piece of a body, so a trickle would never time out."""

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                time.sleep(0.02)
                yield b" "

    began = time.monotonic()
    with (
        client_with_network(lambda _: httpx.Response(200, stream=Drip()), read_seconds=0.2) as client,
        pytest.raises(AnswerUnreadable),
    ):
        client.settlement("s-1")

    assert time.monotonic() - began < 3


def test_a_decision_that_waited_too_long_for_its_turn_is_not_sent(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told
) -> None:
    settlement_id = sandbox.flagged()

    with pytest.raises(TryAgainLater, match="nothing was sent"):
        client.decide(settlement_id, Decision.APPROVE, send_by=time.monotonic() - 1)

    assert told.outcomes("decide") == []
    assert sandbox.decisions() == []


def test_a_settlement_that_lacks_its_state_is_unusable() -> None:
    body = {**SETTLEMENT, "state": None}

    with (
        client_with_network(lambda _: httpx.Response(200, json=body)) as client,
        pytest.raises(AnswerUnreadable, match="`state`"),
    ):
        client.settlement("s-1")
