"""Names and wallets leave the record before it is hashed, and can be erased without breaking it."""

import json
import os
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from countersign.sealing import SealBroken
from tests.ledger.making import settlement
from workers.ledger.books import Books
from workers.ledger.personal import PersonalData
from workers.ledger.tables import PERSONAL


def taken_out(books: Books, name: str | None = "Ada Lovelace") -> dict[str, object]:
    with books.writing() as connection:
        plain = settlement(name=name).to_plain()
        return books.personal.take_out(connection, "test", plain, books.now())


def test_no_name_or_wallet_stays_in_what_is_recorded(books: Books) -> None:
    recorded = json.dumps(taken_out(books))

    for personal in ("Ada", "Babbage", "ab" * 20, "cd" * 20):
        assert personal not in recorded
    assert "KBOND" in recorded


def test_what_was_taken_out_can_be_put_back(books: Books) -> None:
    recorded = taken_out(books)

    with books.reading() as connection:
        back, erased = books.personal.put_back(connection, recorded)

    assert back == settlement().to_plain()
    assert not erased


def test_the_same_person_is_kept_once(books: Books) -> None:
    assert taken_out(books) == taken_out(books)

    with books.reading() as connection:
        assert len(connection.execute(select(PERSONAL.c.id)).all()) == 4


def test_a_missing_name_stays_missing(books: Books) -> None:
    recorded = taken_out(books, name=None)

    assert recorded["parties"][0]["name"] is None  # type: ignore[index]


def test_after_a_rotation_old_values_open_and_are_found(books: Books) -> None:
    old, new = os.urandom(32), os.urandom(32)
    before = replace(books, personal=PersonalData([old]))
    recorded = taken_out(before)
    after = replace(books, personal=PersonalData([new, old]))

    with after.reading() as connection:
        back, _ = after.personal.put_back(connection, recorded)

    assert back == settlement().to_plain()
    assert taken_out(after) == recorded


def test_an_erased_person_is_gone_and_the_record_stands(books: Books) -> None:
    recorded = taken_out(books)
    gone = {"salt": None, "sealed_key": None, "sealed_value": None, "erased_at": books.now()}
    with books.writing() as connection:
        connection.execute(update(PERSONAL).values(**gone))

    with books.reading() as connection:
        back, erased = books.personal.put_back(connection, recorded)

    assert erased
    assert [party["name"] for party in back["parties"]] == [None, None]


def test_a_value_copied_to_another_person_does_not_open(books: Books) -> None:
    recorded = taken_out(books)
    with books.writing() as connection:
        rows = connection.execute(select(PERSONAL).order_by(PERSONAL.c.id)).all()
        connection.execute(
            update(PERSONAL).where(PERSONAL.c.id == rows[0].id).values(sealed_key=rows[1].sealed_key)
        )

    with books.reading() as connection, pytest.raises(SealBroken):
        books.personal.put_back(connection, recorded)
