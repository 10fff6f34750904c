"""The whole table of keystone-api.md 4.1, and what lies around it: to a safe call and to a decision."""

from datetime import timedelta
from urllib.parse import unquote

import httpx
import pytest

from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import (
    CredentialsRefused,
    KeystoneError,
    NotFound,
    OutcomeUnknown,
    RequestRefused,
    StateConflict,
    TryAgainLater,
)
from countersign.verdict import Decision
from tests.keystone.asking import Told, client_with_network
from tests.services.sandbox import SandboxProcess

REFUSED = [
    (400, RequestRefused),
    (403, CredentialsRefused),
    (404, NotFound),
    (405, RequestRefused),
    (409, StateConflict),
    (422, RequestRefused),
    (425, TryAgainLater),
    (429, TryAgainLater),
]
"""The platform looked at the request and did not do it: the same for every call."""

MAYBE_DONE = [
    (302, RequestRefused),
    (408, TryAgainLater),
    (500, TryAgainLater),
    (501, TryAgainLater),
    (502, TryAgainLater),
    (503, TryAgainLater),
    (504, TryAgainLater),
]
"""Nobody says whether it was done: harmless for a safe call, unknown for a decision."""


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_decision_with_any_success_status_is_done(
    sandbox: SandboxProcess, client: KeystoneClient, status: int
) -> None:
    sandbox.set(decision_status=status)

    decided = client.decide(sandbox.flagged(), Decision.APPROVE)

    assert decided.state == "COMPLIANCE_CLEARED"


@pytest.mark.parametrize(("status", "error"), REFUSED + MAYBE_DONE)
def test_what_a_status_means_to_a_safe_call(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told, status: int, error: type[KeystoneError]
) -> None:
    sandbox.set(server_error={"status": status})

    with pytest.raises(error) as raised:
        client.settlement("s-1")

    assert type(raised.value) is error
    assert raised.value.status == status
    assert told.outcomes("settlement") == [str(status)] * (2 if status >= 500 else 1)


@pytest.mark.parametrize(
    ("status", "error"), REFUSED + [(status, OutcomeUnknown) for status, _ in MAYBE_DONE]
)
def test_what_a_status_means_to_a_decision_which_is_sent_once(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told, status: int, error: type[KeystoneError]
) -> None:
    settlement_id = sandbox.flagged()
    sandbox.set(server_error={"status": status, "routes": ["decision"]})

    with pytest.raises(error) as raised:
        client.decide(settlement_id, Decision.REJECT)

    assert type(raised.value) is error
    assert raised.value.status == status
    assert told.outcomes("decide") == [str(status)]
    assert len(sandbox.decisions()) == 1


def test_a_safe_call_is_repeated_once_after_a_server_error(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told
) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]
    sandbox.set(server_error={"count": 1})

    assert client.settlement(settlement_id).id == settlement_id
    assert told.outcomes("settlement") == ["503", "200"]


@pytest.mark.parametrize("skew_seconds", [0, 420, -420])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_refusal_says_when_to_come_back_and_is_not_repeated(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told, form: str, skew_seconds: int
) -> None:
    sandbox.set(too_many_requests={"seconds": 30}, retry_after=form, clock_skew_seconds=skew_seconds)

    with pytest.raises(TryAgainLater) as later:
        client.settlement("s-1")

    assert timedelta(seconds=28) < later.value.after <= timedelta(seconds=31)
    assert told.outcomes("settlement") == ["429"]


def test_a_refusal_without_a_time_is_bounded_too(sandbox: SandboxProcess, client: KeystoneClient) -> None:
    sandbox.set(too_many_requests=True, retry_after="absent")

    with pytest.raises(TryAgainLater) as later:
        client.settlement("s-1")

    assert later.value.after == timedelta(seconds=2)


def test_an_html_page_from_a_proxy_is_judged_by_its_status(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    sandbox.set(html_answer=True)

    with pytest.raises(TryAgainLater):
        client.settlement("s-1")


def test_the_documented_422_and_404_come_as_themselves(client: KeystoneClient) -> None:
    with pytest.raises(NotFound):
        client.settlement("no such settlement")
    with pytest.raises(RequestRefused) as refused:
        client.settlements(limit=100_000)
    assert refused.value.status == 422


def test_a_second_decision_meets_the_documented_conflict(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    settlement_id = sandbox.flagged()
    client.decide(settlement_id, Decision.APPROVE)

    with pytest.raises(StateConflict):
        client.decide(settlement_id, Decision.APPROVE)


@pytest.mark.parametrize("settlement_id", ["", ".", ".."])
def test_an_id_that_is_a_step_in_a_path_is_not_sent(
    client: KeystoneClient, told: Told, settlement_id: str
) -> None:
    with pytest.raises(RequestRefused):
        client.settlement(settlement_id)

    assert told.calls == []


@pytest.mark.parametrize("settlement_id", ["a/b", "a?b=c", "a#b", "ä b", "%2e", "../me", "stl-7:x;y@z"])
def test_an_id_is_opaque_and_stays_one_step_of_the_path(settlement_id: str) -> None:
    asked: list[bytes] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return httpx.Response(404)

    with client_with_network(respond) as client, pytest.raises(NotFound):
        client.settlement(settlement_id)

    before, _, step = asked[0].rpartition(b"/")
    assert before == b"/v1/settlements"
    assert unquote(step.decode()) == settlement_id
