"""What webhooks say and how they are sent, with every fault of the sender (keystone-api.md 2.3 to 2.7)."""

import re

import httpx
import pytest

from tests.sandbox.catcher import Catcher, signature
from tests.services.sandbox import Json, SandboxProcess

pytestmark = pytest.mark.usefixtures("endpoint")

TOLD = {
    "settlement.state.instructed",
    "settlement.state.compliance_checking",
    "settlement.compliance.cleared",
    "settlement.state.compliance_cleared",
    "settlement.state.awaiting_deposits",
    "settlement.state.executing_swap",
    "settlement.state.finalized",
}

FLAG = "settlement.compliance.flagged"


def test_every_state_is_told_signed_and_in_the_documented_envelope(
    sandbox: SandboxProcess, endpoint: Json, catcher: Catcher
) -> None:
    made = sandbox.make("pass")[0]
    sandbox.wait_until_idle()
    assert set(catcher.events()) == TOLD
    assert len(catcher.caught) == len(TOLD)
    for caught in catcher.caught:
        assert caught.signatures == [signature(caught.body, endpoint["secret"])]
        assert re.fullmatch("[0-9a-f]{64}", caught.signatures[0])
        assert caught.content_type == "application/json"
        assert caught.data["settlement_id"] == made["id"]
        assert caught.data["settlement_type"] == "single_platform"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", caught.data["timestamp"])
    assert "previous_state" not in catcher.of("settlement.state.instructed")[0].data
    checking = catcher.of("settlement.state.compliance_checking")[0].data
    assert (checking["state"], checking["previous_state"]) == ("COMPLIANCE_CHECKING", "INSTRUCTED")


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("settlement", "settlement.compliance.flagged"),
        ("short", "compliance.flagged"),
        ("underscore", "settlement.compliance_flagged"),
    ],
)
def test_names_of_a_flag(sandbox: SandboxProcess, catcher: Catcher, name: str, event: str) -> None:
    sandbox.set(flag_name=name)
    sandbox.flagged()
    sandbox.wait_until_idle()
    assert event in catcher.events()


@pytest.mark.parametrize("payload", ["full", "minimal", "extra"])
def test_payloads_of_a_flag(sandbox: SandboxProcess, catcher: Catcher, payload: str) -> None:
    sandbox.set(flag_payload=payload)
    settlement_id = sandbox.flagged()
    sandbox.wait_until_idle()
    keys = set(catcher.of(FLAG)[0].data)
    envelope = {"settlement_id", "state", "previous_state", "settlement_type", "timestamp"}
    assert (
        keys
        == {
            "full": envelope,
            "minimal": {"settlement_id"},
            "extra": envelope | {"compliance", "severity"},
        }[payload]
    )
    assert catcher.of(FLAG)[0].data["settlement_id"] == settlement_id


def test_timestamps_may_have_fractions(sandbox: SandboxProcess, catcher: Catcher) -> None:
    sandbox.set(webhook_timestamp="fraction")
    sandbox.flagged()
    sandbox.wait_until_idle()
    assert re.search(r"\.\d{6}Z$", catcher.of(FLAG)[0].data["timestamp"])


def test_silence(sandbox: SandboxProcess, catcher: Catcher) -> None:
    sandbox.set(webhook_silence={"events": [FLAG]})
    settlement_id = sandbox.flagged()
    sandbox.wait_until_idle()
    assert catcher.of(FLAG) == []
    assert "settlement.state.compliance_checking" in catcher.events()
    assert sandbox.settlement(settlement_id)["paused"]


def test_duplicates(sandbox: SandboxProcess, catcher: Catcher) -> None:
    sandbox.set(webhook_duplicate={"events": [FLAG]})
    sandbox.flagged()
    sandbox.wait_until_idle()
    first, second = catcher.of(FLAG)
    assert first.body == second.body
    assert [each["attempt"] for each in sandbox.deliveries() if each["event"] == FLAG] == [1, 1]


def test_delay(sandbox: SandboxProcess, catcher: Catcher) -> None:
    sandbox.set(webhook_delay={"events": [FLAG], "seconds": 0.3})
    settlement_id = sandbox.flagged()
    assert catcher.of(FLAG) == []
    sandbox.decide(settlement_id, "approve")
    sandbox.wait_until_idle()
    assert catcher.events().index(FLAG) > catcher.events().index("settlement.state.compliance_cleared")


def test_shuffle_loses_the_order_but_no_event(sandbox: SandboxProcess, catcher: Catcher) -> None:
    sandbox.set(webhook_shuffle=True)
    sandbox.make("pass", count=3)
    sandbox.wait_until_idle()
    told = catcher.events()
    assert len(told) == 21
    assert told != sorted(told, key=told.index)


def test_a_bad_signature(sandbox: SandboxProcess, endpoint: Json, catcher: Catcher) -> None:
    sandbox.set(webhook_bad_signature={"events": [FLAG]})
    sandbox.flagged()
    sandbox.wait_until_idle()
    for caught in catcher.caught:
        assert caught.is_signed_with(endpoint["secret"]) == (caught.event != FLAG)


@pytest.mark.parametrize(
    ("wish", "body"),
    [
        (
            {"body": {"event": "settlement.unheard_of", "data": {}}},
            b'{"event":"settlement.unheard_of","data":{}}',
        ),
        ({"text": "{broken"}, b"{broken"),
    ],
)
def test_a_body_of_ones_own(
    sandbox: SandboxProcess, endpoint: Json, catcher: Catcher, wish: Json, body: bytes
) -> None:
    sandbox.emit(**wish)
    sandbox.wait_until_idle()
    assert catcher.caught[0].body == body
    assert catcher.caught[0].is_signed_with(endpoint["secret"])


def test_each_delivery_is_on_record(sandbox: SandboxProcess, endpoint: Json, catcher: Catcher) -> None:
    made = sandbox.make("pass")[0]
    sandbox.wait_until_idle()
    deliveries = sandbox.deliveries()
    assert len(deliveries) == len(catcher.caught) == 7
    assert {each["settlement_id"] for each in deliveries} == {made["id"]}
    assert {each["endpoint_id"] for each in deliveries} == {endpoint["id"]}
    assert {(each["attempt"], each["status"], each["error"]) for each in deliveries} == {(1, 202, None)}
    assert sandbox.counts()["deliveries"] == {"202": 7}


def test_the_log_of_the_api_names_no_settlement(
    api: httpx.Client, sandbox: SandboxProcess, endpoint: Json
) -> None:
    made = sandbox.make("pass")[0]
    sandbox.wait_until_idle()
    answer = api.get(f"/v1/platforms/me/webhooks/{endpoint['id']}/deliveries", params={"limit": 3})
    assert (answer.json()["total"], len(answer.json()["items"])) == (7, 3)
    assert made["id"] not in answer.text
