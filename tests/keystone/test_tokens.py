"""The machine token against the sandbox: fetched once, checked, dropped alone, never asked for in vain."""

import threading
from datetime import timedelta

import httpx
import pytest

from countersign.keystone import calls, token_endpoint
from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import CredentialsRefused, KeystoneError, RefusedBecause, TryAgainLater
from countersign.keystone.grants import missing_scopes, report_grants, report_grants_aside
from countersign.keystone.token_cache import MemoryTokenCache
from countersign.keystone.token_check import TokenVerify
from countersign.verdict import Decision
from tests.keystone.asking import Told, client_of, run_all
from tests.services.sandbox import SandboxProcess
from tests.services.waiting import eventually


def token_requests(sandbox: SandboxProcess) -> int:
    return int(sandbox.counts()["token_requests"])


def refused_with(error: type[KeystoneError], client: KeystoneClient) -> KeystoneError:
    with pytest.raises(error) as raised:
        client.tokens.token()
    return raised.value


def test_a_token_is_fetched_once_and_says_what_it_is(sandbox: SandboxProcess, client: KeystoneClient) -> None:
    tokens = {client.tokens.token().id for _ in range(10)}
    token = client.tokens.token()

    assert len(tokens) == token_requests(sandbox) == 1
    assert token.is_verified
    assert token.issuer == f"{sandbox.url}/"
    assert token.audience == (sandbox.audience,)
    assert token.scopes is not None
    assert "settlements:write" in token.scopes
    assert timedelta(hours=23) < token.life <= timedelta(hours=24)


