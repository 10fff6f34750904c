"""What crosses into a handler's process comes out unchanged: settlement, facts and case as plain data."""

import json
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given

from countersign import Case, Fact, Facts, Leg, Party, Settlement
from tests.policy.strategies import cases, settlements


def settlement(**changes: object) -> Settlement:
    return Settlement.from_plain({"id": "s-1", "state": "COMPLIANCE_CHECKING", **changes})


@given(settlements)
def test_a_settlement_survives_json_unchanged(seen: Settlement) -> None:
    assert Settlement.from_plain(json.loads(json.dumps(seen.to_plain()))) == seen


@given(cases)
def test_a_case_survives_json_unchanged(case: Case) -> None:
    assert Case.from_plain(json.loads(json.dumps(case.to_plain()))) == case


def test_a_quantity_keeps_every_digit() -> None:
    leg = Leg(
        id="l", leg_type="payment", instrument_id="USDC", direction="deliver", party_role="buyer",
        quantity=Decimal("1000000.000000000000000001"),
    )  # fmt: skip
    plain = Settlement(id="s", state="X", legs=(leg,)).to_plain()

    assert plain["legs"][0]["quantity"] == "1000000.000000000000000001"


def test_an_absurd_quantity_does_not_fill_the_memory() -> None:
    leg = {
        "id": "l", "leg_type": "payment", "instrument_id": "USDC", "direction": "deliver",
        "party_role": "buyer", "quantity": "1E+999999999",
    }  # fmt: skip
    plain = settlement(legs=[leg]).to_plain()

    assert plain["legs"][0]["quantity"] == "1E+999999999"


def test_an_old_snapshot_with_unknown_keys_stays_readable() -> None:
    party = {"id": "p", "role": "buyer", "favourite_colour": "blue"}

    assert settlement(parties=[party], weather="fine").parties == (Party(id="p", role="buyer"),)


def test_a_template_goes_by_its_slug_and_else_by_its_id() -> None:
    assert settlement(template_id="t-1", template_slug="dvp-bond").template == "dvp-bond"
    assert settlement(template_id="t-1").template == "t-1"
    assert settlement().template is None


def test_personal_data_shows_in_no_repr() -> None:
    party = Party(id="p-1", role="buyer", name="Jane Roe", wallet_address="0xSECRET")
    case = Case(
        id="c-1",
        environment="test",
        event="settlement.compliance.flagged",
        settlement=Settlement(id="s-1", state="COMPLIANCE_CHECKING", parties=(party,)),
        judged_at=datetime(2026, 1, 1, tzinfo=UTC),
        facts=Facts({"country": Fact(value="Utopia", source="kyc", at=datetime(2026, 1, 1, tzinfo=UTC))}),
    )

    assert "p-1" in repr(case)
    assert "country" in repr(case)
    assert not {"Jane", "0xSECRET", "Utopia"} & set(repr(case).replace("'", " ").split())
    assert "Utopia" not in repr(case.facts["country"])


def test_a_missing_fact_is_never_a_default() -> None:
    facts = Facts({"country": Fact(value="PT", source="kyc", at=datetime(2026, 1, 1, tzinfo=UTC))})

    assert facts["country"].value == "PT"
    assert list(facts) == ["country"]
    assert len(facts) == 1
    assert "kyt_score" not in facts
