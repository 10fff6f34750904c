"""Made-up cases for the tests of handlers."""

from datetime import UTC, datetime
from decimal import Decimal

from countersign import Case, Facts, Handler, Leg, Party, Settlement, Vote

JUDGED_AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
WALLET = "0x52908400098527886E0F7030069857D2E4169EE7"
OTHER_WALLET = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"


def a_party(wallet: str | None = WALLET, role: str = "buyer", hint: str | None = None) -> Party:
    return Party(
        id=f"party-{role}", role=role, name="Jane Roe", wallet_address=wallet, wallet_address_hint=hint
    )


def a_leg(quantity: str = "100", instrument: str = "USDC", status: str | None = "pending") -> Leg:
    return Leg(
        id=f"leg-{instrument}",
        leg_type="payment",
        instrument_id=instrument,
        quantity=Decimal(quantity),
        direction="deliver",
        party_role="buyer",
        status=status,
    )


def a_case(
    *,
    parties: tuple[Party, ...] = (a_party(),),
    legs: tuple[Leg, ...] = (a_leg(),),
    template: str | None = "dvp-bond",
    state: str = "COMPLIANCE_CHECKING",
    event: str = "settlement.compliance.flagged",
    facts: Facts | None = None,
    judged_at: datetime = JUDGED_AT,
) -> Case:
    settlement = Settlement(
        id="settlement-1", state=state, template_slug=template, parties=parties, legs=legs
    )
    return Case(
        id="case-1",
        environment="test",
        event=event,
        settlement=settlement,
        judged_at=judged_at,
        facts=facts or Facts(),
    )


def vote_of(handler: Handler, case: Case, **settings: object) -> Vote:
    vote = handler(case, **settings)
    assert isinstance(vote, Vote)
    return vote