def test_many_threads_that_need_one_at_once_cost_one_request(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    sandbox.set(slow_start={"seconds": 0.2, "routes": ["token"]})
    barrier = threading.Barrier(32)

    def thread() -> None:
        barrier.wait()
        client.tokens.token()

    run_all(thread, 32)

    assert token_requests(sandbox) == 1


@pytest.mark.parametrize(
    "skew_seconds", [pytest.param(420, id="issuer ahead"), pytest.param(-420, id="issuer behind")]
)
def test_a_clock_that_is_minutes_off_breaks_nothing(
    sandbox: SandboxProcess, client: KeystoneClient, skew_seconds: int
) -> None:
    sandbox.set(clock_skew_seconds=skew_seconds)

    assert client.tokens.token().is_verified
    assert client.tokens.token().life > timedelta(hours=23)


def test_without_expires_in_the_token_itself_tells(sandbox: SandboxProcess, client: KeystoneClient) -> None:
    sandbox.set(token_answer="no_expires_in")

    assert client.tokens.token().life > timedelta(hours=23)


@pytest.mark.parametrize("answer", ["expired", "wrong_audience"])
@pytest.mark.parametrize("verify", TokenVerify)
def test_a_token_that_fails_a_check_is_never_used(
    sandbox: SandboxProcess, told: Told, answer: str, verify: TokenVerify
) -> None:
    sandbox.set(token_answer=answer)

    with client_of(sandbox, told, verify=verify) as client:
        refused = refused_with(CredentialsRefused, client)

    assert isinstance(refused, CredentialsRefused)
    assert refused.why is RefusedBecause.TOKEN_NOT_GENUINE
    assert told.token == ["refused"]


UNCHECKABLE = [
    {"server_error": {"routes": ["jwks"]}},
    {"server_error": {"routes": ["discovery"]}},
    {"html_answer": {"routes": ["discovery"], "status": 200}},
    {"cut_before": {"routes": ["discovery"]}},
    {"cut_middle": {"routes": ["jwks"]}},
]


@pytest.mark.parametrize("faults", UNCHECKABLE)
def test_a_check_that_cant_be_made_stops_nobody_unless_it_is_asked_for(
    sandbox: SandboxProcess, told: Told, capsys: pytest.CaptureFixture[str], faults: dict[str, object]
) -> None:
    sandbox.set(**faults)

    with client_of(sandbox, told) as client:
        assert not client.tokens.token().is_verified
    assert told.token == ["unverified", "fetched"]
    assert "machine_token_not_verified" in capsys.readouterr().out

    with client_of(sandbox, verify=TokenVerify.REQUIRE) as client:
        refused = refused_with(CredentialsRefused, client)
    assert isinstance(refused, CredentialsRefused)
    assert refused.why is RefusedBecause.TOKEN_UNVERIFIED


def test_what_others_use_unchecked_is_not_used_where_a_check_is_asked_for(
    sandbox: SandboxProcess, told: Told
) -> None:
    shared = {"token_cache": MemoryTokenCache()}
    sandbox.set(server_error={"routes": ["jwks"]})
    with client_of(sandbox, parts=shared) as content:
        unchecked = content.tokens.token()

    with client_of(sandbox, told, parts=shared, verify=TokenVerify.REQUIRE) as strict:
        refused_with(CredentialsRefused, strict)
        refused_with(CredentialsRefused, strict)
    assert told.token == ["unverified", "refused"]

    with client_of(sandbox, parts=shared) as content:
        assert content.tokens.token().id == unchecked.id


def test_one_that_was_checked_takes_the_place_of_one_that_was_not(sandbox: SandboxProcess) -> None:
    shared = {"token_cache": MemoryTokenCache()}
    sandbox.set(server_error={"routes": ["jwks"]})
    with client_of(sandbox, parts=shared) as content:
        content.tokens.token()
    sandbox.set(server_error=False)

    with client_of(sandbox, parts=shared, verify=TokenVerify.REQUIRE) as strict:
        checked = strict.tokens.token()

    assert checked.is_verified
    with client_of(sandbox, parts=shared) as content:
        assert content.tokens.token().id == checked.id


def test_a_missing_scope_is_known_from_the_token(sandbox: SandboxProcess) -> None:
    sandbox.add_client("reader", "settlements:read")

    with client_of(sandbox, client_id="reader", client_secret="reader") as client:
        missing = missing_scopes(client.tokens.token(), (*calls.WORKER_CALLS, *calls.WEBHOOK_CALLS))

    assert [scope.scope for scope in missing] == ["settlements:write", "platform:webhooks:manage"]
    assert missing[0].calls == ("decide",)
    assert "`settlements:write`" in str(missing[0])
    assert "`decide`" in str(missing[0])
    assert "dashboard" in str(missing[0])


def test_a_client_with_all_its_scopes_misses_none(client: KeystoneClient) -> None:
    assert missing_scopes(client.tokens.token(), calls.WORKER_CALLS) == ()


DOWN = [
    {"server_error": {"routes": ["token"]}},
    {"server_error": {"routes": ["token"], "status": 500}},
    {"html_answer": {"routes": ["token"], "status": 200}},
    {"html_answer": {"routes": ["token"]}},
    {"cut_before": {"routes": ["token"]}},
    {"cut_middle": {"routes": ["token"]}},
    {"too_many_requests": {"routes": ["token"], "seconds": 9}},
]


@pytest.mark.parametrize("faults", DOWN)
def test_trouble_at_the_token_endpoint_is_for_later_and_asked_for_once(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told, faults: dict[str, object]
) -> None:
    sandbox.set(**faults)

    refusals: list[KeystoneError] = []
    run_all(lambda: refusals.append(refused_with(TryAgainLater, client)), 16)

    assert len(refusals) == 16
    assert len(told.outcomes("token")) == 1
    assert told.token == ["failed"]
    assert {type(refusal) for refusal in refusals} == {TryAgainLater}


def test_an_endpoint_that_is_too_slow_is_for_later(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_endpoint, "TIMEOUT", httpx.Timeout(0.2))
    sandbox.set(slow_start={"seconds": 1, "routes": ["token"]})

    refused_with(TryAgainLater, client)
    refused_with(TryAgainLater, client)

    assert told.outcomes("token") == ["ReadTimeout"]
    eventually(lambda: token_requests(sandbox) == 1, 5, "the sandbox has done with the request")


@pytest.mark.parametrize(
    "faults", [{}, {"retry_after": "date"}, {"retry_after": "date", "clock_skew_seconds": 420}], ids=str
)
def test_a_pause_that_the_endpoint_asks_for_is_kept(
    sandbox: SandboxProcess, client: KeystoneClient, faults: dict[str, object]
) -> None:
    sandbox.set(too_many_requests={"routes": ["token"], "seconds": 20}, **faults)

    first, second = refused_with(TryAgainLater, client), refused_with(TryAgainLater, client)

    for refused in (first, second):
        assert isinstance(refused, TryAgainLater)
        assert timedelta(seconds=15) < refused.after < timedelta(seconds=30)


def test_wrong_credentials_stop_at_once_and_say_what_to_check(sandbox: SandboxProcess, told: Told) -> None:
    with client_of(sandbox, told, client_secret="not-the-secret") as client:
        refusals = [refused_with(CredentialsRefused, client) for _ in range(5)]

    assert told.outcomes("token") == ["401"]
    assert told.token == ["refused"]
    for refused in refusals:
        assert isinstance(refused, CredentialsRefused)
        assert refused.why is RefusedBecause.CLIENT_REFUSED
        assert refused.after > timedelta(seconds=50)
        assert "CLIENT_SECRET" in str(refused)
        assert "not-the-secret" not in str(refused)


def test_a_wrong_audience_or_address_is_a_refusal_too(sandbox: SandboxProcess) -> None:
    with client_of(sandbox, audience="https://elsewhere.example") as client:
        refused_with(CredentialsRefused, client)
    with client_of(sandbox, token_url=f"{sandbox.url}/oauth/tokens") as client:
        assert "KEYSTONE_TOKEN_URL" in str(refused_with(CredentialsRefused, client))


def test_one_401_costs_a_safe_call_nothing_but_a_fresh_token(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told
) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]
    client.settlement(settlement_id)
    revoke(sandbox)

    assert client.settlement(settlement_id).id == settlement_id
    assert told.outcomes("settlement") == ["200", "401", "200"]
    assert told.token == ["fetched", "dropped", "fetched"]


