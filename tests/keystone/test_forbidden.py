"""A 403 has three causes and one status: told apart as far as the answer allows, each with its advice."""

import httpx
import pytest

from countersign.keystone.errors import CredentialsRefused, RefusedBecause
from countersign.verdict import Decision
from tests.keystone.asking import client_of, client_with_network
from tests.services.sandbox import SandboxProcess


def refusal_of(answer: httpx.Response) -> CredentialsRefused:
    with client_with_network(lambda _: answer) as client, pytest.raises(CredentialsRefused) as refused:
        client.settlement("s-1")
    return refused.value


def test_a_scope_that_the_token_lacks_is_named_with_its_call_and_where_to_grant_it(
    sandbox: SandboxProcess,
) -> None:
    settlement_id = sandbox.flagged()
    sandbox.add_client("reader", "settlements:read")

    with (
        client_of(sandbox, client_id="reader", client_secret="reader") as client,
        pytest.raises(CredentialsRefused) as refused,
    ):
        client.decide(settlement_id, Decision.APPROVE)

    assert refused.value.why is RefusedBecause.SCOPE_MISSING
    for named in ("`decide`", "`settlements:write`", "dashboard"):
        assert named in str(refused.value)


@pytest.mark.parametrize(
    ("detail", "why"),
    [
        ("Missing required scope: settlements:read", RefusedBecause.SCOPE_MISSING),
        ("Insufficient permissions", RefusedBecause.SCOPE_MISSING),
        ("Platform is suspended", RefusedBecause.PLATFORM_SUSPENDED),
        ("Environment deactivated", RefusedBecause.PLATFORM_SUSPENDED),
        ("IP address not in allowlist", RefusedBecause.ADDRESS_NOT_ALLOWED),
        ("Forbidden", RefusedBecause.UNCLEAR),
        ("", RefusedBecause.UNCLEAR),
        (None, RefusedBecause.UNCLEAR),
        ([{"loc": [], "msg": "IP not allowed", "type": "x"}], RefusedBecause.ADDRESS_NOT_ALLOWED),
        ([7], RefusedBecause.UNCLEAR),
        ({"nested": "scope"}, RefusedBecause.UNCLEAR),
    ],
)
def test_where_the_token_does_not_tell_the_text_gives_a_hint(detail: object, why: RefusedBecause) -> None:
    assert refusal_of(httpx.Response(403, json={"detail": detail})).why is why


def test_the_standard_header_tells_of_a_scope() -> None:
    header = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}

    assert refusal_of(httpx.Response(403, headers=header)).why is RefusedBecause.SCOPE_MISSING


@pytest.mark.parametrize("answer", [httpx.Response(403, html="<h1>Blocked</h1>"), httpx.Response(403)])
def test_where_nothing_tells_all_three_causes_are_named(answer: httpx.Response) -> None:
    refused = refusal_of(answer)

    assert refused.why is RefusedBecause.UNCLEAR
    for named in ("scope", "suspended", "allowlist"):
        assert named in str(refused)


def test_our_own_address_is_named_where_it_is_known(sandbox: SandboxProcess) -> None:
    sandbox.set(server_error={"status": 403})

    with (
        client_of(sandbox, egress_address="203.0.113.7") as client,
        pytest.raises(CredentialsRefused, match=r"we call from 203\.0\.113\.7"),
    ):
        client.settlement("s-1")
    with client_of(sandbox) as client, pytest.raises(CredentialsRefused) as refused:
        client.settlement("s-1")
    assert "we call from" not in str(refused.value)


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        (("8.8.8.8", 1234), 1),
        (("2606:4700::1111", 1234, 0, 0), 1),
        (("192.168.1.5", 1234), 0),
        (("unix", 0), 0),
        ((), 0),
    ],
)
def test_an_address_of_this_host_is_named_only_if_it_is_a_public_one(
    ours: tuple[object, ...], told: int
) -> None:
    class Stream:
        def get_extra_info(self, _name: str) -> tuple[object, ...]:
            return ours

    refused = refusal_of(httpx.Response(403, extensions={"network_stream": Stream()}))

    assert str(refused).count("we call from") == told


def test_the_text_of_the_answer_is_never_repeated() -> None:
    assert "hunter2" not in str(refusal_of(httpx.Response(403, json={"detail": "hunter2 scope"})))
