"""Webhook bodies: lenient about what may be missing, strict about what can't be, and never a crash."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.keystone.events import NAME_LIMIT, Event, EventUnreadable, parse_event

DATA = {
    "settlement_id": "s-1",
    "state": "COMPLIANCE_CHECKING",
    "previous_state": "INSTRUCTED",
    "settlement_type": "single_platform",
    "timestamp": "2026-01-02T03:04:05Z",
}


def body(event: object = "settlement.state.compliance_checking", **changes: object) -> bytes:
    return json.dumps({"event": event, "data": {**DATA, **changes}}).encode()


def event(name: str = "settlement.state.compliance_checking", **changes: object) -> Event:
    return parse_event(body(name, **changes))


def test_the_documented_envelope_is_read() -> None:
    read = event()

    assert read.name == "settlement.state.compliance_checking"
    assert (read.settlement_id, read.state, read.previous_state) == (
        "s-1",
        "COMPLIANCE_CHECKING",
        "INSTRUCTED",
    )
    assert read.settlement_type == "single_platform"
    assert read.occurred_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read.data == DATA


@pytest.mark.parametrize("missing", DATA)
def test_everything_inside_data_may_be_missing(missing: str) -> None:
    data = {name: value for name, value in DATA.items() if name != missing}

    assert parse_event(json.dumps({"event": "x", "data": data}).encode()).name == "x"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"", "not_json"),
        (b"{broken", "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b'{"event": "x", "data": {"a": NaN}}', "not_json"),
        (b'{"event": "x", "data": {"a": "\\ud800"}}', "not_json"),
        (b'{"event": "x", "data": {"a": "\xff"}}', "not_json"),
        (b'{"event": "x", "data": {"a": 1e99999}}', "not_json"),
        (b'{"event": "x", "data": {"a": ' + b"9" * 5000 + b"}}", "not_json"),
        (b"[" * 100_000, "nested_too_deep"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"data": {}}', "no_event_name"),
        (b'{"event": "", "data": {}}', "no_event_name"),
        (b'{"event": 7, "data": {}}', "no_event_name"),
        (b'{"event": "a\\u0000b", "data": {}}', "no_event_name"),
        (b'{"event": "' + b"x" * (NAME_LIMIT + 1) + b'", "data": {}}', "no_event_name"),
        (b'{"event": "x"}', "no_data"),
        (b'{"event": "x", "data": []}', "no_data"),
        (b'{"event": "x", "data": null}', "no_data"),
    ],
)
def test_what_is_no_event_is_refused_with_a_slug(broken: bytes, reason: str) -> None:
    with pytest.raises(EventUnreadable) as refused:
        parse_event(broken)

    assert refused.value.reason == reason


def test_a_refusal_quotes_nothing_of_the_body() -> None:
    with pytest.raises(EventUnreadable) as refused:
        parse_event(b'{"event": 7, "data": {"deposit_secret": "hunter2"}}')

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "is_flag"),
    [
        ("settlement.compliance.flagged", True),
        ("settlement.compliance.failed", True),
        ("compliance.flagged", True),
        ("compliance.failed", True),
        ("settlement.compliance_flagged", True),
        ("settlement.compliance.cleared", False),
        ("settlement.state.compliance_checking", False),
        ("noncompliance.flagged", False),
        ("test.ping", False),
    ],
)
def test_a_flag_is_known_under_every_name_that_the_pages_use(name: str, is_flag: bool) -> None:  # noqa: FBT001 - a table.
    assert event(name).is_flag is is_flag


def test_a_ping_is_known_and_needs_no_settlement() -> None:
    ping = parse_event(b'{"event": "test.ping", "data": {}}')

    assert ping.is_ping
    assert ping.settlement_id is None
    assert not event().is_ping


def test_the_same_fact_has_the_same_key_however_its_json_is_written() -> None:
    compact = json.dumps({"data": DATA, "event": "x"}, separators=(",", ":")).encode()

    assert parse_event(compact).key == parse_event(body("x", unknown="field")).key


@pytest.mark.parametrize("changed", ["settlement_id", "state", "previous_state", "timestamp"])
def test_another_fact_has_another_key(changed: str) -> None:
    assert event(**{changed: "2026-01-02T03:04:06Z"}).key != event().key


def test_another_name_has_another_key() -> None:
    assert event("a").key != event("b").key


@pytest.mark.parametrize("missing", ["settlement_id", "timestamp"])
def test_without_settlement_or_time_the_body_itself_is_the_key(missing: str) -> None:
    first, second = body(**{missing: None, "n": 1}), body(**{missing: None, "n": 2})

    assert parse_event(first).key == parse_event(first).key
    assert parse_event(first).key != parse_event(second).key


def test_moving_a_value_to_the_next_field_changes_the_key() -> None:
    assert event(state="AB", previous_state="C").key != event(state="A", previous_state="BC").key


@pytest.mark.parametrize("timestamp", ["yesterday", "", 12, None, "9999-99-99T00:00:00Z"])
def test_a_time_that_cant_be_read_costs_only_the_time(timestamp: object) -> None:
    assert event(timestamp=timestamp).occurred_at is None


def test_an_event_shows_nothing_of_its_data() -> None:
    assert "hunter2" not in repr(event(deposit_secret="hunter2"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_body_whatever_makes_it_crash(anything: bytes) -> None:
    _reads_or_refuses(anything)


@given(
    name=json_values,
    data=st.dictionaries(st.sampled_from([*DATA, "other"]), json_values),
    extra=st.dictionaries(st.text(), json_values, max_size=2),
)
def test_no_envelope_whatever_makes_it_crash(
    name: object, data: dict[str, Any], extra: dict[str, Any]
) -> None:
    _reads_or_refuses(json.dumps({**extra, "event": name, "data": data}).encode())


def _reads_or_refuses(anything: bytes) -> None:
    try:
        read = parse_event(anything)
    except EventUnreadable:
        return
    assert read.name
    assert len(read.key) == 64
    for text in (read.name, read.settlement_id, read.state, read.previous_state, read.settlement_type):
        assert text is None or "\x00" not in text.encode().decode()
    assert read.occurred_at is None or read.occurred_at.tzinfo is UTC