def revoke(sandbox: SandboxProcess) -> None:
    assert sandbox.control.post("/tokens/revoke").is_success


def test_many_threads_that_meet_a_401_together_fetch_one_token(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]
    client.settlement(settlement_id)
    revoke(sandbox)
    barrier = threading.Barrier(16)

    def thread() -> None:
        barrier.wait()
        client.settlement(settlement_id)

    run_all(thread, 16)

    assert token_requests(sandbox) == 2


def test_a_decision_that_meets_a_401_is_not_sent_again_but_the_token_is_new(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told
) -> None:
    settlement_id = sandbox.flagged()
    client.settlement(settlement_id)
    revoke(sandbox)

    with pytest.raises(TryAgainLater) as later:
        client.decide(settlement_id, Decision.APPROVE)

    assert later.value.after == timedelta(0)
    assert told.outcomes("decide") == ["401"]
    assert client.decide(settlement_id, Decision.APPROVE).state == "COMPLIANCE_CLEARED"


def test_an_api_that_refuses_every_token_does_not_make_us_hammer_the_endpoint(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    sandbox.set(unauthorized=True)

    for _ in range(5):
        with pytest.raises(CredentialsRefused) as refused:
            client.settlement("s-1")
        assert refused.value.why is RefusedBecause.TOKEN_REFUSED

    assert token_requests(sandbox) == 2


def test_a_key_that_the_issuer_changes_is_found(sandbox: SandboxProcess, client: KeystoneClient) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]
    client.settlement(settlement_id)
    assert sandbox.control.post("/keys/rotate", json={"drop_old": True}).is_success

    client.settlement(settlement_id)

    assert client.tokens.token().is_verified


def test_a_token_that_somebody_else_replaced_already_is_not_dropped(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    old = client.tokens.token()
    client.tokens.refused(old)
    new = client.tokens.token()

    client.tokens.refused(old)

    assert client.tokens.token().id == new.id
    assert token_requests(sandbox) == 2


def test_a_start_tells_each_missing_scope_and_never_fails(
    sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.add_client("reader", "settlements:read")

    with client_of(sandbox, client_id="reader", client_secret="reader") as client:
        report_grants(client.tokens, calls.WORKER_CALLS)
    assert "settlements:write" in capsys.readouterr().out

    with client_of(sandbox, client_secret="wrong") as client:
        report_grants_aside(client.tokens, calls.WORKER_CALLS)
        eventually(lambda: not [t for t in threading.enumerate() if t.name == "keystone-grants"], 5)
    assert "no_machine_token_at_start" in capsys.readouterr().out
