"""The client's methods against the sandbox: each call, both generations, and what every request carries."""

import gzip
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from countersign.keystone import calls
from countersign.keystone.assembly import KeystoneAccess, keystone_client
from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import NotFound, OutcomeUnknown
from countersign.keystone.exchange import USER_AGENT
from countersign.verdict import Decision
from tests.keystone.asking import SETTLEMENT, Told, access_to, client_of, client_with_network
from tests.services.sandbox import SandboxProcess


def test_a_settlement_is_read_with_its_exact_amounts(sandbox: SandboxProcess, client: KeystoneClient) -> None:
    made = sandbox.make("pass", quantity="1234567.000000000000000089", name="Acme")[0]

    settlement = client.settlement(made["id"])

    assert settlement.template == made["template_slug"]
    assert Decimal("1234567.000000000000000089") in {leg.quantity for leg in settlement.legs}
    assert "Acme" in {party.name for party in settlement.parties}


@pytest.mark.parametrize(
    "switches", [{}, {"generation": "old", "nullable_keys": "absent", "id_form": "prefixed"}]
)
def test_both_generations_of_the_api_are_read_alike(
    sandbox: SandboxProcess, client: KeystoneClient, switches: dict[str, str]
) -> None:
    sandbox.set(**switches)

    settlement = client.settlement(sandbox.flagged())

    assert settlement.state == "COMPLIANCE_CHECKING"
    assert {leg.leg_type for leg in settlement.legs} == {"asset_delivery", "payment"}
    assert settlement.timeout_at is not None


