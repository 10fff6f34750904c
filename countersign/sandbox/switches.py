"""Every switch and what it may be: what the platform leaves undocumented, and what can go wrong.

`docs/sandbox.md` explains each one in a table; a test holds the two together.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a fault happens and how bad it is. Empty `routes` are all `/v1/` calls, empty `events` all."""

    probability: Share = 1.0
    count: Count | None = None
    skip: Count = 0
    routes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    seconds: Seconds | None = None
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The value of every switch at one moment."""

    decision_status: Literal[200, 201, 202] = 200
    decision_effect: Literal["at_once", "later"] = "at_once"
    decision_repeat: Literal["conflict", "accepted"] = "conflict"
    decision_history: Literal["payload", "null", "engine"] = "payload"
    decision_author: Literal["client", "platform"] = "client"
    flag_payload: Literal["full", "minimal", "extra"] = "full"
    flag_name: Literal["settlement", "short", "underscore"] = "settlement"
    flag_history: bool = False
    fail_effect: Literal["rollback", "review"] = "rollback"
    recheck_state: Literal["AWAITING_DEPOSITS", "COMPLIANCE_CLEARED", "EXECUTING_SWAP"] = "AWAITING_DEPOSITS"
    recheck_pause: Literal["return", "in_place"] = "return"
    screening_state: Literal["COMPLIANCE_CHECKING", "INSTRUCTED"] = "COMPLIANCE_CHECKING"
    timeout_state: Literal["TIMED_OUT", "ROLLED_BACK"] = "TIMED_OUT"
    generation: Literal["new", "old"] = "new"
    nullable_keys: Literal["present", "absent"] = "present"
    hash_field: Literal["content_hash", "evidence_hash"] = "content_hash"
    list_order: Literal["newest", "oldest"] = "newest"
    id_form: Literal["uuid", "prefixed"] = "uuid"
    events_field: Literal["events", "event_types"] = "events"
    rotation_signs: Literal["new", "old", "either", "both"] = "new"
    retry_body: Literal["same", "reserialised"] = "same"
    webhook_timestamp: Literal["seconds", "fraction"] = "seconds"
    unknown_version: Literal["ignored", "refused"] = "ignored"
    retry_after: Literal["seconds", "date", "absent"] = "seconds"
    token_answer: Literal["normal", "no_expires_in", "expired", "wrong_audience"] = "normal"  # noqa: S105 - no secret.
    clock_skew_seconds: float = 0

    slow_start: Fault | None = None
    slow_answer: Fault | None = None
    cut_before: Fault | None = None
    cut_after: Fault | None = None
    cut_middle: Fault | None = None
    server_error: Fault | None = None
    server_error_after: Fault | None = None
    too_many_requests: Fault | None = None
    unauthorized: Fault | None = None
    html_answer: Fault | None = None
    webhook_silence: Fault | None = None
    webhook_delay: Fault | None = None
    webhook_shuffle: Fault | None = None
    webhook_duplicate: Fault | None = None
    webhook_bad_signature: Fault | None = None


FAULT_NAMES = frozenset(
    field.name for field in msgspec.structs.fields(Switches) if field.type == (Fault | None)
)
"""The switches that are faults."""


class SwitchUnknown(Exception):
    """A switch's name or value can't be used. The message says which and why."""


def with_changes(switches: Switches, given: Mapping[str, object]) -> Switches:
    """Return `switches` with the given ones set, short forms of faults included.

    Raises:
        SwitchUnknown: A name is unknown or a value is not one of those that `docs/sandbox.md` lists.

    """
    changes = {name: _long_form(value) if name in FAULT_NAMES else value for name, value in given.items()}
    try:
        return msgspec.convert(
            {**msgspec.structs.asdict(switches), **changes}, Switches, from_attributes=True
        )
    except msgspec.ValidationError as error:
        raise SwitchUnknown(f"{error}: see the table of switches in docs/sandbox.md") from None


def _long_form(value: object) -> object:
    match value:
        case True:
            return {}
        case False | None:
            return None
        case int() | float():
            return {"probability": value}
        case _:
            return value
