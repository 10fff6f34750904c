"""Webhook endpoints: their calls, patterns, secrets and the delivery log (keystone-api.md 2.1 to 2.5)."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest

from tests.sandbox.catcher import Catcher
from tests.services.sandbox import Json, SandboxProcess

BASE = "/v1/platforms/me/webhooks"


def create(api: httpx.Client, catcher: Catcher, **fields: object) -> Json:
    answer = api.post(BASE, json={"url": catcher.url, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_secret_is_shown_once(api: httpx.Client, catcher: Catcher) -> None:
    created = create(api, catcher)
    assert created["secret"].startswith("whsec_")
    assert created["events"] == ["*"]
    for answer in (api.get(f"{BASE}/{created['id']}").json(), api.get(BASE).json()["items"][0]):
        assert "secret" not in answer
        assert answer["url"] == catcher.url


def test_the_secret_cannot_be_patched(api: httpx.Client, catcher: Catcher) -> None:
    created = create(api, catcher, secret="first-secret")
    api.patch(f"{BASE}/{created['id']}", json={"secret": "second-secret", "description": "new"})
    api.post(f"{BASE}/{created['id']}/test")
    assert catcher.caught[0].is_signed_with("first-secret")


@pytest.mark.parametrize("field", ["events", "event_types"])
def test_one_name_of_the_patterns_key_is_read_and_the_other_ignored(
    sandbox: SandboxProcess, api: httpx.Client, catcher: Catcher, field: str
) -> None:
    sandbox.set(events_field=field)
    other = {"events": "event_types", "event_types": "events"}[field]
    assert create(api, catcher, **{field: ["settlement.*"]})["events"] == ["settlement.*"]
    assert create(api, catcher, **{other: ["settlement.*"]})["events"] == ["*"]


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["*"], 4),
        (["settlement.*"], 4),
        (["settlement.state.*"], 3),
        (["settlement.compliance.flagged"], 1),
        (["compliance.*"], 0),
        (["settlement.stat*"], 0),
        (["settlement.compliance.flagged", "settlement.state.rolled_back"], 2),
    ],
)
def test_patterns(
    sandbox: SandboxProcess, api: httpx.Client, catcher: Catcher, patterns: list[str], wanted: int
) -> None:
    create(api, catcher, events=patterns)
    settlement_id = sandbox.flagged()
    sandbox.decide(settlement_id, "reject")
    sandbox.wait_until_idle()
    assert len(catcher.caught) == wanted


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://example.com/hook", 201),
        ("http://127.0.0.1:9/hook", 201),
        ("http://[::1]:9/hook", 201),
        ("http://localhost:9/hook", 201),
        ("http://example.com/hook", 422),
        ("ftp://127.0.0.1/hook", 422),
        ("not a url", 422),
        ("http://[", 422),
        ("http://127.0.0.1:notaport/", 422),
    ],
)
def test_plain_http_is_for_loopback_only(api: httpx.Client, url: str, status: int) -> None:
    assert api.post(BASE, json={"url": url}).status_code == status


@pytest.mark.parametrize(
    ("allowed", "url"), [(True, "http://receiver:8000/"), (False, "http://127.0.0.1:9/")]
)
def test_plain_http_can_be_allowed_or_forbidden_altogether(
    sandbox: SandboxProcess, url: str, *, allowed: bool
) -> None:
    sandbox.reset(allow_http_webhooks=allowed)
    with sandbox.api() as api:
        assert api.post(BASE, json={"url": url}).status_code == (201 if allowed else 422)


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ({}, 400, None),
        ({"url": 7}, 422, ["body", "url"]),
        ({"url": "https://example.com", "events": "*"}, 422, ["body", "events"]),
        ({"url": "https://example.com", "events": ["*", 1]}, 422, ["body", "events", 1]),
        ({"url": "https://example.com", "events": []}, 422, ["body", "events"]),
    ],
)
def test_a_body_that_does_not_fit(
    api: httpx.Client, body: Json, status: int, place: list[object] | None
) -> None:
    answer = api.post(BASE, json=body)
    assert answer.status_code == status
    detail = answer.json()["detail"]
    assert isinstance(detail, str) if place is None else detail[0]["loc"] == place


def test_endpoints_are_the_environments_own(
    sandbox: SandboxProcess, api: httpx.Client, catcher: Catcher
) -> None:
    created = create(api, catcher)
    with sandbox.api("counterparty-client", "counterparty-secret") as other:
        assert other.get(BASE).json()["total"] == 0
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/test"),
            ("GET", "/deliveries"),
        ):
            answer = other.request(method, f"{BASE}/{created['id']}{path}", json={})
            assert (answer.status_code, answer.json()) == (404, {"detail": "Webhook endpoint not found"})


@pytest.mark.parametrize("change", ["deactivated", "deleted"])
def test_an_endpoint_that_is_off_gets_nothing(
    sandbox: SandboxProcess, api: httpx.Client, catcher: Catcher, change: str
) -> None:
    created = create(api, catcher)
    if change == "deleted":
        assert api.delete(f"{BASE}/{created['id']}").status_code == 204
        assert api.get(f"{BASE}/{created['id']}").status_code == 404
    else:
        assert api.patch(f"{BASE}/{created['id']}", json={"is_active": False}).json()["is_active"] is False
    sandbox.make("pass")
    sandbox.wait_until_idle()
    assert catcher.caught == []


def test_a_test_of_an_endpoint_that_fails(api: httpx.Client, catcher: Catcher) -> None:
    catcher.answer = lambda _: 500
    created = create(api, catcher)
    told = api.post(f"{BASE}/{created['id']}/test").json()
    assert (told["success"], told["status_code"], told["error"]) == (False, 500, "HTTP 500")
    silent = api.post(BASE, json={"url": "http://127.0.0.1:1/"}).json()
    told = api.post(f"{BASE}/{silent['id']}/test").json()
    assert (told["success"], told["status_code"], told["error"]) == (False, None, "ConnectError")


class TestRotation:
    def rotated(self, api: httpx.Client, endpoint: Json) -> Json:
        return dict(api.post(f"{BASE}/{endpoint['id']}/rotate-secret").json())

    def signers(self, api: httpx.Client, endpoint: Json, catcher: Catcher, new: str, times: int) -> set[str]:
        for _ in range(times):
            api.post(f"{BASE}/{endpoint['id']}/test")
        found = set()
        for caught in catcher.caught:
            by_new, by_old = caught.is_signed_with(new), caught.is_signed_with(endpoint["secret"])
            found.add({(True, False): "new", (False, True): "old", (True, True): "both"}[by_new, by_old])
            assert len(caught.signatures) == (2 if by_new and by_old else 1)
        return found

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [("new", {"new"}), ("old", {"old"}), ("either", {"new", "old"}), ("both", {"both"})],
    )
    def test_who_signs_while_two_secrets_are_live(
        self,
        sandbox: SandboxProcess,
        api: httpx.Client,
        endpoint: Json,
        catcher: Catcher,
        choice: str,
        expected: set[str],
    ) -> None:
        sandbox.set(rotation_signs=choice)
        rotated = self.rotated(api, endpoint)
        until = datetime.fromisoformat(rotated["previous_secret_valid_until"])
        assert timedelta(hours=23.9) < until - datetime.now(UTC) <= timedelta(hours=24)
        times = 24 if choice == "either" else 2
        assert self.signers(api, endpoint, catcher, rotated["new_secret"], times) == expected

    def test_only_the_new_one_signs_after_the_overlap(
        self, sandbox: SandboxProcess, catcher: Catcher
    ) -> None:
        sandbox.reset(rotation_overlap_seconds=0)
        sandbox.set(rotation_signs="old")
        with sandbox.api() as api:
            created = create(api, catcher)
            rotated = self.rotated(api, created)
            assert self.signers(api, created, catcher, rotated["new_secret"], 2) == {"new"}


class TestDefaultWebhook:
    """The environment's own address, the second channel of keystone-api.md 2.1."""

    def test_it_gets_the_same_events_with_its_own_secret(
        self, sandbox: SandboxProcess, api: httpx.Client, endpoint: Json, catcher: Catcher
    ) -> None:
        mine = api.get("/v1/platforms/me/environments").json()["items"][0]
        change = {"webhook_url": catcher.url, "webhook_secret": "of the environment"}
        shown = api.patch(f"/v1/platforms/me/environments/{mine['id']}", json=change).json()
        assert shown["webhook_url"] == catcher.url
        assert "webhook_secret" not in shown
        sandbox.make("pass")
        sandbox.wait_until_idle()
        assert len(catcher.caught) == 14
        assert sum(each.is_signed_with("of the environment") for each in catcher.caught) == 7
        assert sum(each.is_signed_with(endpoint["secret"]) for each in catcher.caught) == 7


