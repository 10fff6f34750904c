"""Any settlement, case and vote: what the properties of the policy are tried on."""

from datetime import UTC, timedelta, timezone

from hypothesis import strategies as st

from countersign import Case, Fact, Facts, Leg, Party, Reason, Settlement, Vote, VoteOutcome
from countersign.verdict import CastVote, Mode, Powers

maybe_text = st.none() | st.text(max_size=20)
zones = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30)), timezone(timedelta(hours=14))])
times = st.datetimes(timezones=zones)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)

parties = st.builds(
    Party,
    id=st.text(max_size=20),
    role=st.text(max_size=20),
    status=maybe_text,
    external_reference=maybe_text,
    name=maybe_text,
    wallet_address=maybe_text,
    wallet_address_hint=maybe_text,
    chain_id=maybe_text,
    asset_provider=maybe_text,
    counterparty_reference=maybe_text,
)
legs = st.builds(
    Leg,
    id=st.text(max_size=20),
    leg_type=st.text(max_size=20),
    instrument_id=st.text(max_size=20),
    quantity=st.decimals(allow_nan=False),
    direction=st.text(max_size=10),
    party_role=st.text(max_size=10),
    chain_id=maybe_text,
    token_standard=maybe_text,
    status=maybe_text,
    external_reference=maybe_text,
)
settlements = st.builds(
    Settlement,
    id=st.text(max_size=20),
    state=st.text(max_size=20),
    settlement_type=maybe_text,
    platform_id=maybe_text,
    environment_id=maybe_text,
    template_id=maybe_text,
    template_slug=maybe_text,
    template_version=st.none() | st.integers(),
    external_reference=maybe_text,
    settlement_category=maybe_text,
    parent_settlement_id=maybe_text,
    timeout_at=st.none() | times,
    created_at=st.none() | times,
    updated_at=st.none() | times,
    parties=st.lists(parties, max_size=3).map(tuple),
    legs=st.lists(legs, max_size=3).map(tuple),
)
facts = st.dictionaries(
    st.text(max_size=10), st.builds(Fact, value=plain, source=st.text(max_size=10), at=times), max_size=3
).map(Facts)
cases = st.builds(
    Case,
    id=st.text(max_size=20),
    environment=st.text(max_size=20),
    event=st.text(max_size=20),
    settlement=settlements,
    judged_at=times,
    deadline=st.none() | times,
    facts=facts,
)

ANY_OUTCOME = st.sampled_from(VoteOutcome)
ANY_MODE = st.sampled_from(Mode)
EITHER = st.booleans()
ENFORCE = st.just(Mode.ENFORCE)
REQUIRED = st.sampled_from([True])
OPTIONAL = st.sampled_from([False])


def votes(outcomes: st.SearchStrategy[VoteOutcome]) -> st.SearchStrategy[Vote]:
    """Any vote with one of these outcomes."""
    return st.builds(
        Vote, outcome=outcomes, reason=st.sampled_from(Reason), note=st.text(max_size=5), evidence=st.just({})
    )


def cast_votes(
    outcomes: st.SearchStrategy[VoteOutcome] = ANY_OUTCOME,
    modes: st.SearchStrategy[Mode] = ANY_MODE,
    required: st.SearchStrategy[bool] = EITHER,
) -> st.SearchStrategy[CastVote]:
    """Any cast vote; each part can be narrowed. Names are any text, the empty one too."""
    return st.builds(
        CastVote,
        handler=st.text(max_size=4),
        vote=votes(outcomes),
        required=required,
        mode=modes,
    )


powers = st.builds(Powers, auto_approve=st.booleans(), auto_reject=st.booleans(), deposited=st.booleans())
