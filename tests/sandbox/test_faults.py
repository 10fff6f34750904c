"""Faults of HTTP calls: what the client meets, and what has been done all the same."""

import time

import httpx
import pytest

from tests.services.sandbox import SandboxProcess


def decide(api: httpx.Client, settlement_id: str, decision: str = "approve") -> httpx.Response:
    return api.post(f"/v1/settlements/{settlement_id}/compliance-decision", json={"decision": decision})


def test_a_connection_cut_before_the_handling(sandbox: SandboxProcess, api: httpx.Client) -> None:
    settlement_id = sandbox.flagged()
    sandbox.set(cut_before={"routes": ["decision"], "count": 1})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        decide(api, settlement_id)
    assert sandbox.settlement(settlement_id)["paused"]
    record = sandbox.decisions()[0]
    assert (record["decision"], record["status"], record["applied"], record["reply"]) == (
        "approve",
        0,
        False,
        "lost",
    )
    assert decide(api, settlement_id).status_code == 200


@pytest.mark.parametrize("fault", ["cut_after", "cut_middle"])
def test_a_decision_is_applied_although_its_reply_is_lost(
    sandbox: SandboxProcess, api: httpx.Client, fault: str
) -> None:
    settlement_id = sandbox.flagged()
    sandbox.set(**{fault: {"routes": ["decision"], "count": 1}})
    with pytest.raises(httpx.RemoteProtocolError):
        decide(api, settlement_id, "reject")
    assert sandbox.settlement(settlement_id)["state"] == "ROLLED_BACK"
    assert decide(api, settlement_id, "reject").status_code == 409
    first, second = sandbox.decisions()
    assert (first["status"], first["applied"], first["reply"]) == (200, True, "lost")
    assert (second["status"], second["applied"], second["reply"]) == (409, False, "sent")


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "cut_middle"])
def test_a_cut_call_is_counted_as_cut(sandbox: SandboxProcess, api: httpx.Client, fault: str) -> None:
    sandbox.set(**{fault: {"count": 1}})
    with pytest.raises(httpx.RemoteProtocolError):
        api.get("/v1/settlements")
    assert sandbox.counts()["calls"] == {"cut": 1}


def test_half_an_answer(sandbox: SandboxProcess, api: httpx.Client) -> None:
    sandbox.set(cut_middle={"count": 1})
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        api.get("/v1/settlements")


def test_a_server_error_before_and_after_the_handling(sandbox: SandboxProcess, api: httpx.Client) -> None:
    settlement_id = sandbox.flagged()
    sandbox.set(server_error={"routes": ["decision"], "count": 1, "status": 500})
    assert decide(api, settlement_id).status_code == 500
    assert sandbox.settlement(settlement_id)["paused"]
    sandbox.set(server_error_after={"routes": ["decision"], "count": 1})
    assert decide(api, settlement_id).status_code == 503
    assert not sandbox.settlement(settlement_id)["paused"]
    records = [(each["status"], each["applied"], each["client_id"]) for each in sandbox.decisions()]
    assert records == [(500, False, None), (503, True, "sandbox-client")]


def test_a_slow_answer_comes_after_the_effect(sandbox: SandboxProcess, api: httpx.Client) -> None:
    settlement_id = sandbox.flagged()
    sandbox.set(slow_answer={"routes": ["decision"], "seconds": 30, "count": 1})
    with pytest.raises(httpx.ReadTimeout):
        api.post(
            f"/v1/settlements/{settlement_id}/compliance-decision", json={"decision": "approve"}, timeout=0.2
        )
    assert not sandbox.settlement(settlement_id)["paused"]
    record = sandbox.decisions()[0]
    assert (record["status"], record["applied"]) == (200, True)


def test_a_slow_start_takes_effect_after_the_client_gave_up(
    sandbox: SandboxProcess, api: httpx.Client
) -> None:
    settlement_id = sandbox.flagged()
    sandbox.set(slow_start={"routes": ["decision"], "seconds": 0.6, "count": 1})
    with pytest.raises(httpx.ReadTimeout):
        api.post(
            f"/v1/settlements/{settlement_id}/compliance-decision", json={"decision": "reject"}, timeout=0.1
        )
    assert sandbox.settlement(settlement_id)["paused"]
    sandbox.wait_for_state(settlement_id, "ROLLED_BACK")


