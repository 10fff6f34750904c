"""While a case is in hand its claim is kept alive, and no longer."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from tests.services.waiting import eventually
from workers.leases import LeaseKeeper


class Renewals:
    def __init__(self) -> None:
        self.seen: list[dict[str, int]] = []
        self.fails = False

    def __call__(self, fences: Mapping[str, int]) -> None:
        self.seen.append(dict(fences))
        if self.fails:
            raise ConnectionError("the database is away")


def test_cases_in_hand_are_renewed_and_others_are_not() -> None:
    renewals = Renewals()
    keeper = LeaseKeeper(renewals, timedelta(seconds=10))

    with keeper.holding("case-1", 3):
        keeper.renew()
        with keeper.holding("case-2", 1):
            keeper.renew()
    keeper.renew()

    assert renewals.seen == [{"case-1": 3}, {"case-1": 3, "case-2": 1}]


def test_a_case_that_failed_is_let_go() -> None:
    renewals = Renewals()
    keeper = LeaseKeeper(renewals, timedelta(seconds=10))

    with suppress(ZeroDivisionError), keeper.holding("case-1", 3):
        _ = 1 / 0
    keeper.renew()

    assert renewals.seen == []


def test_it_renews_by_itself_three_times_a_lease_and_survives_a_failure() -> None:
    renewals = Renewals()
    renewals.fails = True
    keeper = LeaseKeeper(renewals, timedelta(seconds=0.15))
    keeper.start()
    try:
        with keeper.holding("case-1", 1):
            eventually(lambda: len(renewals.seen) >= 3)
    finally:
        keeper.stop()

    assert not any(thread.name == "lease-keeper" for thread in threading.enumerate())
