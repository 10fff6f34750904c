"""A webhook in, one recorded decision out: through real HTTP, real queues, real tokens and real processes."""

import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.services.waiting import eventually
from tests.whole.conftest import Whole
from workers.ledger import listing


def test_a_flag_becomes_one_recorded_decision(shared_whole: Whole) -> None:
    see_one_decision(shared_whole)


def test_it_does_on_postgresql_and_the_worker_counts_it(whole_on_postgres: Whole) -> None:
    see_one_decision(whole_on_postgres)

    served = whole_on_postgres.metrics()
    for line in (
        'countersign_cases_ended_total{state="confirmed"} 1.0',
        'countersign_events_taken_total{by="worker",kind="flag"} 1.0',
        'countersign_keystone_calls_total{call="decide",status="200"} 1.0',
        'countersign_token_total{what="fetched"} 1.0',
    ):
        assert line in served


def see_one_decision(whole: Whole) -> None:
    settlement_id = whole.flag()

    case = whole.wait_for_case(settlement_id, "confirmed")

    assert (case["verdict"], case["decision"], case["decided_by"]) == ("approve", "approve", "handlers")
    assert {vote["handler"]: vote["outcome"] for vote in case["votes"]} == {
        "limits": "approve",
        "wallet_list": "approve",
    }
    assert decisions(whole, settlement_id) == [("approve", True)]
    assert whole.read("ledger", "verify")["broken"] == []


def test_an_unknown_event_and_a_ping_are_in_the_ledger_and_open_no_case(shared_whole: Whole) -> None:
    whole = shared_whole
    whole.sandbox.emit(body={"event": "settlement.something.new", "data": {"settlement_id": "stl-x"}})
    with whole.sandbox.api() as api:
        endpoint = api.get("/v1/platforms/me/webhooks").json()["items"][0]
        assert api.post(f"/v1/platforms/me/webhooks/{endpoint['id']}/test").json()["success"] is True

    def names() -> bool:
        events = listing.list_events(whole.books, limit=0)[0]
        return {event["name"] for event in events} >= {"settlement.something.new", "test.ping"}

    eventually(names, 20, "both events are in the ledger")
    assert whole.cases("stl-x") == []


def test_a_worker_that_is_killed_is_followed_by_one_that_finishes(whole: Whole) -> None:
    whole.sandbox.set(slow_start={"routes": ["decision"], "seconds": 1})
    settlement_id = whole.flag()
    whole.wait_for_case(settlement_id, "submitted")

    whole.worker.send_to_group(signal.SIGKILL)
    whole.worker.wait()
    whole.sandbox.set(slow_start=False)
    whole.start_worker()

    whole.wait_for_case(settlement_id, "confirmed")
    assert [decision for decision, applied in decisions(whole, settlement_id) if applied] == ["approve"]


@pytest.mark.parametrize(
    ("switches", "state"),
    [
        ({"decision_status": 202, "decision_effect": "later"}, "confirmed"),
        ({"flag_payload": "minimal", "flag_name": "underscore"}, "confirmed"),
        ({"flag_history": True, "decision_history": "null"}, "confirmed"),
        ({"screening_state": "INSTRUCTED", "flag_name": "short"}, "confirmed"),
        ({"generation": "old", "nullable_keys": "absent"}, "confirmed"),
        ({"cut_after": {"routes": ["decision"], "count": 1}}, "confirmed"),
        ({"cut_after": {"routes": ["decision"], "count": 1}, "decision_author": "platform"}, "matched"),
        ({"server_error": {"routes": ["decision"], "count": 1}}, "confirmed"),
        ({"too_many_requests": {"routes": ["decision"], "count": 1}}, "confirmed"),
    ],
    ids=str,
)
def test_whatever_the_platform_leaves_open_a_flag_gets_one_decision(
    shared_whole: Whole, switches: dict[str, object], state: str
) -> None:
    whole = shared_whole
    whole.sandbox.set(**switches)
    settlement_id = whole.flag()

    whole.wait_for_case(settlement_id, state)

    assert [decision for decision, applied in decisions(whole, settlement_id) if applied] == ["approve"]
    assert len(whole.cases(settlement_id)) == 1


