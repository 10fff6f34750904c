"""A person looks at every settlement with a leg over a million."""

from decimal import Decimal

from countersign import Case, Reason, Vote, approve, escalate, handler


@handler(name="big_trades", version="1")
def big_trades(case: Case) -> Vote:
    """Approve what is small; ask for a person where it is not."""
    big = [leg.id for leg in case.settlement.legs if leg.quantity > Decimal(1_000_000)]
    return escalate(Reason.LIMIT_EXCEEDED, legs=big) if big else approve()
