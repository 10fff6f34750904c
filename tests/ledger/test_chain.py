"""Whatever is changed in the record afterwards, the chain says where."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, update

from workers.ledger.books import Books
from workers.ledger.chain import BrokenLink, Entry, append, broken_links, chain_lengths
from workers.ledger.tables import CHAIN_HEADS, ENTRIES

AT = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)


def entry(number: int) -> Entry:
    return Entry(
        kind="case_judged",
        case_id=f"case-{number}",
        settlement_id="stl-1",
        at=AT,
        body={"number": number, "quantity": "1000000.000000000000000001", "why": "ünïcode"},
    )


@pytest.fixture
def chained(books: Books) -> Books:
    for number in range(1, 6):
        with books.writing() as connection:
            append(connection, "test", [entry(number), entry(number)])
    return books


def broken(books: Books) -> list[BrokenLink]:
    with books.reading() as connection:
        return broken_links(connection)


def test_an_untouched_chain_holds(chained: Books) -> None:
    assert broken(chained) == []
    with chained.reading() as connection:
        assert chain_lengths(connection) == {"test": 10}


@pytest.mark.parametrize(
    "change",
    [
        {"body": '{"number":4,"quantity":"2","why":"x"}'},
        {"kind": "case_held"},
        {"case_id": "case-9"},
        {"settlement_id": "stl-2"},
        {"at": datetime(2026, 3, 2, 9, 0, 1, tzinfo=UTC)},
        {"hash": "f" * 64},
        {"previous_hash": "f" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_to_an_entry_is_found_where_it_was_made(chained: Books, change: dict[str, object]) -> None:
    with chained.writing() as connection:
        connection.execute(update(ENTRIES).where(ENTRIES.c.position == 7).values(**change))

    found = broken(chained)

    assert [(link.environment, link.position) for link in found] == [("test", 7)]


def test_a_missing_entry_is_found(chained: Books) -> None:
    with chained.writing() as connection:
        connection.execute(delete(ENTRIES).where(ENTRIES.c.position == 4))

    assert [(link.position, link.problem) for link in broken(chained)] == [(4, "entry 4 is missing")]


def test_a_chain_that_was_cut_short_is_found(chained: Books) -> None:
    with chained.writing() as connection:
        connection.execute(delete(ENTRIES).where(ENTRIES.c.position > 8))

    assert [(link.position, link.problem) for link in broken(chained)] == [(9, "newer entries are missing")]


def test_writers_at_once_never_fork_the_chain(books: Books) -> None:
    def write(number: int) -> None:
        with books.writing() as connection:
            append(connection, "test", [entry(number)])

    write(0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(1, 60)))

    assert broken(books) == []
    with books.reading() as connection:
        assert chain_lengths(connection) == {"test": 60}


def test_each_environment_has_a_chain_of_its_own(chained: Books) -> None:
    with chained.writing() as connection:
        append(connection, "other", [entry(1)])
        connection.execute(
            update(ENTRIES).where(ENTRIES.c.environment == "other").values(case_id="case-changed")
        )

    assert [link.environment for link in broken(chained)] == ["other"]
    with chained.reading() as connection:
        assert connection.scalar(CHAIN_HEADS.select().with_only_columns(CHAIN_HEADS.c.position)) is not None
