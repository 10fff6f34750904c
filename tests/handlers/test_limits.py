"""`limits`: exact, and in doubt a person looks."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign import Reason, VoteOutcome
from tests.handlers.cases import a_case, a_leg, vote_of
from workers.handlers.limits import limits

USDC = {"instruments": {"USDC": "1000000"}}


def test_within_the_limit_it_approves_and_says_what_it_compared() -> None:
    vote = vote_of(limits, a_case(legs=(a_leg("1000000"),)), **USDC)

    assert vote.outcome is VoteOutcome.APPROVE
    assert vote.evidence == {
        "legs": [{"leg": "leg-USDC", "instrument": "USDC", "quantity": "1000000", "limit": "1000000"}]
    }


def test_one_part_in_a_trillion_over_is_over() -> None:
    vote = vote_of(limits, a_case(legs=(a_leg("1000000.000000000000000001"),)), **USDC)

    assert vote.outcome is VoteOutcome.ESCALATE
    assert vote.reason is Reason.LIMIT_EXCEEDED


def test_over_the_limit_can_be_set_to_reject() -> None:
    vote = vote_of(limits, a_case(legs=(a_leg("1000001"),)), on_exceeded="reject", **USDC)

    assert vote.outcome is VoteOutcome.REJECT


def test_an_unknown_instrument_is_escalated_unless_there_is_a_default() -> None:
    case = a_case(legs=(a_leg("5", "DOGE"),))

    assert vote_of(limits, case, **USDC).reason is Reason.LIMIT_UNKNOWN_UNIT
    assert vote_of(limits, case, **USDC).outcome is VoteOutcome.ESCALATE
    assert vote_of(limits, case, default="10", **USDC).outcome is VoteOutcome.APPROVE
    assert vote_of(limits, case, default=4, **USDC).reason is Reason.LIMIT_EXCEEDED


def test_without_settings_every_instrument_is_unknown() -> None:
    assert vote_of(limits, a_case()).reason is Reason.LIMIT_UNKNOWN_UNIT


def test_a_leg_over_its_limit_weighs_more_than_an_unknown_one() -> None:
    case = a_case(legs=(a_leg("5", "DOGE"), a_leg("1000001")))

    vote = vote_of(limits, case, on_exceeded="reject", **USDC)

    assert vote.outcome is VoteOutcome.REJECT
    assert [leg["leg"] for leg in vote.evidence["legs"]] == ["leg-USDC"]


def test_a_settlement_without_legs_is_escalated() -> None:
    assert vote_of(limits, a_case(legs=()), **USDC).outcome is VoteOutcome.ESCALATE


@pytest.mark.parametrize("quantity", ["NaN", "sNaN", "-1", "-Infinity"])
def test_a_quantity_that_makes_no_sense_is_escalated(quantity: str) -> None:
    vote = vote_of(limits, a_case(legs=(a_leg(quantity),)), **USDC)

    assert vote.outcome is VoteOutcome.ESCALATE
    assert vote.reason is Reason.LIMIT_UNKNOWN_UNIT


@pytest.mark.parametrize("quantity", ["Infinity", "1E+999999999"])
def test_an_endless_quantity_is_over_any_limit(quantity: str) -> None:
    assert vote_of(limits, a_case(legs=(a_leg(quantity),)), **USDC).reason is Reason.LIMIT_EXCEEDED


@given(
    st.decimals(allow_nan=False, min_value=0), st.decimals(allow_nan=False, allow_infinity=False, min_value=0)
)
def test_it_approves_exactly_what_is_not_over(quantity: Decimal, limit: Decimal) -> None:
    vote = vote_of(limits, a_case(legs=(a_leg(str(quantity)),)), instruments={"USDC": str(limit)})

    assert (vote.outcome is VoteOutcome.APPROVE) == (quantity <= limit)


@pytest.mark.parametrize("wrong", [1000.5, True, "much", "NaN", "Infinity", "-1", None, []])
def test_a_limit_that_is_not_exact_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"instruments\.USDC must be a quantity"):
        limits.make({"instruments": {"USDC": wrong}})


def test_every_wrong_setting_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="on_exceeded must be one of: escalate, reject; instruments must be"):
        limits.make({"instruments": ["USDC"], "on_exceeded": "shout"})
    with pytest.raises(TypeError, match="max"):
        limits.make({"max": 5})
