"""Settlements and their history are read from both generations, exactly, and without anything secret."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.keystone.fields import Unusable
from countersign.keystone.history import parse_history_event
from countersign.keystone.pages import Page, parse_page
from countersign.keystone.settlements import parse_settlement
from countersign.settlement import Settlement
from tests.keystone.asking import SETTLEMENT

LEG = {
    "id": "l-1",
    "settlement_id": "s-1",
    "leg_type": "asset_delivery",
    "instrument_id": "XS1",
    "quantity": "1000000.000000000000000001",
    "direction": "deliver",
    "party_role": "seller",
    "status": "pending",
    "deposit_secret": "hunter2",
    "deposit_key": "hunter3",
    "calldata": {"to": "hunter4"},
}


def with_leg(**changes: object) -> Settlement:
    return parse_settlement({**SETTLEMENT, "legs": [{**LEG, **changes}]})


def test_a_whole_settlement_is_read() -> None:
    read = parse_settlement(
        {
            **SETTLEMENT,
            "template_version": 3,
            "template_slug": "dvp-bond",
            "timeout_at": "2026-01-02T03:04:05.678Z",
            "parties": [
                {"id": "p-1", "role": "seller", "name": "Acme", "chain_id": 1, "wallet_address": "0xa"}
            ],
            "legs": [LEG],
            "unknown": {"field": 1},
        }
    )

    assert (read.id, read.state, read.template, read.template_version) == (
        "s-1",
        "COMPLIANCE_CHECKING",
        "dvp-bond",
        3,
    )
    assert read.timeout_at == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert (read.parties[0].name, read.parties[0].chain_id) == ("Acme", "1")
    assert read.legs[0].instrument_id == "XS1"


def test_deposit_secrets_and_calldata_stay_behind() -> None:
    read = parse_settlement({**SETTLEMENT, "calldata": "hunter5", "legs": [LEG]})

    assert "hunter" not in json.dumps(read.to_plain()) + repr(read)


@pytest.mark.parametrize("missing", ["id", "state"])
@pytest.mark.parametrize("value", [None, "", [], {}])
def test_without_id_or_state_a_settlement_is_unusable(missing: str, value: object) -> None:
    with pytest.raises(Unusable, match=missing):
        parse_settlement({**SETTLEMENT, missing: value})


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_what_is_no_object_is_no_settlement(body: object) -> None:
    with pytest.raises(Unusable):
        parse_settlement(body)


def test_everything_else_may_be_missing() -> None:
    read = parse_settlement({"id": "s-1", "state": "ANY_STATE"})

    assert (read.parties, read.legs, read.timeout_at, read.template) == ((), (), None, None)


@pytest.mark.parametrize("unreadable", ["soon", "", 17, {}, "0001-01-01T00:00:00+14:00"])
def test_a_time_that_cant_be_read_is_none(unreadable: object) -> None:
    assert parse_settlement({**SETTLEMENT, "timeout_at": unreadable}).timeout_at is None


def test_a_time_without_a_zone_is_utc() -> None:
    read = parse_settlement({**SETTLEMENT, "timeout_at": "2026-01-02T03:04:05"})

    assert read.timeout_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_old_word_for_a_leg_becomes_the_new_one() -> None:
    assert with_leg(leg_type="asset").legs[0].leg_type == "asset_delivery"
    assert with_leg(leg_type="payment").legs[0].leg_type == "payment"


@pytest.mark.parametrize(
    "written", ["1000000.000000000000000001", "0.1", "1e-18", "115792089237316195423570985"]
)
def test_a_quantity_is_exact(written: str) -> None:
    assert with_leg(quantity=written).legs[0].quantity == Decimal(written)


@pytest.mark.parametrize(("number", "exact"), [(5, "5"), (0.1, "0.1"), (Decimal("1.10"), "1.10")])
def test_a_quantity_may_be_a_number_too(number: object, exact: str) -> None:
    assert with_leg(quantity=number).legs[0].quantity == Decimal(exact)


@pytest.mark.parametrize("quantity", [None, "", "many", "NaN", "Infinity", True, [], "1e999999", "1e-999999"])
def test_a_leg_whose_quantity_cant_be_read_makes_the_settlement_unusable(quantity: object) -> None:
    with pytest.raises(Unusable, match="quantity"):
        with_leg(quantity=quantity)


def test_nul_is_replaced_because_no_database_takes_it() -> None:
    read = parse_settlement({**SETTLEMENT, "external_reference": "a\x00b"})

    assert read.external_reference == "a\ufffdb"


keys = st.sampled_from(["id", "state", "legs", "parties", "quantity", "timeout_at", "chain_id", "name"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=15,
)


@given(st.dictionaries(keys, values))
def test_whatever_the_answer_holds_it_is_read_or_refused_and_survives_storage(body: dict[str, Any]) -> None:
    try:
        read = parse_settlement(body)
    except Unusable:
        return
    assert Settlement.from_plain(json.loads(json.dumps(read.to_plain()))) == read


def test_an_event_of_the_history_is_read_with_its_payload_stripped() -> None:
    read = parse_history_event(
        {
            "id": "e-1",
            "sequence": 4,
            "from_state": "A",
            "to_state": "B",
            "triggered_by": "m2m:platform",
            "payload": {
                "decision": "approve",
                "legs": [{"deposit_secret": "hunter2", "fee": Decimal("0.10")}],
            },
            "evidence_hash": "ab12",
            "created_at": "2026-01-02T03:04:05Z",
        }
    )

    assert (read.sequence, read.from_state, read.to_state, read.triggered_by) == (4, "A", "B", "m2m:platform")
    assert read.payload == {"decision": "approve", "legs": [{"fee": "0.10"}]}
    assert read.content_hash == "ab12"


@pytest.mark.parametrize("key", ["depositSecret", "DEPOSIT_KEY", "deposit_secret", "callData", "tx_calldata"])
def test_a_secret_is_stripped_from_a_payload_however_its_key_is_written(key: str) -> None:
    assert parse_history_event({"sequence": 1, "payload": {key: "hunter2"}}).payload == {}


@pytest.mark.parametrize("body", [None, {}, {"sequence": None}, {"sequence": "first"}, {"sequence": True}])
def test_an_event_without_its_place_in_the_order_is_unusable(body: object) -> None:
    with pytest.raises(Unusable, match="sequence"):
        parse_history_event(body)


def page_of(*items: object, total: object = None, offset: int = 0) -> Page[Settlement]:
    return parse_page({"items": list(items), "total": total}, parse_settlement, limit=2, offset=offset)


def test_one_entry_that_cant_be_used_does_not_hide_the_others() -> None:
    page = page_of(SETTLEMENT, {"id": "no state"}, total=5)

    assert [item.id for item in page.items] == ["s-1"]
    assert (page.unreadable, page.next_offset) == (1, 2)


def test_the_last_page_has_no_next_one() -> None:
    assert page_of(SETTLEMENT, total=3, offset=2).next_offset is None
    assert page_of(total=3, offset=2).next_offset is None
    assert page_of(SETTLEMENT).next_offset is None


@pytest.mark.parametrize("body", [None, [], {}, {"items": None}])
def test_a_page_without_items_is_unusable(body: object) -> None:
    with pytest.raises(Unusable, match="items"):
        parse_page(body, parse_settlement, limit=2, offset=0)
