"""What becomes of a settlement: states, history, deadline, rechecks (keystone-api.md 3)."""

from datetime import datetime, timedelta

import httpx
import pytest

from tests.sandbox.catcher import Catcher
from tests.services.sandbox import Json, SandboxProcess

PASSED = [
    "INSTRUCTED",
    "COMPLIANCE_CHECKING",
    "COMPLIANCE_CLEARED",
    "AWAITING_DEPOSITS",
    "EXECUTING_SWAP",
    "FINALIZED",
]
SECRETS = {"deposit_secret", "deposit_key", "calldata"}


def history(api: httpx.Client, settlement_id: str) -> list[Json]:
    events: list[Json] = api.get(f"/v1/settlements/{settlement_id}/events").json()["items"]
    return events


def states(api: httpx.Client, settlement_id: str) -> list[str]:
    return [event["to_state"] for event in history(api, settlement_id)]


def decide(api: httpx.Client, settlement_id: str, decision: str) -> httpx.Response:
    return api.post(f"/v1/settlements/{settlement_id}/compliance-decision", json={"decision": decision})


def test_one_that_passes_goes_all_the_way(sandbox: SandboxProcess, api: httpx.Client) -> None:
    made = sandbox.make("pass")[0]
    sandbox.wait_for_state(made["id"], "FINALIZED")
    events = history(api, made["id"])
    assert [event["to_state"] for event in events] == PASSED
    assert [event["from_state"] for event in events] == [None, *PASSED[:-1]]
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert {event["triggered_by"] for event in events} == {"system:engine"}
    assert len({event["content_hash"] for event in events}) == 6


@pytest.mark.parametrize(("decision", "end"), [("approve", "FINALIZED"), ("reject", "ROLLED_BACK")])
def test_a_flagged_one_waits_for_a_decision(
    sandbox: SandboxProcess, api: httpx.Client, decision: str, end: str
) -> None:
    settlement_id = sandbox.flagged()
    assert sandbox.settlement(settlement_id)["state"] == "COMPLIANCE_CHECKING"
    assert decide(api, settlement_id, decision).status_code == 200
    truth = sandbox.wait_for_state(settlement_id, end)
    assert truth["flags"][0]["ended_by"] == "decision"
    deciding = history(api, settlement_id)[2]
    assert (deciding["from_state"], deciding["triggered_by"]) == ("COMPLIANCE_CHECKING", "m2m:sandbox-client")
    assert deciding["payload"] == {"decision": decision}


def test_a_failed_one_rolls_back_by_itself(sandbox: SandboxProcess, api: httpx.Client) -> None:
    made = sandbox.make("fail")[0]
    truth = sandbox.wait_for_state(made["id"], "ROLLED_BACK")
    assert truth["flags"] == []
    assert states(api, made["id"]) == ["INSTRUCTED", "COMPLIANCE_CHECKING", "ROLLED_BACK"]


def test_a_failed_one_waits_where_the_switch_says_so(
    sandbox: SandboxProcess, api: httpx.Client, endpoint: Json, catcher: Catcher
) -> None:
    sandbox.set(fail_effect="review")
    made = sandbox.make("fail")[0]
    truth = sandbox.wait_until_paused(made["id"])
    assert truth["flags"][0]["kind"] == "failed"
    assert decide(api, made["id"], "reject").json()["state"] == "ROLLED_BACK"
    sandbox.wait_until_idle()
    assert endpoint["is_active"]
    assert "settlement.compliance.failed" in catcher.events()


@pytest.mark.parametrize("end", ["TIMED_OUT", "ROLLED_BACK"])
def test_a_deadline_ends_a_waiting_one(sandbox: SandboxProcess, api: httpx.Client, end: str) -> None:
    sandbox.set(timeout_state=end)
    settlement_id = sandbox.flagged(timeout_seconds=0.4)
    truth = sandbox.wait_for_state(settlement_id, end)
    assert truth["flags"][0]["ended_by"] == "timeout"
    assert decide(api, settlement_id, "approve").status_code == 409
    assert sandbox.decisions()[0]["applied"] is False