def test_deposit_secrets_that_the_platform_sends_come_no_further(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    settlement_id = sandbox.make("pass", deposits=False)[0]["id"]
    sandbox.wait_for_state(settlement_id, "AWAITING_DEPOSITS")
    with sandbox.api() as api:
        sent = api.get(f"/v1/settlements/{settlement_id}").json()
    secrets = [leg["deposit_secret"] for leg in sent["legs"] if leg.get("deposit_secret")]
    assert secrets

    settlement, history = client.settlement(settlement_id), client.history(settlement_id)

    read = json.dumps(settlement.to_plain()) + repr(settlement) + repr(history)
    assert not [secret for secret in secrets if secret in read]


@pytest.mark.parametrize("hash_field", ["content_hash", "evidence_hash"])
def test_a_history_comes_whole_and_in_order(
    sandbox: SandboxProcess, client: KeystoneClient, hash_field: str
) -> None:
    sandbox.set(hash_field=hash_field)
    settlement_id = sandbox.flagged()
    client.decide(settlement_id, Decision.REJECT)

    history = client.history(settlement_id)

    assert [event.sequence for event in history] == list(range(1, len(history) + 1))
    assert history[-1].to_state == "ROLLED_BACK"
    assert all(event.content_hash and event.created_at for event in history)


def test_a_long_history_is_read_page_by_page_and_without_repeats() -> None:
    """Offsets over a list that grows can repeat an entry (keystone-api.md 4.5)."""
    entries = [{"id": str(n), "sequence": n, "to_state": "X"} for n in range(450, 0, -1)]
    asked: list[int] = []

    def respond(request: httpx.Request) -> httpx.Response:
        limit, offset = int(request.url.params["limit"]), int(request.url.params["offset"])
        asked.append(offset)
        shifted = max(offset - 1, 0)
        page = {"items": entries[shifted : shifted + limit], "total": 450, "limit": limit, "offset": offset}
        return httpx.Response(200, json=page)

    with client_with_network(respond) as client:
        history = client.history("s-1")

    assert asked == [0, 200, 400]
    assert len(history) == len({event.sequence for event in history})
    assert [event.sequence for event in history] == sorted(event.sequence for event in history)


def test_a_list_without_end_is_given_up() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        offset = int(request.url.params["offset"])
        item = {"sequence": offset}
        return httpx.Response(200, json={"items": [item], "total": 10**9, "limit": 200, "offset": offset})

    with client_with_network(respond) as client:
        assert len(client.history("s-1")) == 50


def test_settlements_are_listed_by_state_and_in_pages(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    flagged = {sandbox.flagged() for _ in range(3)}
    sandbox.make("pass", count=2)
    sandbox.wait_until_idle()

    first = client.settlements(state="COMPLIANCE_CHECKING", limit=2)
    second = client.settlements(state="COMPLIANCE_CHECKING", limit=2, offset=first.next_offset or 0)

    assert (first.total, first.next_offset, second.next_offset) == (3, 2, None)
    assert {settlement.id for settlement in (*first.items, *second.items)} == flagged


@pytest.mark.parametrize(
    ("decision", "state"), [(Decision.APPROVE, "COMPLIANCE_CLEARED"), (Decision.REJECT, "ROLLED_BACK")]
)
def test_a_decision_takes_effect(
    sandbox: SandboxProcess, client: KeystoneClient, decision: Decision, state: str
) -> None:
    settlement_id = sandbox.flagged()

    assert client.decide(settlement_id, decision).state == state
    assert [(each["decision"], each["applied"]) for each in sandbox.decisions()] == [(decision, True)]


def test_nothing_but_a_decision_can_be_decided(client: KeystoneClient, told: Told) -> None:
    with pytest.raises(ValueError, match="hold"):
        client.decide("s-1", "hold")  # type: ignore[arg-type]  # What a caller without types could pass.

    assert told.calls == []


def test_a_webhook_endpoint_lives_its_whole_life(client: KeystoneClient) -> None:
    made = client.create_webhook_endpoint(
        url="https://example.com/hook", events=["compliance.*"], description="d"
    )
    assert made.secret
    assert made.secret not in repr(made)
    assert (made.url, made.events, made.description, made.is_active) == (
        "https://example.com/hook",
        ("compliance.*",),
        "d",
        True,
    )

    assert [endpoint.id for endpoint in client.webhook_endpoints()] == [made.id]
    assert client.webhook_endpoint(made.id).secret is None
    changed = client.update_webhook_endpoint(
        made.id, url="https://example.com/b", events=["*"], is_active=False
    )
    assert (changed.url, changed.events, changed.is_active) == ("https://example.com/b", ("*",), False)

    rotated = client.rotate_webhook_secret(made.id)
    assert rotated.secret != made.secret
    assert rotated.secret not in repr(rotated)
    assert rotated.previous_valid_until is not None

    client.delete_webhook_endpoint(made.id)
    with pytest.raises(NotFound):
        client.webhook_endpoint(made.id)


def test_a_test_delivery_shows_in_the_delivery_log(sandbox: SandboxProcess, client: KeystoneClient) -> None:
    endpoint = client.create_webhook_endpoint(url=f"{sandbox.url}/nothing-here", secret="whsec_own")

    tested = client.test_webhook_endpoint(endpoint.id)
    deliveries = client.webhook_deliveries(endpoint.id, limit=10)

    assert endpoint.secret == "whsec_own"
    assert (tested.success, tested.status_code) == (False, 404)
    assert [(row.event, row.success, row.response_status) for row in deliveries.items] == [
        ("test.ping", False, 404)
    ]
    assert deliveries.items[0].endpoint_id == endpoint.id


def test_a_call_that_changes_something_is_sent_once_too(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told
) -> None:
    sandbox.set(cut_after={"routes": ["webhook_create"]})

    with pytest.raises(OutcomeUnknown):
        client.create_webhook_endpoint(url="https://example.com/hook")

    assert len(told.outcomes("webhook_create")) == 1


def requests_of(**changes: Any) -> list[httpx.Request]:  # noqa: ANN401 - of `KeystoneAccess`.
    asked: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        body = {"access_token": "t", "expires_in": 60} if request.url.path == "/oauth/token" else SETTLEMENT
        return httpx.Response(200, json=body)

    access = KeystoneAccess(
        **{
            "api_url": "https://api.example",
            "token_url": "https://token.example/oauth/token",
            "audience": "https://api.example",
            "client_id": "client",
            "client_secret": "secret",
            **changes,
        }
    )
    with keystone_client(access, http_transport=httpx.MockTransport(respond)) as client:
        client.settlement("s-1")
        client.decide("s-1", Decision.APPROVE)
    return asked


def test_every_request_says_who_asks_and_for_which_version() -> None:
    token_request, read, decide = requests_of(version="0.1.0")

    assert json.loads(token_request.content) == {
        "client_id": "client",
        "client_secret": "secret",
        "audience": "https://api.example",
        "grant_type": "client_credentials",
    }
    for request in (read, decide):
        assert request.headers["Authorization"] == "Bearer t"
        assert request.headers["User-Agent"] == USER_AGENT
        assert request.headers["Keystone-Version"] == "0.1.0"
        assert "gzip" in request.headers["Accept-Encoding"]
    for request in (token_request, read, decide):
        limits = request.extensions["timeout"]
        assert set(limits) == {"connect", "read", "write", "pool"}
        assert all(0 < seconds <= 5 for seconds in limits.values())
    assert decide.content == b'{"decision":"approve"}'


def test_an_answer_that_comes_packed_is_read() -> None:
    packed = httpx.Response(
        200, content=gzip.compress(json.dumps(SETTLEMENT).encode()), headers={"Content-Encoding": "gzip"}
    )

    with client_with_network(lambda _: packed) as client:
        assert client.settlement("s-1").id == "s-1"


def test_without_a_version_none_is_asked_for() -> None:
    assert "Keystone-Version" not in requests_of(version=None)[1].headers


def test_another_version_in_the_answer_is_warned_of_once(
    sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]

    with client_of(sandbox, version="9.9.9") as client:
        client.settlement(settlement_id)
        client.settlement(settlement_id)

    assert capsys.readouterr().out.count("keystone_version_differs") == 1


def test_connections_are_kept_and_shared(sandbox: SandboxProcess, client: KeystoneClient) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]
    pool = client._http._transport._pool  # type: ignore[attr-defined] # noqa: SLF001 - httpx shows it nowhere.

    for _ in range(5):
        client.settlement(settlement_id)

    assert len(pool.connections) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"api_url": "api.example"},
        {"token_url": "auth.example"},
        {"token_url": "ftp://auth.example"},
        {"api_url": "https://"},
        {"api_url": "https://exa mple:x"},
    ],
)
def test_an_address_that_is_not_whole_is_refused(sandbox: SandboxProcess, changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"KEYSTONE_(API|TOKEN)_URL"):
        keystone_client(access_to(sandbox, **changes))


def test_an_address_without_tls_is_warned_of(
    sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    keystone_client(access_to(sandbox, api_url="http://api.example")).close()

    assert "keystone_address_is_not_https" in capsys.readouterr().out


def test_every_call_of_the_table_is_one_that_the_platform_has(sandbox: SandboxProcess) -> None:
    """A path that is misspelt would answer 404 for ever, which looks like a settlement that is not there."""
    with sandbox.api() as api:
        for call in (*calls.WORKER_CALLS, *calls.WEBHOOK_CALLS):
            api.request(
                call.method, call.url(*["x"] * call.path.count("{}")), json={"url": "https://example.com"}
            )

    assert "unknown" not in sandbox.counts()["calls_by_route"]
