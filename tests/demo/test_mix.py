"""The mix: fixed by its seed, of every kind, and enough of each."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.sandbox.demo.comparison import Fate
from countersign.sandbox.demo.mix import DENIED_WALLETS, KINDS, LIMIT, least, mix
from countersign.sandbox.demo.policy_file import policy_text
from countersign.sandbox.demo.summary import percentile
from workers.policy import parse_policy


@given(st.integers(0, 300), st.integers())
def test_a_seed_makes_the_same_mix_again(total: int, seed: int) -> None:
    first, second = mix(total, seed), mix(total, seed)

    assert len(first) == total
    assert [each.wish for each in first] == [each.wish for each in second]
    assert [each.kind for each in first] == [each.kind for each in second]


def test_another_seed_makes_another_mix() -> None:
    assert [each.wish for each in mix(40, 1)] != [each.wish for each in mix(40, 2)]


@pytest.mark.parametrize("seed", range(5))
def test_forty_settlements_are_of_every_kind_with_five_of_each_decided_fate(seed: int) -> None:
    plan = mix(40, seed)

    assert {each.kind for each in plan} == set(KINDS)
    fates = Counter(each.kind.fate for each in plan)
    assert min(fates[fate] for fate in (Fate.APPROVED, Fate.REJECTED, Fate.HELD)) >= 5
    assert least(plan) == {Fate.APPROVED: 5, Fate.REJECTED: 5, Fate.HELD: 5}


def test_a_small_run_asks_for_no_more_than_it_planned() -> None:
    plan = mix(4, 1)

    planned = Counter(each.kind.fate for each in plan)
    assert least(plan) == {fate: planned[fate] for fate in (Fate.APPROVED, Fate.REJECTED, Fate.HELD)}


@given(st.integers(1, 200), st.integers())
def test_only_what_must_not_pass_is_denied_or_over_the_limit(total: int, seed: int) -> None:
    for each in mix(total, seed):
        assert (each.wish.get("wallet") in DENIED_WALLETS) == each.kind.denied
        assert (int(float(each.wish["quantity"])) > LIMIT) == each.kind.over_the_limit


def test_the_policy_of_a_run_can_be_read_by_the_worker() -> None:
    policy = parse_policy(policy_text().encode())

    assert set(policy.handlers) == {"limits", "wallet_list"}
    assert {entry["address"] for entry in policy.handlers["wallet_list"].settings["deny"]} == set(
        DENIED_WALLETS
    )


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_values_that_were_seen(values: list[float]) -> None:
    ordered = tuple(sorted(values))

    assert percentile(ordered, 99) in {round(value, 1) for value in values}
    assert percentile(ordered, 100) == round(ordered[-1], 1)
    assert percentile((), 50) is None
