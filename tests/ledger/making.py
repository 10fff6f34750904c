"""Made-up events, settlements and judgements for the ledger's tests."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from countersign import Case, Leg, Party, Settlement
from countersign.keystone.events import parse_event
from workers.ledger import intake
from workers.ledger.books import Books
from workers.ledger.intake import ReceivedEvent
from workers.ledger.record import CaseRecord

FLAGGED = "settlement.compliance.flagged"
_numbers = count(1)


def received(
    name: str = FLAGGED,
    settlement_id: str | None = "stl-1",
    *,
    state: str | None = "COMPLIANCE_CHECKING",
    previous: str | None = None,
    at: str = "2026-03-02T08:59:00Z",
    event_id: str | None = None,
) -> ReceivedEvent:
    data = {"settlement_id": settlement_id, "state": state, "previous_state": previous, "timestamp": at}
    kept = {key: value for key, value in data.items() if value is not None}
    body = json.dumps({"event": name, "data": kept}).encode()
    event = parse_event(body)
    return ReceivedEvent(
        id=event_id or f"evt-{next(_numbers)}",
        endpoint="main",
        event_key=event.key,
        received_at=datetime(2026, 3, 2, 8, 59, 1, tzinfo=UTC),
        body=body,
        event=event,
    )


def opened(books: Books, settlement_id: str = "stl-1") -> CaseRecord:
    """Take a flag in, and return the case that it opened."""
    record = intake.take(books, received(settlement_id=settlement_id))
    assert record is not None
    return record


def settlement(settlement_id: str = "stl-1", name: str | None = "Ada Lovelace") -> Settlement:
    return Settlement(
        id=settlement_id,
        state="COMPLIANCE_CHECKING",
        template_slug="dvp-bond",
        timeout_at=datetime(2026, 3, 2, 10, 0, tzinfo=UTC),
        parties=(
            Party(id="p-1", role="seller", name=name, wallet_address="0x" + "ab" * 20),
            Party(id="p-2", role="buyer", name="Charles Babbage", wallet_address="0x" + "cd" * 20),
        ),
        legs=(
            Leg(
                id="l-1",
                leg_type="asset_delivery",
                instrument_id="KBOND",
                quantity=Decimal("1000000.000000000000000001"),
                direction="deliver",
                party_role="seller",
            ),
        ),
    )


def case_of(record: CaseRecord, about: Settlement) -> Case:
    return Case(
        id=record.id,
        environment="test",
        event=FLAGGED,
        settlement=about,
        judged_at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        deadline=about.timeout_at,
    )