@pytest.mark.parametrize("wish", [{"outcome": "stuck"}, {"outcome": "pass", "deposits": False}])
def test_a_deadline_ends_one_that_hangs_elsewhere(sandbox: SandboxProcess, wish: dict[str, object]) -> None:
    made = sandbox.control.post("/settlements", json={**wish, "timeout_seconds": 0.3}).json()["items"][0]
    sandbox.wait_for_state(made["id"], "TIMED_OUT")


def test_the_deadline_does_nothing_to_one_that_has_ended(sandbox: SandboxProcess) -> None:
    made = sandbox.make("pass")[0]
    sandbox.wait_for_state(made["id"], "FINALIZED")
    assert sandbox.expire(made["id"])["state"] == "FINALIZED"


@pytest.mark.parametrize("when", ["2001-01-01T00:00:00Z", "2101-01-01T00:00:00", "soon"])
def test_a_deadline_that_cannot_be(api: httpx.Client, when: str) -> None:
    parties = [
        {"role": role, "external_reference": "P", "wallet_address": "0x1"} for role in ("seller", "buyer")
    ]
    body = {"idempotency_key": "k", "template_slug": "dvp-bond", "parties": parties, "legs": []}
    answer = api.post("/v1/settlements", json={**body, "timeout_at": when})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "timeout_at"]


def test_the_deadline_is_as_asked_or_the_environments(sandbox: SandboxProcess) -> None:
    asked, default = sandbox.make("stuck", timeout_seconds=90)[0], sandbox.make("stuck")[0]

    def life(made: Json) -> timedelta:
        return datetime.fromisoformat(made["timeout_at"]) - datetime.fromisoformat(made["created_at"])

    assert life(asked) == timedelta(seconds=90)
    assert life(default) == timedelta(hours=1)


