"""An outage costs a probe now and then, a rate limit no 429: the client and the sandbox together."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from countersign.keystone.breaker import FAILURES
from countersign.keystone.budget import Priority
from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import OutcomeUnknown, TryAgainLater
from countersign.verdict import Decision
from tests.keystone.asking import Told, client_of, run_all
from tests.services.sandbox import SandboxProcess
from tests.services.waiting import eventually


def test_an_outage_costs_a_probe_now_and_then_and_not_a_call_per_case(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told
) -> None:
    sandbox.set(server_error=True)

    for _ in range(100):
        with pytest.raises(TryAgainLater) as later:
            client.settlement("s-1")

    assert told.breaker == ["open"]
    assert FAILURES <= len(told.outcomes("settlement")) <= FAILURES + 1
    assert timedelta(0) < later.value.after < timedelta(seconds=5)


def test_after_an_outage_one_good_answer_lets_all_go_on(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told
) -> None:
    settlement_id = sandbox.make("pass")[0]["id"]
    sandbox.set(cut_before=True)
    for _ in range(FAILURES):
        with pytest.raises(TryAgainLater):
            client.settlement(settlement_id)
    sandbox.set(cut_before=None)

    def answered() -> bool:
        try:
            client.settlement(settlement_id)
        except TryAgainLater:
            return False
        return True

    eventually(answered, 10)
    assert told.breaker == ["open", "closed"]


def test_in_an_outage_a_decision_is_held_back_and_certainly_not_sent(
    sandbox: SandboxProcess, client: KeystoneClient
) -> None:
    settlement_id = sandbox.flagged()
    sandbox.set(server_error=True)
    for _ in range(FAILURES):
        with pytest.raises((TryAgainLater, OutcomeUnknown)):
            client.settlement(settlement_id)

    with pytest.raises(TryAgainLater, match="down"):
        client.decide(settlement_id, Decision.APPROVE)

    assert sandbox.decisions() == []


def test_answers_that_refuse_are_no_outage(
    sandbox: SandboxProcess, client: KeystoneClient, told: Told
) -> None:
    sandbox.set(server_error={"status": 404})

    for _ in range(3 * FAILURES):
        with pytest.raises(Exception, match="404"):
            client.settlement("s-1")

    assert told.breaker == []


WINDOW_SECONDS = 2


@pytest.fixture
def limited(sandbox: SandboxProcess, told: Told) -> Iterator[KeystoneClient]:
    """Give the test a client of a platform that allows 60 calls in each two seconds."""
    sandbox.reset(rate_limit=60, rate_window_seconds=WINDOW_SECONDS)
    with client_of(sandbox, told) as client:
        yield client


def test_a_backlog_takes_our_share_of_the_limit_and_meets_no_429(
    sandbox: SandboxProcess, limited: KeystoneClient, told: Told
) -> None:
    settlement_id = sandbox.flagged()
    ends_at = time.monotonic() + 3 * WINDOW_SECONDS

    def thread() -> None:
        while time.monotonic() < ends_at:
            try:
                limited.settlement(settlement_id)
            except TryAgainLater as later:
                time.sleep(min(later.after.total_seconds(), 0.5))

    run_all(thread, 8)

    outcomes = told.outcomes("settlement")
    assert set(outcomes) == {"200"}
    assert 48 < len(outcomes) <= 4 * 48
    assert "fetch" in told.waits
    assert {limit for limit, _ in told.limits} == {60}


def test_what_fetches_have_drained_still_leaves_decisions_their_part(
    sandbox: SandboxProcess, limited: KeystoneClient, told: Told
) -> None:
    settlement_ids = [sandbox.flagged() for _ in range(5)]
    drained = 0
    try:
        while True:
            limited.settlement(settlement_ids[0], priority=Priority.SWEEP)
            drained += 1
    except TryAgainLater:
        pass
    limited.settlement(settlement_ids[0])

    for settlement_id in settlement_ids:
        assert limited.decide(settlement_id, Decision.REJECT).state == "ROLLED_BACK"

    assert 5 < drained < 40
    assert "decision" not in told.waits


def test_others_who_have_drained_the_limit_are_waited_for(
    sandbox: SandboxProcess, limited: KeystoneClient, told: Told
) -> None:
    settlement_id = sandbox.flagged()
    limited.settlement(settlement_id)
    assert sandbox.control.post("/draw", json={"calls": 100}).is_success

    deadline = threading.Event()
    answered = 0
    while answered < 10 and not deadline.wait(0.01):
        try:
            limited.settlement(settlement_id)
            answered += 1
        except TryAgainLater as later:
            deadline.wait(min(later.after.total_seconds(), 0.3))

    assert told.outcomes("settlement").count("429") <= 1
