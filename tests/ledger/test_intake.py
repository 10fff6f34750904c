"""An event enters the ledger once; a flag opens a case, or joins the one that is open."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import func, select

from tests.ledger.conftest import Clock
from tests.ledger.making import FLAGGED, opened, received
from workers.cases import CaseState
from workers.ledger import claims, intake, listing
from workers.ledger.books import Books
from workers.ledger.endings import Ending, end_case
from workers.ledger.intake import ReceivedEvent
from workers.ledger.tables import CASES, EVENTS, SETTLEMENTS


def test_a_flag_opens_a_case_that_is_already_claimed(books: Books) -> None:
    record = opened(books)

    assert record.state is CaseState.OPENED
    assert record.fence == 1
    assert claims.claim(books, record.id) is None  # The taker has it; nobody else may work on it now.


def test_the_same_event_is_recorded_once(books: Books) -> None:
    event = received(event_id="evt-same")

    assert intake.take(books, event) is not None
    assert intake.take(books, event) is None

    assert _count(books, EVENTS) == 1
    assert _count(books, CASES) == 1


def test_a_repeated_flag_joins_the_open_case(books: Books) -> None:
    record = opened(books)

    assert intake.take(books, received()) is None

    items, total = listing.list_events(books, limit=0)
    assert total == 2
    assert {item["case_id"] for item in items} == {record.id}


def test_a_flag_that_came_during_the_work_is_read_again_by_a_case_of_its_own(books: Books) -> None:
    first = opened(books)
    intake.take(books, received())  # It looks exactly like the first, and may still be another flag.

    end_case(books, first, Ending(state=CaseState.CONFIRMED, note="done"))

    cases, total = listing.list_cases(books, limit=0)
    assert total == 2
    assert [case["state"] for case in cases] == ["opened", "confirmed"]
    assert claims.claim(books, cases[0]["case_id"]) is not None


def test_a_case_that_had_its_flag_alone_is_followed_by_none(books: Books) -> None:
    end_case(books, opened(books), Ending(state=CaseState.CONFIRMED, note="done"))

    assert _count(books, CASES) == 1


def test_a_flag_after_the_end_of_a_case_opens_another(books: Books) -> None:
    end_case(books, opened(books), Ending(state=CaseState.CONFIRMED, note="done"))

    assert intake.take(books, received()) is not None
    assert _count(books, CASES) == 2


def test_flags_of_one_settlement_taken_at_once_open_one_case(books: Books) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: intake.take(books, received()), range(16)))

    assert sum(record is not None for record in taken) == 1
    assert _count(books, EVENTS) == 16
    assert _count(books, CASES) == 1


def test_an_event_without_a_settlement_is_recorded_and_opens_nothing(books: Books) -> None:
    assert intake.take(books, received("test.ping", None, state=None)) is None
    assert intake.take(books, received("settlement.something.new")) is None

    assert _count(books, EVENTS) == 2
    assert _count(books, CASES) == 0


def test_a_body_that_cannot_be_read_is_kept_all_the_same(books: Books) -> None:
    whole = received()
    unreadable = ReceivedEvent(
        id="evt-odd",
        endpoint="main",
        event_key=whole.event_key,
        received_at=whole.received_at,
        body=b"\xff",
        event=None,
    )

    assert intake.take(books, unreadable) is None

    items, _ = listing.list_events(books, limit=0)
    assert items[0]["name"] == "(unreadable)"


def test_late_and_reordered_events_never_move_a_settlement_backwards(books: Books) -> None:
    names = "settlement.state.x"
    for state, previous, at in [
        ("COMPLIANCE_CHECKING", "INSTRUCTED", "2026-03-02T09:00:02Z"),
        ("INSTRUCTED", None, "2026-03-02T09:00:01Z"),
        ("COMPLIANCE_CLEARED", "COMPLIANCE_CHECKING", "2026-03-02T09:00:02Z"),
        ("COMPLIANCE_CHECKING", "INSTRUCTED", "2026-03-02T09:00:02Z"),
    ]:
        intake.take(books, received(names, state=state, previous=previous, at=at))

    with books.reading() as connection:
        assert connection.scalar(select(SETTLEMENTS.c.state)) == "COMPLIANCE_CLEARED"


def test_any_event_of_its_settlement_makes_a_held_case_look_again(books: Books, clock: Clock) -> None:
    record = opened(books)
    with books.writing() as connection:
        claims.change_claimed(
            connection,
            record,
            {"state": CaseState.HELD, "next_at": clock() + timedelta(hours=1), "lease_until": None},
        )
    assert claims.due_cases(books, most=10) == []

    intake.take(books, received("settlement.state.compliance_cleared", state="COMPLIANCE_CLEARED"))

    assert claims.due_cases(books, most=10) == [record.id]


def test_an_events_body_is_sealed(books: Books) -> None:
    event = received()
    intake.take(books, event)

    with books.reading() as connection:
        sealed: bytes = connection.execute(select(EVENTS.c.body_sealed)).scalar_one()

    assert FLAGGED.encode() not in sealed
    assert books.personal.open(sealed, event.id) == event.body


def _count(books: Books, table: object) -> int:
    with books.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[arg-type]