class TestRechecks:
    def test_a_second_flag_returns_it_to_checking(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        settlement_id = sandbox.flagged(recheck="different")
        decide(api, settlement_id, "approve")
        truth = sandbox.wait_until_paused(settlement_id, flags=2)
        assert truth["state"] == "COMPLIANCE_CHECKING"
        assert [flag["pause_sequence"] for flag in truth["flags"]] == [2, 5]
        decide(api, settlement_id, "approve")
        sandbox.wait_for_state(settlement_id, "FINALIZED")
        first, second = sandbox.decisions()
        assert (first["pause_sequence"], second["pause_sequence"]) == (2, 5)

    @pytest.mark.parametrize("state", ["COMPLIANCE_CLEARED", "AWAITING_DEPOSITS", "EXECUTING_SWAP"])
    def test_or_it_pauses_where_it_is(self, sandbox: SandboxProcess, api: httpx.Client, state: str) -> None:
        sandbox.set(recheck_pause="in_place", recheck_state=state)
        settlement_id = sandbox.make("pass", recheck="different")[0]["id"]
        assert sandbox.wait_until_paused(settlement_id)["state"] == state
        decide(api, settlement_id, "approve")
        sandbox.wait_for_state(settlement_id, "FINALIZED")
        kept = [event for event in history(api, settlement_id) if event["from_state"] == event["to_state"]]
        assert [(event["to_state"], event["payload"]) for event in kept] == [(state, {"decision": "approve"})]

    @pytest.mark.parametrize("pause", ["return", "in_place"])
    def test_it_can_be_rejected_then_too(
        self, sandbox: SandboxProcess, api: httpx.Client, pause: str
    ) -> None:
        sandbox.set(recheck_pause=pause)
        settlement_id = sandbox.make("pass", recheck="different")[0]["id"]
        sandbox.wait_until_paused(settlement_id)
        decide(api, settlement_id, "reject")
        sandbox.wait_for_state(settlement_id, "ROLLED_BACK")

    @pytest.mark.parametrize("likeness", ["same", "different"])
    def test_the_second_webhook_is_the_same_or_differs_in_its_timestamp(
        self, sandbox: SandboxProcess, api: httpx.Client, endpoint: Json, catcher: Catcher, likeness: str
    ) -> None:
        settlement_id = sandbox.flagged(recheck=likeness)
        decide(api, settlement_id, "approve")
        sandbox.wait_until_paused(settlement_id, flags=2)
        sandbox.wait_until_idle()
        first, second = catcher.of("settlement.compliance.flagged")
        if likeness == "same":
            assert first.body == second.body
        else:
            assert first.data.pop("timestamp") != second.data["timestamp"]
            assert {**first.data, "timestamp": None} == {**second.data, "timestamp": None}
        assert endpoint["events"] == ["*"]

    def test_one_can_be_flagged_from_outside(self, sandbox: SandboxProcess) -> None:
        made = sandbox.make("pass", deposits=False)[0]
        sandbox.wait_for_state(made["id"], "AWAITING_DEPOSITS")
        assert sandbox.flag_again(made["id"])["paused"]
        assert sandbox.control.post(f"/settlements/{made['id']}/flag").status_code == 409


class TestSecrets:
    def test_deposit_secrets_show_from_awaiting_deposits_on(
        self, sandbox: SandboxProcess, api: httpx.Client
    ) -> None:
        made = sandbox.make("pass", template="repo-open", deposits=False)[0]
        assert not any(SECRETS & leg.keys() for leg in made["legs"])
        sandbox.wait_for_state(made["id"], "AWAITING_DEPOSITS")
        legs = api.get(f"/v1/settlements/{made['id']}").json()["legs"]
        assert {leg["direction"] for leg in legs} == {"deliver", "receive"}
        for leg in legs:
            assert leg.keys() >= SECRETS if leg["direction"] == "deliver" else not SECRETS & leg.keys()

    def test_a_flagged_one_shows_none(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        body = api.get(f"/v1/settlements/{sandbox.flagged()}").text
        assert not any(secret in body for secret in SECRETS)


class TestMagicWallets:
    @pytest.mark.parametrize(
        ("ending", "state"), [("a55e", "FINALIZED"), ("fa11", "ROLLED_BACK"), ("0d0d", "AWAITING_DEPOSITS")]
    )
    def test_an_ending_forces_the_end(self, sandbox: SandboxProcess, ending: str, state: str) -> None:
        sandbox.wait_for_state(sandbox.make(wallet_suffix=ending)[0]["id"], state)

    @pytest.mark.parametrize("ending", ["f1a6", "5a5e", "d1ff", "51e4"])
    def test_an_ending_forces_a_flag(self, sandbox: SandboxProcess, ending: str) -> None:
        sandbox.wait_until_paused(sandbox.make(wallet_suffix=ending)[0]["id"])

    @pytest.mark.parametrize("ending", ["5a5e", "d1ff"])
    def test_an_ending_forces_a_second_flag(
        self, sandbox: SandboxProcess, api: httpx.Client, ending: str
    ) -> None:
        settlement_id = sandbox.make(wallet_suffix=ending)[0]["id"]
        sandbox.wait_until_paused(settlement_id)
        decide(api, settlement_id, "approve")
        sandbox.wait_until_paused(settlement_id, flags=2)

    def test_dead_never_ends_its_screening(self, sandbox: SandboxProcess) -> None:
        settlement_id = sandbox.make(wallet_suffix="dead")[0]["id"]
        sandbox.wait_for_state(settlement_id, "COMPLIANCE_CHECKING")
        sandbox.wait_until_idle()
        assert not sandbox.settlement(settlement_id)["paused"]

    def test_a_silent_flag_is_told_to_nobody(
        self, sandbox: SandboxProcess, endpoint: Json, catcher: Catcher
    ) -> None:
        settlement_id = sandbox.make(wallet_suffix="51e4")[0]["id"]
        sandbox.wait_until_paused(settlement_id)
        sandbox.wait_until_idle()
        # Webhooks come in no promised order (keystone-api.md 2.6), here as little as there.
        assert set(catcher.events()) == {
            "settlement.state.instructed",
            "settlement.state.compliance_checking",
        }
        assert endpoint["id"]

    def test_the_wish_wins_over_the_wallet(self, sandbox: SandboxProcess) -> None:
        sandbox.wait_for_state(sandbox.make("pass", wallet_suffix="f1a6")[0]["id"], "FINALIZED")

    def test_the_api_takes_them_too(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        made = sandbox.make("pass")[0]
        body = {
            "idempotency_key": "magic",
            "template_slug": "dvp-bond",
            "timeout_at": made["timeout_at"],
            "legs": [],
            "parties": [
                {"role": role, "external_reference": "P", "wallet_address": f"0x{'2' * 36}f1a6"}
                for role in ("seller", "buyer")
            ],
        }
        answer = api.post("/v1/settlements", json=body)
        assert answer.status_code == 201
        assert answer.json()["timeout_at"] == made["timeout_at"]
        sandbox.wait_until_paused(answer.json()["id"])
        assert api.post("/v1/settlements", json=body).status_code == 200


class TestTwoPlatforms:
    def test_another_environments_settlement_is_not_there(self, sandbox: SandboxProcess) -> None:
        settlement_id = sandbox.flagged()
        with sandbox.api("counterparty-client", "counterparty-secret") as other:
            assert other.get("/v1/settlements").json()["total"] == 0
            for path in ("", "/events", "/related"):
                answer = other.get(f"/v1/settlements/{settlement_id}{path}")
                assert (answer.status_code, answer.json()) == (404, {"detail": "Settlement not found"})
            assert decide(other, settlement_id, "approve").status_code == 404
        assert sandbox.settlement(settlement_id)["paused"]

    def test_a_cross_platform_one_is_seen_and_decided_by_both(
        self, sandbox: SandboxProcess, api: httpx.Client, catcher: Catcher
    ) -> None:
        with sandbox.api("counterparty-client", "counterparty-secret") as other:
            other.post("/v1/platforms/me/webhooks", json={"url": catcher.url})
            settlement_id = sandbox.flagged(settlement_type="cross_platform")
            assert other.get(f"/v1/settlements/{settlement_id}").json()["settlement_type"] == "cross_platform"
            assert decide(other, settlement_id, "approve").status_code == 200
        assert decide(api, settlement_id, "approve").status_code == 409
        sandbox.wait_until_idle()
        assert "settlement.compliance.flagged" in catcher.events()
        assert history(api, settlement_id)[2]["triggered_by"] == "m2m:counterparty-client"

    def test_someone_else_can_decide_from_outside(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        settlement_id = sandbox.flagged()
        sandbox.decide(settlement_id, "reject", by="user:officer")
        assert history(api, settlement_id)[2]["triggered_by"] == "user:officer"
        again = sandbox.control.post(f"/settlements/{settlement_id}/decide", json={"decision": "reject"})
        assert again.status_code == 409
        assert [each["status"] for each in sandbox.decisions()] == [200, 409]


class TestLists:
    def test_pages_and_states(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        ids = [made["id"] for made in sandbox.make("stuck", count=5)]
        for settlement_id in ids:
            sandbox.wait_for_state(settlement_id, "COMPLIANCE_CHECKING")
        page = api.get("/v1/settlements", params={"limit": 2, "offset": 1}).json()
        assert [each["id"] for each in page["items"]] == [ids[3], ids[2]]
        assert (page["total"], page["limit"], page["offset"]) == (5, 2, 1)
        sandbox.expire(ids[0])
        assert api.get("/v1/settlements", params={"state": "TIMED_OUT"}).json()["total"] == 1
        assert api.get("/v1/settlements", params={"state": "NOWHERE"}).json()["items"] == []

    def test_oldest_first_where_the_switch_says_so(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        ids = [made["id"] for made in sandbox.make("stuck", count=3)]
        sandbox.set(list_order="oldest")
        assert [each["id"] for each in api.get("/v1/settlements").json()["items"]] == ids

    @pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "offset=-1", "offset=1.5"])
    def test_a_page_that_cannot_be(self, api: httpx.Client, query: str) -> None:
        answer = api.get(f"/v1/settlements?{query}")
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["query", query.partition("=")[0]]

    def test_templates_and_environments_have_smaller_pages(self, api: httpx.Client) -> None:
        for path in ("/v1/settlement-templates", "/v1/platforms/me/environments"):
            assert api.get(path, params={"limit": 100}).status_code == 200
            assert api.get(path, params={"limit": 101}).status_code == 422
