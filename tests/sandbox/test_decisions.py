"""Decisions: what is answered, what is recorded, and what the switches change (keystone-api.md 3.5)."""

import httpx
import pytest

from tests.services.sandbox import Json, SandboxProcess


def decide(api: httpx.Client, settlement_id: str, body: object) -> httpx.Response:
    return api.post(f"/v1/settlements/{settlement_id}/compliance-decision", json=body)


def newest_event(api: httpx.Client, settlement_id: str) -> Json:
    event: Json = api.get(f"/v1/settlements/{settlement_id}/events").json()["items"][-1]
    return event


def test_only_one_decision_is_applied(sandbox: SandboxProcess, api: httpx.Client) -> None:
    settlement_id = sandbox.flagged()
    first = decide(api, settlement_id, {"decision": "reject"})
    second = decide(api, settlement_id, {"decision": "approve"})
    assert (first.status_code, second.status_code) == (200, 409)
    assert second.json() == {"detail": "Settlement is not awaiting a compliance decision"}
    assert sandbox.settlement(settlement_id)["state"] == "ROLLED_BACK"
    recorded = [(each["decision"], each["status"], each["applied"]) for each in sandbox.decisions()]
    assert recorded == [("reject", 200, True), ("approve", 409, False)]
    flag = sandbox.settlement(settlement_id)["flags"][0]
    assert [each["decision"] for each in flag["applied"]] == ["reject"]
    assert sandbox.decisions()[0]["pause_sequence"] == flag["pause_sequence"] == 2


def test_one_that_is_still_being_screened_awaits_none(sandbox: SandboxProcess, api: httpx.Client) -> None:
    made = sandbox.make("stuck")[0]
    assert decide(api, made["id"], {"decision": "approve"}).status_code == 409


@pytest.mark.parametrize(
    ("body", "status", "decision"),
    [
        ({"decision": "maybe"}, 422, "maybe"),
        ({"decision": None}, 422, None),
        ({}, 400, None),
        ([], 422, None),
    ],
)
def test_a_decision_that_is_none(
    sandbox: SandboxProcess, api: httpx.Client, body: object, status: int, decision: str | None
) -> None:
    settlement_id = sandbox.flagged()
    assert decide(api, settlement_id, body).status_code == status
    record = sandbox.decisions()[0]
    assert (record["status"], record["decision"], record["applied"]) == (status, decision, False)
    assert sandbox.settlement(settlement_id)["paused"]


def test_broken_json(sandbox: SandboxProcess, api: httpx.Client) -> None:
    path = f"/v1/settlements/{sandbox.flagged()}/compliance-decision"
    answer = api.post(path, content=b'{"decision": "approve"')
    assert (answer.status_code, answer.json()) == (400, {"detail": "Malformed JSON"})


def test_json_that_is_nested_too_deeply(sandbox: SandboxProcess, api: httpx.Client) -> None:
    path = f"/v1/settlements/{sandbox.flagged()}/compliance-decision"
    assert api.post(path, content=b'{"decision": ' + b"[" * 100_000).status_code == 400


def test_an_unknown_settlement(sandbox: SandboxProcess, api: httpx.Client) -> None:
    assert decide(api, "no-such", {"decision": "approve"}).status_code == 404
    assert sandbox.decisions()[0]["status"] == 404


@pytest.mark.parametrize("status", [200, 201, 202])
def test_success_may_have_any_of_three_statuses(
    sandbox: SandboxProcess, api: httpx.Client, status: int
) -> None:
    sandbox.set(decision_status=status)
    assert decide(api, sandbox.flagged(), {"decision": "approve"}).status_code == status
    assert sandbox.decisions()[0]["status"] == status


def test_the_effect_may_come_later(sandbox: SandboxProcess) -> None:
    sandbox.reset(step_seconds=0.3)
    sandbox.set(decision_effect="later")
    with sandbox.api() as api:
        settlement_id = sandbox.flagged()
        answer = decide(api, settlement_id, {"decision": "reject"})
        assert (answer.status_code, answer.json()["state"]) == (200, "COMPLIANCE_CHECKING")
        assert api.get(f"/v1/settlements/{settlement_id}").json()["state"] == "COMPLIANCE_CHECKING"
        assert decide(api, settlement_id, {"decision": "reject"}).status_code == 409
        sandbox.wait_for_state(settlement_id, "ROLLED_BACK")


def test_a_repeat_may_be_accepted_and_changes_nothing(sandbox: SandboxProcess, api: httpx.Client) -> None:
    sandbox.set(decision_repeat="accepted")
    settlement_id = sandbox.flagged()
    statuses = [
        decide(api, settlement_id, {"decision": decision}).status_code
        for decision in ("reject", "reject", "approve")
    ]
    assert statuses == [200, 200, 409]
    assert [each["applied"] for each in sandbox.decisions()] == [True, False, False]