@pytest.mark.parametrize("recheck", ["same", "different"])
@pytest.mark.parametrize("pause", ["return", "in_place"])
def test_a_recheck_is_a_flag_of_its_own_however_it_looks(
    shared_whole: Whole, recheck: str, pause: str
) -> None:
    whole = shared_whole
    whole.sandbox.set(recheck_pause=pause)
    settlement_id = whole.flag(recheck=recheck)

    whole.sandbox.wait_for_state(settlement_id, "FINALIZED")

    eventually(lambda: {case["state"] for case in whole.cases(settlement_id)} == {"confirmed"}, 20)
    arrived = [d for d in whole.sandbox.decisions() if d["settlement_id"] == settlement_id]
    applied = [(d["pause_sequence"], d["decision"]) for d in arrived if d["applied"]]
    recorded = {case["pause_sequence"]: case["decision"] for case in whole.cases(settlement_id)}
    assert len(applied) == 2
    assert dict(applied) == recorded


def test_a_flag_whose_webhook_never_came_is_suspected_and_decided_when_it_comes_after_all(
    searching_whole: Whole,
) -> None:
    whole = searching_whole
    settlement_id = whole.flag(silent=True)

    suspected = whole.wait_for_case(settlement_id, "suspected")
    assert decisions(whole, settlement_id) == []

    data = {"settlement_id": settlement_id, "state": "COMPLIANCE_CHECKING"}
    whole.sandbox.emit(body={"event": "settlement.compliance.flagged", "data": data})

    assert whole.wait_for_case(settlement_id, "confirmed")["case_id"] == suspected["case_id"]
    assert decisions(whole, settlement_id) == [("approve", True)]


def test_nothing_that_a_run_wrote_holds_a_secret_a_token_a_name_or_a_wallet(
    whole: Whole, tmp_path: Path
) -> None:
    """Logs at DEBUG, metrics, queue, cache and the ledger's own file: the ledger seals what is personal."""
    made = whole.sandbox.make("flag", count=3)
    for settlement in made:
        whole.wait_for_case(settlement["id"], "confirmed")
        whole.sandbox.wait_for_state(settlement["id"], "FINALIZED")
    metrics = whole.metrics()
    whole.worker.stop()
    whole.receiver.stop()

    written = metrics + written_by(whole, tmp_path)

    personal = {
        party[field] for settlement in made for party in settlement["parties"] for field in PERSONAL
    } - {None}
    assert len(personal) >= 6
    for secret in [*personal, whole.sandbox.client_secret, whole.webhook_secret, "deposit_secret"]:
        assert secret.lower() not in written.lower()
    assert re.search(r"eyJ[\w-]{8,}\.[\w-]{8,}\.", written) is None
    assert "event_recorded" in written


def test_a_worker_whose_client_lacks_a_scope_says_so_at_its_start(whole: Whole) -> None:
    whole.worker.stop()
    whole.sandbox.add_client("reader", "settlements:read")

    worker = whole.start_worker(client_id="reader", client_secret="reader")

    told = worker.wait_for_output("scope_missing")
    for named in ("settlements:write", "decide", "dashboard"):
        assert named in told


def decisions(whole: Whole, settlement_id: str) -> list[tuple[str, bool]]:
    """Every decision on a settlement that arrived at KeyStone, and whether it was applied."""
    arrived = [d for d in whole.sandbox.decisions() if d["settlement_id"] == settlement_id]
    return [(d["decision"], d["applied"]) for d in arrived]


PERSONAL = ("name", "wallet_address")


def written_by(whole: Whole, folder: Path) -> str:
    """Everything that the run left, as text."""
    logs = [whole.worker.stderr, whole.worker.stdout, whole.receiver.stderr, whole.receiver.stdout]
    stored = [repr(dump_of(client)) for client in (whole.valkey.client(), whole.valkey.cache_client())]
    ledger = []
    for path in folder.glob("ledger.sqlite3"):
        with closing(sqlite3.connect(path)) as connection:
            ledger += list(connection.iterdump())
    return "\n".join([*logs, *stored, *ledger])


def dump_of(client: object) -> list[bytes]:
    redis: Any = client
    with redis:
        return [redis.dump(key) for key in redis.keys("*")]


def test_an_event_with_characters_that_no_database_likes_is_recorded(whole_on_postgres: Whole) -> None:
    whole = whole_on_postgres
    whole.sandbox.emit(body={"event": "settlement.odd", "data": {"settlement_id": "stl\0x"}})

    def recorded() -> bool:
        events = listing.list_events(whole.books, limit=0)[0]
        return [event["settlement_id"] for event in events] == ["stl\N{REPLACEMENT CHARACTER}x"]

    eventually(recorded, 20, "the event is in the ledger")
