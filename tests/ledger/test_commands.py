"""The ledger's commands: what a person and a script see of it."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from countersign.cli import app
from countersign.sealing import new_key
from tests.ledger.making import received
from workers.cases import CaseState
from workers.ledger import intake
from workers.ledger.books import Books
from workers.ledger.endings import Ending, end_case
from workers.ledger.opening import open_books
from workers.ledger.tables import ENTRIES
from workers.settings import LedgerSettings

runner = CliRunner()


def run(*arguments: str) -> tuple[int, str]:
    result = runner.invoke(app, list(arguments))
    return result.exit_code, result.output


@pytest.fixture
def opened_books(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    """Give a ledger with one case that has ended."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("COUNTERSIGN_DATABASE_URL", database_url)
    monkeypatch.setenv("COUNTERSIGN_KEYSTONE_ENVIRONMENT", "test")
    monkeypatch.setenv("COUNTERSIGN_LEDGER_KEYS", new_key())
    assert run("migrate") == (0, "ledger: no tables -> 0001\n")
    books = open_books(LedgerSettings.from_environment())
    record = intake.take(books, received())
    assert record is not None
    end_case(books, record, Ending(state=CaseState.EXPIRED, note="KeyStone shows it expired"))
    yield books
    books.engine.dispose()


def test_cases_are_listed_for_people_and_for_scripts(opened_books: Books) -> None:
    code, shown = run("cases", "list")
    assert code == 0
    assert "1 of 1 cases" in shown
    assert "expired" in shown

    code, printed = run("cases", "list", "--json", "--limit", "0")
    told = json.loads(printed)
    assert (code, told["total"]) == (0, 1)
    assert told["items"][0]["state"] == "expired"
    assert opened_books.environment == told["items"][0]["environment"]


@pytest.mark.usefixtures("opened_books")
def test_cases_are_found_by_state_and_settlement() -> None:
    for arguments, total in [
        (("--state", "expired"), 1),
        (("--state", "held"), 0),
        (("--settlement", "stl-1"), 1),
        (("--settlement", "stl-2"), 0),
    ]:
        assert json.loads(run("cases", "list", "--json", *arguments)[1])["total"] == total


@pytest.mark.usefixtures("opened_books")
def test_a_case_is_shown_as_a_timeline() -> None:
    case_id = json.loads(run("cases", "list", "--json")[1])["items"][0]["case_id"]

    code, shown = run("cases", "show", case_id)

    assert code == 0
    assert shown.index("case_opened") < shown.index("case_ended")
    assert [entry["kind"] for entry in json.loads(run("cases", "show", case_id, "--json")[1])["items"]] == [
        "case_opened",
        "case_ended",
    ]


@pytest.mark.usefixtures("opened_books")
def test_an_unknown_case_says_what_to_do() -> None:
    code, shown = run("cases", "show", "case_nowhere")

    assert code == 2
    assert "countersign cases list" in shown


@pytest.mark.usefixtures("opened_books")
def test_events_are_listed() -> None:
    told = json.loads(run("events", "list", "--json")[1])

    assert [event["name"] for event in told["items"]] == ["settlement.compliance.flagged"]
    assert "settlement.compliance.flagged" in run("events", "list")[1]


def test_a_broken_chain_is_named_and_the_exit_code_says_so(opened_books: Books) -> None:
    assert run("ledger", "verify") == (0, "2 entries, every link holds\n")

    with opened_books.writing() as connection:
        connection.execute(update(ENTRIES).where(ENTRIES.c.position == 2).values(body="{}"))

    code, shown = run("ledger", "verify")
    assert code == 1
    assert "broken at entry 2" in shown
    code, printed = run("ledger", "verify", "--json")
    assert code == 1
    assert json.loads(printed)["broken"][0]["position"] == 2


def test_a_ledger_that_was_not_migrated_says_what_to_run(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_DATABASE_URL", database_url)
    monkeypatch.setenv("COUNTERSIGN_KEYSTONE_ENVIRONMENT", "test")
    monkeypatch.setenv("COUNTERSIGN_LEDGER_KEYS", new_key())

    code, shown = run("cases", "list")

    assert code == 2
    assert "countersign migrate" in shown


def test_a_database_that_is_away_is_one_line_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_DATABASE_URL", "postgresql://countersign:the-password@127.0.0.1:1/x")

    code, shown = run("migrate")

    assert code == 2
    assert "the ledger's database can't be used" in shown
    assert "the-password" not in shown