class TestDeliveries:
    def test_a_failed_one_is_tried_again_with_growing_pauses(
        self, sandbox: SandboxProcess, catcher: Catcher
    ) -> None:
        sandbox.reset(webhook_backoff_seconds=0.02)
        catcher.answer = lambda number: 503 if number < 4 else 202
        with sandbox.api() as api:
            created = create(api, catcher, events=["settlement.compliance.flagged"])
            sandbox.flagged()
            sandbox.wait_until_idle()
            rows = api.get(f"{BASE}/{created['id']}/deliveries").json()
        assert len({each.body for each in catcher.caught}) == 1
        assert [row["response_status"] for row in rows["items"]] == [202, 503, 503, 503]
        assert [row["success"] for row in rows["items"]] == [True, False, False, False]
        assert rows["total"] == 4
        assert set(rows["items"][0]) == {
            "id",
            "endpoint_id",
            "event",
            "response_status",
            "duration_ms",
            "success",
            "error",
            "created_at",
        }
        attempts = sandbox.deliveries()
        assert [each["attempt"] for each in attempts] == [1, 2, 3, 4]
        sent = [datetime.fromisoformat(each["sent_at"]) for each in attempts]
        pauses = [later - earlier for earlier, later in pairwise(sent)]
        for pause, least in zip(pauses, (0.02, 0.04, 0.08), strict=True):
            assert pause >= timedelta(seconds=least)
        assert sandbox.counts()["deliveries"] == {"503": 3, "202": 1}

    def test_so_many_run_at_once_and_no_more(self, sandbox: SandboxProcess, catcher: Catcher) -> None:
        sandbox.reset(webhook_concurrency=2)
        both, running, most = threading.Barrier(2), set[int](), []

        def answer(number: int) -> int:
            running.add(number)
            both.wait(10)
            most.append(len(running))
            both.wait(10)
            running.discard(number)
            return 202

        catcher.answer = answer
        with sandbox.api() as api:
            create(api, catcher, events=["settlement.compliance.flagged"])
            sandbox.make("flag", count=6)
            sandbox.wait_until_idle()
        assert most == [2] * 6
        assert sandbox.counts()["deliveries"] == {"202": 6}

    def test_it_gives_up_in_the_end(self, sandbox: SandboxProcess, catcher: Catcher) -> None:
        sandbox.reset(webhook_attempts=3, webhook_backoff_seconds=0.01)
        catcher.answer = lambda _: 302
        with sandbox.api() as api:
            create(api, catcher, events=["settlement.compliance.flagged"])
            settlement_id = sandbox.flagged()
            sandbox.wait_until_idle()
        assert [each["status"] for each in sandbox.deliveries()] == [302, 302, 302]
        assert sandbox.settlement(settlement_id)["paused"]

    def test_an_answer_that_never_comes_is_a_timeout(self, sandbox: SandboxProcess, catcher: Catcher) -> None:
        sandbox.reset(webhook_timeout_seconds=0.1, webhook_attempts=1)
        released = threading.Event()
        catcher.answer = lambda _: 202 if released.wait(10) else 500
        with sandbox.api() as api:
            create(api, catcher, events=["settlement.compliance.flagged"])
            sandbox.flagged()
            sandbox.wait_until_idle()
        released.set()
        attempt = sandbox.deliveries()[0]
        assert (attempt["status"], attempt["error"]) == (None, "timeout")
        assert sandbox.counts()["deliveries"] == {"error": 1}

    def test_a_retry_may_write_the_same_json_otherwise(
        self, sandbox: SandboxProcess, catcher: Catcher
    ) -> None:
        sandbox.reset(webhook_backoff_seconds=0.01)
        sandbox.set(retry_body="reserialised")
        catcher.answer = lambda number: 500 if number == 1 else 202
        with sandbox.api() as api:
            created = create(api, catcher, events=["settlement.compliance.flagged"])
            sandbox.flagged()
            sandbox.wait_until_idle()
        first, second = catcher.caught
        assert first.body != second.body
        assert first.data == second.data
        assert second.is_signed_with(created["secret"])
