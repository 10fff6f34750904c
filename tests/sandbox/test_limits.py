"""The rate limit belongs to the environment, with the documented headers (keystone-api.md 4.3)."""

import time
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.services.sandbox import SandboxProcess
from tests.services.waiting import eventually


def test_headers_count_down_and_then_the_calls_are_refused(sandbox: SandboxProcess) -> None:
    sandbox.reset(rate_limit=3)
    with sandbox.api() as api:
        answers = [api.get("/v1/settlements") for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    assert [each.headers["X-RateLimit-Remaining"] for each in answers] == ["2", "1", "0", "0", "0"]
    assert {each.headers["X-RateLimit-Limit"] for each in answers} == {"3"}
    assert 0 < int(answers[0].headers["X-RateLimit-Reset"]) - time.time() <= 62
    assert answers[3].json() == {"detail": "Rate limit exceeded"}
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60


def test_the_budget_is_the_environments_not_the_clients(sandbox: SandboxProcess) -> None:
    sandbox.reset(rate_limit=2)
    sandbox.add_client("second", "settlements:read")
    with sandbox.api() as api, sandbox.api("second", "second") as second:
        assert api.get("/v1/settlements").status_code == 200
        assert second.get("/v1/settlements").status_code == 200
        assert api.get("/v1/settlements").status_code == 429
    with sandbox.api("counterparty-client", "counterparty-secret") as other:
        assert other.get("/v1/settlements").headers["X-RateLimit-Remaining"] == "1"


def test_a_new_window_begins(sandbox: SandboxProcess) -> None:
    sandbox.reset(rate_limit=1, rate_window_seconds=0.2)
    with sandbox.api() as api:
        assert api.get("/v1/settlements").status_code == 200
        assert api.get("/v1/settlements").status_code == 429
        eventually(lambda: api.get("/v1/settlements").status_code == 200, 5)


def test_others_draw_from_the_same_budget(sandbox: SandboxProcess) -> None:
    sandbox.reset(rate_limit=100)
    sandbox.control.post("/draw", json={"calls": 98})
    with sandbox.api() as api:
        assert api.get("/v1/settlements").headers["X-RateLimit-Remaining"] == "1"


def test_an_environment_may_have_a_limit_of_its_own(api: httpx.Client) -> None:
    mine = api.get("/v1/platforms/me/environments").json()["items"][0]
    api.patch(f"/v1/platforms/me/environments/{mine['id']}", json={"rate_limit_rpm": 2})
    assert api.get("/v1/settlements").headers["X-RateLimit-Limit"] == "2"


def test_a_refused_scope_costs_a_call_and_a_bad_token_none(sandbox: SandboxProcess) -> None:
    sandbox.reset(rate_limit=5)
    sandbox.add_client("narrow", "settlements:read")
    with sandbox.api("narrow", "narrow") as api:
        assert api.get("/v1/settlement-templates").headers["X-RateLimit-Remaining"] == "4"
        answer = api.get("/v1/settlements", headers={"Authorization": "Bearer no"})
        assert "X-RateLimit-Remaining" not in answer.headers
        assert api.get("/v1/settlements").headers["X-RateLimit-Remaining"] == "3"


@pytest.mark.parametrize("form", ["seconds", "date", "absent"])
def test_the_forms_of_retry_after(sandbox: SandboxProcess, form: str) -> None:
    sandbox.set(retry_after=form, too_many_requests={"seconds": 7})
    with sandbox.api() as api:
        answer = api.get("/v1/settlements")
    assert answer.status_code == 429
    given = answer.headers.get("Retry-After")
    if form == "date":
        assert 4 < parsedate_to_datetime(given or "").timestamp() - time.time() <= 8
    else:
        assert given == {"seconds": "7", "absent": None}[form]
