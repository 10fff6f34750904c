"""The servers below die: it costs time, and no flag."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.postgres import PostgresServer
from tests.services.processes import Processes
from tests.services.valkey import ValkeyDatabases, ValkeyServer
from tests.services.waiting import eventually
from tests.whole.conftest import Whole


@pytest.fixture
def fragile(
    processes: Processes, own_valkey: ValkeyServer, own_postgres: PostgresServer, tmp_path: Path
) -> Iterator[Whole]:
    """Run everything on servers that the test may kill."""
    url = own_postgres.create_database("ledger")
    running = Whole(processes, ValkeyDatabases(own_valkey, 0), url, tmp_path)
    running.wait_for_case(running.flag(), "confirmed")  # So it is up, and at work.
    yield running
    running.close()


def test_a_flag_that_comes_while_the_database_is_away_is_decided_when_it_is_back(
    fragile: Whole, own_postgres: PostgresServer
) -> None:
    own_postgres.kill()
    settlement_id = fragile.flag()
    eventually(lambda: accepted(fragile, settlement_id), 20, "the flag is answered 202")

    own_postgres.start()

    fragile.wait_for_case(settlement_id, "confirmed")
    assert applied(fragile) == ["approve"] * 2


def test_a_flag_that_was_accepted_survives_the_death_of_the_queue_and_of_the_workers(
    fragile: Whole, own_valkey: ValkeyServer
) -> None:
    fragile.worker.stop()
    settlement_id = fragile.flag()
    eventually(lambda: accepted(fragile, settlement_id), 20, "the flag is answered 202")

    own_valkey.restart()
    fragile.start_worker()

    fragile.wait_for_case(settlement_id, "confirmed")
    assert applied(fragile) == ["approve"] * 2


def test_workers_go_on_after_the_queue_was_away(fragile: Whole, own_valkey: ValkeyServer) -> None:
    own_valkey.restart()

    fragile.wait_for_case(fragile.flag(), "confirmed")


def applied(whole: Whole) -> list[str]:
    """List the decisions that KeyStone applied."""
    return [d["decision"] for d in whole.sandbox.decisions() if d["applied"]]


def accepted(whole: Whole, settlement_id: str) -> bool:
    """Say whether KeyStone's own log has a flag of this settlement answered 202."""
    return any(
        delivery["settlement_id"] == settlement_id
        and delivery["event"].endswith("flagged")
        and delivery["status"] == 202
        for delivery in whole.sandbox.deliveries()
    )
