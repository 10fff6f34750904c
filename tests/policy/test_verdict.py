"""The combining rule, sentence by sentence (the design's "combining rule")."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from countersign.reasons import Reason
from countersign.verdict import CastVote, Mode, Powers, Verdict, combine
from countersign.votes import Vote, VoteOutcome
from tests.policy.strategies import ENFORCE, OPTIONAL, REQUIRED, cast_votes, powers

ALL_POWERS = Powers(auto_approve=True, auto_reject=True)
TOWARDS_REJECT = [Verdict.APPROVE, Verdict.HOLD, Verdict.REJECT]

any_votes = st.lists(cast_votes(), max_size=6)
approving = st.lists(
    cast_votes(outcomes=st.just(VoteOutcome.APPROVE), modes=ENFORCE, required=REQUIRED),
    min_size=1,
    max_size=5,
)
"""Sets of votes that approve: a doubt that is added to one of them must be seen."""


def cast(outcome: VoteOutcome, *, required: bool = True, mode: Mode = Mode.ENFORCE) -> CastVote:
    return CastVote(
        handler=outcome.value, vote=Vote(outcome=outcome, reason=Reason.POLICY), required=required, mode=mode
    )


@given(any_votes, powers, st.randoms())
def test_order_never_matters(votes: list[CastVote], power: Powers, random: Random) -> None:
    shuffled = random.sample(votes, len(votes))

    assert combine(votes, power) == combine(shuffled, power)


@given(any_votes, powers)
def test_nothing_but_a_full_set_of_required_approvals_approves(votes: list[CastVote], power: Powers) -> None:
    required = [c for c in votes if c.mode is Mode.ENFORCE and c.required]
    full_set = bool(required) and all(c.vote.outcome is VoteOutcome.APPROVE for c in required)

    if combine(votes, power).verdict is Verdict.APPROVE:
        assert full_set
        assert power.auto_approve


@given(approving)
def test_a_full_set_of_required_approvals_approves_where_that_is_switched_on(votes: list[CastVote]) -> None:
    assert combine(votes, ALL_POWERS).verdict is Verdict.APPROVE
    assert combine(votes, Powers(auto_reject=True)).verdict is Verdict.HOLD


@given(any_votes, cast_votes(outcomes=st.just(VoteOutcome.REJECT)), powers)
def test_adding_a_reject_can_only_move_towards_reject(
    votes: list[CastVote], reject: CastVote, power: Powers
) -> None:
    before = TOWARDS_REJECT.index(combine(votes, power).verdict)
    after = TOWARDS_REJECT.index(combine([*votes, reject], power).verdict)

    assert after >= before


@given(any_votes, cast_votes(outcomes=st.just(VoteOutcome.REJECT), modes=ENFORCE))
def test_a_reject_rejects_whatever_the_others_say_where_that_is_switched_on(
    votes: list[CastVote], reject: CastVote
) -> None:
    assert combine([*votes, reject], ALL_POWERS).verdict is Verdict.REJECT
    assert combine([*votes, reject], Powers(auto_approve=True)).verdict is Verdict.HOLD


@given(any_votes, powers)
def test_nothing_rejects_without_a_reject(votes: list[CastVote], power: Powers) -> None:
    if combine(votes, power).verdict is Verdict.REJECT:
        assert any(c.vote.outcome is VoteOutcome.REJECT and c.mode is Mode.ENFORCE for c in votes)
        assert power.auto_reject


@given(any_votes, powers)
def test_nothing_rejects_once_something_was_deposited(votes: list[CastVote], power: Powers) -> None:
    power = replace(power, deposited=True)

    assert combine(votes, power).verdict is not Verdict.REJECT


@given(
    any_votes | approving,
    cast_votes(
        outcomes=st.sampled_from([VoteOutcome.ERROR, VoteOutcome.TIMEOUT]),
        modes=ENFORCE,
        required=REQUIRED,
    ),
    powers,
)
def test_an_error_of_a_required_handler_never_approves(
    votes: list[CastVote], failure: CastVote, power: Powers
) -> None:
    assert combine([*votes, failure], power).verdict is not Verdict.APPROVE


@given(any_votes | approving, cast_votes(outcomes=st.just(VoteOutcome.ESCALATE), modes=ENFORCE), powers)
def test_an_escalation_never_approves(votes: list[CastVote], escalation: CastVote, power: Powers) -> None:
    assert combine([*votes, escalation], power).verdict is not Verdict.APPROVE


@given(
    any_votes | approving,
    cast_votes(outcomes=st.just(VoteOutcome.ABSTAIN), modes=ENFORCE, required=REQUIRED),
    powers,
)
def test_a_required_handler_that_abstains_never_approves(
    votes: list[CastVote], abstention: CastVote, power: Powers
) -> None:
    assert combine([*votes, abstention], power).verdict is not Verdict.APPROVE


@given(any_votes, st.lists(cast_votes(modes=st.sampled_from([Mode.SHADOW, Mode.OFF])), max_size=4), powers)
def test_shadow_and_off_never_count(votes: list[CastVote], uncounted: list[CastVote], power: Powers) -> None:
    assert combine([*votes, *uncounted], power) == combine(votes, power)


@given(
    any_votes,
    st.lists(
        cast_votes(
            outcomes=st.sampled_from([VoteOutcome.ERROR, VoteOutcome.TIMEOUT, VoteOutcome.ABSTAIN]),
            required=OPTIONAL,
        ),
        max_size=4,
    ),
    powers,
)
def test_what_is_not_required_may_fail_without_effect(
    votes: list[CastVote], failed: list[CastVote], power: Powers
) -> None:
    assert combine([*votes, *failed], power) == combine(votes, power)


@given(any_votes)
def test_without_powers_nothing_is_ever_decided(votes: list[CastVote]) -> None:
    assert combine(votes, Powers()).verdict is Verdict.HOLD


def test_no_handlers_hold() -> None:
    assert combine([], ALL_POWERS).verdict is Verdict.HOLD


def test_approvals_of_handlers_that_are_not_required_hold() -> None:
    combined = combine([cast(VoteOutcome.APPROVE, required=False)], ALL_POWERS)

    assert combined.verdict is Verdict.HOLD
    assert combined.why == "no required handler voted"


def test_each_hold_says_why() -> None:
    approve, error = cast(VoteOutcome.APPROVE), cast(VoteOutcome.ERROR)
    escalate, abstain = cast(VoteOutcome.ESCALATE), cast(VoteOutcome.ABSTAIN)
    reject = cast(VoteOutcome.REJECT)

    assert combine([approve, error, escalate], ALL_POWERS).why == "could not be checked by error"
    assert combine([approve, escalate, abstain], ALL_POWERS).why == "a person is asked for by escalate"
    assert combine([approve, abstain], ALL_POWERS).why == "not approved by abstain"
    assert combine([approve], Powers()).why == "approval is not switched on for this kind of case"
    assert combine([approve], ALL_POWERS).why == "approved by approve"
    assert combine([approve, reject], ALL_POWERS).why == "rejected by reject"
    assert combine([reject], Powers()).why == "rejected by reject, but rejection is not switched on here"
    assert (
        combine([reject], Powers(auto_reject=True, deposited=True)).why
        == "rejected by reject, but a deposit was made, which a reject returns"
    )


def test_a_handler_without_a_name_counts_like_any_other() -> None:
    nameless = CastVote(
        handler="", vote=Vote(outcome=VoteOutcome.ERROR, reason=Reason.HANDLER_ERROR), required=True
    )

    assert combine([nameless, cast(VoteOutcome.APPROVE)], ALL_POWERS).verdict is Verdict.HOLD