def test_an_html_page_of_a_proxy(sandbox: SandboxProcess, api: httpx.Client) -> None:
    sandbox.set(html_answer={"count": 2, "status": 504})
    answer = api.get("/v1/settlements")
    assert (answer.status_code, answer.headers["Content-Type"]) == (504, "text/html")
    assert answer.text.startswith("<html>")


def test_too_many_requests_without_any_limit(sandbox: SandboxProcess, api: httpx.Client) -> None:
    sandbox.set(too_many_requests={"count": 1, "seconds": 3})
    answer = api.get("/v1/settlements")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert api.get("/v1/settlements").status_code == 200


def test_unauthorized_with_a_good_token(sandbox: SandboxProcess, api: httpx.Client) -> None:
    sandbox.set(unauthorized={"count": 1, "routes": ["settlements"]})
    assert api.get("/v1/settlement-templates").status_code == 200
    assert api.get("/v1/settlements").status_code == 401
    assert api.get("/v1/settlements").status_code == 200


class TestWhen:
    """How often a fault happens."""

    def statuses(self, api: httpx.Client, times: int) -> list[int]:
        return [api.get("/v1/settlements").status_code for _ in range(times)]

    def test_skip_and_count(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        sandbox.set(server_error={"skip": 1, "count": 2})
        assert self.statuses(api, 5) == [200, 503, 503, 200, 200]

    def test_setting_it_again_begins_again(self, sandbox: SandboxProcess, api: httpx.Client) -> None:
        for _ in range(2):
            sandbox.set(server_error={"count": 1})
            assert self.statuses(api, 2) == [503, 200]

    def test_a_number_is_a_probability_and_the_seed_repeats_it(
        self, sandbox: SandboxProcess, api: httpx.Client
    ) -> None:
        drawn = []
        for _ in range(2):
            sandbox.set(server_error=0.4)
            drawn.append(self.statuses(api, 40))
        assert drawn[0] == drawn[1]
        assert 4 < drawn[0].count(503) < 36

    @pytest.mark.parametrize("off", [None, False, 0])
    def test_off(self, sandbox: SandboxProcess, api: httpx.Client, off: object) -> None:
        sandbox.set(server_error=True)
        sandbox.set(server_error=off)
        assert self.statuses(api, 2) == [200, 200]

    def test_reset_of_one_and_of_all(self, sandbox: SandboxProcess) -> None:
        sandbox.set(server_error=True, decision_status=202)
        after_one = sandbox.control.delete("/faults/server_error").json()
        assert (after_one["server_error"], after_one["decision_status"]) == (None, 202)
        assert sandbox.control.delete("/faults").json()["decision_status"] == 200
        assert sandbox.control.delete("/faults/nonsense").status_code == 404

    @pytest.mark.parametrize(
        "wrong",
        [
            {"nonsense": 1},
            {"decision_status": 203},
            {"server_error": {"probability": 2}},
            {"server_error": {"often": True}},
            {"server_error": "often"},
            {"flag_history": "yes"},
        ],
    )
    def test_a_wrong_switch_changes_nothing(self, sandbox: SandboxProcess, wrong: dict[str, object]) -> None:
        before = sandbox.control.get("/faults").json()
        answer = sandbox.control.put("/faults", json={"decision_repeat": "accepted", **wrong})
        assert answer.status_code == 422
        assert "docs/sandbox.md" in answer.json()["detail"][0]["msg"]
        assert sandbox.control.get("/faults").json() == before


def test_the_clock_is_ahead_everywhere_but_in_the_sandboxs_own_records(
    sandbox: SandboxProcess, api: httpx.Client
) -> None:
    sandbox.set(clock_skew_seconds=3600)
    made = sandbox.make("flag")[0]
    sandbox.wait_until_paused(made["id"])
    answer = api.get(f"/v1/settlements/{made['id']}")
    ahead = httpx.Headers(answer.headers)["Date"]
    assert time.strptime(ahead, "%a, %d %b %Y %H:%M:%S GMT") > time.gmtime(time.time() + 3500)
    flag = sandbox.settlement(made["id"])["flags"][0]
    assert flag["flagged_at"] < made["created_at"]
