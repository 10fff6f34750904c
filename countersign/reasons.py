"""Why a handler voted as it did: a closed list, grouped, so that a report can count it.

Free text belongs into a vote's `note`; a code that is not in this list is refused, because an auditor
who meets an unknown code three years on has nothing to look it up in.
"""

from enum import StrEnum


class Reason(StrEnum):
    """One reason code. The part before the dot is its group."""

    CHECKED_CLEAR = "checked.clear"
    CHECKED_NOT_APPLICABLE = "checked.not_applicable"

    SANCTIONS_WALLET = "sanctions.wallet"
    SANCTIONS_NAME = "sanctions.name"
    SANCTIONS_POSSIBLE_NAME = "sanctions.possible_name"

    WALLET_DENIED = "wallet.denied"
    WALLET_ALLOWED = "wallet.allowed"

    LIMIT_EXCEEDED = "limit.exceeded"
    LIMIT_UNKNOWN_UNIT = "limit.unknown_unit"

    JURISDICTION_DENIED = "jurisdiction.denied"
    JURISDICTION_UNKNOWN = "jurisdiction.unknown"

    FACT_MISSING = "fact.missing"
    NAME_MISSING = "fact.name_missing"
    WALLET_MISSING = "fact.wallet_missing"

    RULE_MATCHED = "rule.matched"
    POLICY = "policy.decided"
    REVIEW_WANTED = "review.wanted"

    HANDLER_ERROR = "handler.error"
    HANDLER_TIMEOUT = "handler.timeout"
    HANDLER_DIED = "handler.died"
    HANDLER_INVALID = "handler.invalid"
    HANDLER_NEVER_READY = "handler.never_ready"

    @property
    def group(self) -> str:
        """The group that reports count by, such as `sanctions`."""
        return self.value.partition(".")[0]
