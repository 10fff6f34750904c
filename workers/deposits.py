"""Whether something was deposited: a reject would hand it back, which is wrong for a blocked person.

Both the states of a settlement and those of its legs are open sets (keystone-api.md 3.2, 3.4), so this names
what is surely before any deposit, and takes everything else for a deposit.
"""

from countersign.settlement import Settlement

_STATES_BEFORE = frozenset(
    {
        "INSTRUCTED",
        "AWAITING_CONFIRMATION",
        "COMPLIANCE_CHECKING",
        "COMPLIANCE_CLEARED",
        "REGISTERING_ESCROW",
    }
)
_LEGS_BEFORE = frozenset(
    {
        "pending",
        "created",
        "instructed",
        "open",
        "expected",
        "awaiting_deposit",
        "pending_deposit",
        "pending_confirmation",
    }
)


def may_be_deposited(settlement: Settlement) -> bool:
    """Say whether a deposit can't be ruled out.

    After a recheck a settlement may stand in `COMPLIANCE_CHECKING` again with its deposits made: where only
    the history shows that, the caller must add what it knows.
    """
    return settlement.state not in _STATES_BEFORE or any(
        leg.status is not None and leg.status.lower() not in _LEGS_BEFORE for leg in settlement.legs
    )
