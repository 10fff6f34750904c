"""A claim is one worker's; a worker that lost it can write nothing any more."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.ledger.conftest import Clock
from tests.ledger.making import opened
from workers.cases import CaseState
from workers.ledger import claims, sweep_claims
from workers.ledger.books import Books, LeaseLost
from workers.ledger.endings import Ending, end_case


def test_a_due_case_is_claimed_by_one_of_many(books: Books) -> None:
    record = opened(books)
    claims.postpone(books, record, timedelta(0), "for the test")

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: claims.claim(books, record.id), range(8)))

    assert sum(record is not None for record in claimed) == 1


def test_a_case_is_free_again_when_its_lease_has_run_out(books: Books, clock: Clock) -> None:
    record = opened(books)
    clock.move(9.9)
    assert claims.claim(books, record.id) is None
    clock.move(0.2)

    again = claims.claim(books, record.id)

    assert again is not None
    assert (again.fence, again.attempts) == (2, 2)


def test_a_renewed_lease_holds(books: Books, clock: Clock) -> None:
    record = opened(books)
    clock.move(8)
    claims.renew(books, {record.id: record.fence})
    clock.move(8)

    assert claims.claim(books, record.id) is None


def test_a_worker_that_lost_its_claim_writes_nothing(books: Books, clock: Clock) -> None:
    frozen = opened(books)
    clock.move(11)
    successor = claims.claim(books, frozen.id)
    assert successor is not None

    with pytest.raises(LeaseLost):
        claims.postpone(books, frozen, timedelta(0), "too late")
    with pytest.raises(LeaseLost):
        end_case(books, frozen, Ending(state=CaseState.CONFLICT, note="too late"))
    claims.renew(books, {frozen.id: frozen.fence})  # Renewing what is another's changes nothing.
    clock.move(11)

    assert claims.claim(books, frozen.id) is not None


def test_an_ended_case_is_never_claimed_again(books: Books, clock: Clock) -> None:
    record = opened(books)
    end_case(books, record, Ending(state=CaseState.EXPIRED, note="over"))
    clock.move(3600)

    assert claims.claim(books, record.id) is None
    assert claims.due_cases(books, most=10) == []


def test_the_sweep_wakes_each_due_case_once_a_lease(books: Books, clock: Clock) -> None:
    record = opened(books)
    clock.move(11)

    assert claims.due_cases(books, most=10) == [record.id]
    assert claims.due_cases(books, most=10) == []
    clock.move(11)
    assert claims.due_cases(books, most=10) == [record.id]


def test_one_process_sweeps_until_its_claim_runs_out(books: Books, clock: Clock) -> None:
    lease = timedelta(seconds=3)

    assert sweep_claims.claim(books, "sweep", holder="a", lease=lease)
    assert not sweep_claims.claim(books, "sweep", holder="b", lease=lease)
    assert sweep_claims.claim(books, "sweep", holder="a", lease=lease)
    clock.move(3.1)
    assert sweep_claims.claim(books, "sweep", holder="b", lease=lease)
    assert not sweep_claims.claim(books, "sweep", holder="a", lease=lease)