@pytest.mark.parametrize(
    ("switches", "triggered_by", "payload"),
    [
        ({}, "m2m:sandbox-client", {"decision": "reject"}),
        ({"decision_history": "null"}, "m2m:sandbox-client", None),
        ({"decision_history": "engine"}, "system:engine", None),
        ({"decision_author": "platform"}, "m2m:platform", {"decision": "reject"}),
    ],
)
def test_what_the_history_says_of_a_decision(
    sandbox: SandboxProcess, api: httpx.Client, switches: Json, triggered_by: str, payload: Json | None
) -> None:
    sandbox.set(**switches)
    settlement_id = sandbox.flagged()
    decide(api, settlement_id, {"decision": "reject"})
    event = newest_event(api, settlement_id)
    assert (event["triggered_by"], event["payload"]) == (triggered_by, payload)


def test_a_flag_may_be_in_the_history(sandbox: SandboxProcess, api: httpx.Client) -> None:
    sandbox.set(flag_history=True)
    settlement_id = sandbox.flagged()
    event = newest_event(api, settlement_id)
    assert (event["from_state"], event["to_state"]) == ("COMPLIANCE_CHECKING", "COMPLIANCE_CHECKING")
    assert sandbox.settlement(settlement_id)["flags"][0]["pause_sequence"] == event["sequence"] == 3


def test_screening_may_pause_it_in_instructed(sandbox: SandboxProcess, api: httpx.Client) -> None:
    sandbox.set(screening_state="INSTRUCTED")
    settlement_id = sandbox.flagged()
    assert sandbox.settlement(settlement_id)["state"] == "INSTRUCTED"
    assert decide(api, settlement_id, {"decision": "approve"}).json()["state"] == "COMPLIANCE_CLEARED"


class TestShapes:
    """The older generation of the docs, and answers that leave things out."""

    def test_the_old_generation(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        sandbox.set(generation="old")
        made = sandbox.make("pass", template="dvp-bond")[0]
        assert {leg["leg_type"] for leg in made["legs"]} == {"asset", "payment"}
        sandbox.wait_for_state(made["id"], "FINALIZED")
        events = api.get(f"/v1/settlements/{made['id']}/events").json()["items"]
        assert {"REGISTERING_ESCROW", "SETTLED"} <= {event["to_state"] for event in events}
        template = api.get(f"/v1/settlement-templates/{made['template_id']}").json()
        assert template["config"]["transitions"]["SETTLED"][0] == "FINALIZED"

    def test_nullable_keys_may_be_absent(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        settlement_id = sandbox.flagged(name="")
        assert api.get(f"/v1/settlements/{settlement_id}").json()["parties"][0]["name"] is None
        sandbox.set(nullable_keys="absent")
        body = api.get(f"/v1/settlements/{settlement_id}").json()
        assert "name" not in body["parties"][0]
        assert "maturity_at" not in body
        event = api.get(f"/v1/settlements/{settlement_id}/events").json()["items"][0]
        assert "from_state" not in event

    def test_the_hash_may_have_its_other_name(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        settlement_id = sandbox.flagged()
        before = newest_event(api, settlement_id)["content_hash"]
        sandbox.set(hash_field="evidence_hash")
        assert newest_event(api, settlement_id)["evidence_hash"] == before

    def test_ids_may_be_prefixed(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        sandbox.set(id_form="prefixed")
        settlement_id = sandbox.flagged()
        assert settlement_id.startswith("stl-")
        assert decide(api, settlement_id, {"decision": "approve"}).status_code == 200

    def test_the_wishes_are_in_the_settlement(self, sandbox: SandboxProcess) -> None:
        wallet = "0x" + "ab" * 20
        made = sandbox.make(
            "stuck", quantity="0.000000000000000001", name="Acme", wallet=wallet, external_reference="R-1"
        )[0]
        assert made["parties"][0]["name"] == "Acme"
        assert made["parties"][0]["wallet_address"] == wallet
        assert made["external_reference"] == "R-1"
        payment = next(leg for leg in made["legs"] if leg["leg_type"] == "payment")
        assert payment["quantity"] == "0.000000000000000001"


class TestVersion:
    """`Keystone-Version` (keystone-api.md 4.4)."""

    @pytest.mark.parametrize("asked", [None, "0.1.0", "9.9.9"])
    def test_the_answer_says_which_one_was_used(self, api: httpx.Client, asked: str | None) -> None:
        answer = api.get("/v1/settlements", headers={"Keystone-Version": asked} if asked else {})
        assert (answer.status_code, answer.headers["Keystone-Version"]) == (200, "0.1.0")

    def test_an_unknown_one_may_be_refused(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        sandbox.set(unknown_version="refused")
        answer = api.get("/v1/settlements", headers={"Keystone-Version": "9.9.9"})
        assert answer.status_code == 400
