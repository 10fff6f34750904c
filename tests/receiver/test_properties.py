"""Over generated deliveries: no 5xx, no false accept, and what is 202 is in the journal."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.keystone.events import parse_event
from countersign.keystone.signature import sign
from tests.inbox.stored import Stored
from tests.receiver.running import PATH, SECRET, RunningReceiver, status_of

# The receiver and its Valkey are shared by all examples on purpose: a property holds whatever came before.
thorough = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
timestamps = st.datetimes().map(lambda time: time.isoformat()) | st.just("2026-01-02T03:04:05Z")
data = st.dictionaries(st.sampled_from(["settlement_id", "state", "previous_state", "more"]), values) | (
    st.fixed_dictionaries({"settlement_id": st.text(max_size=8), "timestamp": timestamps})
)
envelopes = st.dictionaries(st.sampled_from(["event", "data", "more"]), values) | st.fixed_dictionaries(
    {
        "event": st.sampled_from(["test.ping", "settlement.compliance.flagged"]) | st.text(),
        "data": data | values,
    }
)


def encoded(value: Any) -> bytes:  # noqa: ANN401 - any JSON value.
    return json.dumps(value).encode()


bodies = st.one_of(
    envelopes.map(encoded),
    envelopes.map(lambda envelope: json.dumps(envelope, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=200),
    st.tuples(envelopes.map(encoded), st.binary(max_size=3)).map(b"".join),
    st.integers(min_value=1, max_value=3000).map(lambda depth: b'{"event":"x","data":' + b'{"a":' * depth),
    st.integers(min_value=1, max_value=6000).map(lambda n: b'{"event":"x","data":{"a":' + b"9" * n + b"}}"),
)
# Bytes that a header can carry at all: others are for the parser below to refuse.
header_values = st.binary(max_size=80).map(
    lambda value: bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F)
)
header_names = st.from_regex(r"[A-Za-z][A-Za-z-]{0,20}", fullmatch=True).filter(
    lambda name: name.lower() not in {"content-length", "transfer-encoding", "connection", "host", "expect"}
)
headers = st.lists(st.tuples(header_names.map(str.encode), header_values), max_size=5)


def request(body: bytes, *more: tuple[bytes, bytes]) -> bytes:
    lines = [b"POST %s HTTP/1.1" % PATH.encode(), b"host: receiver", b"connection: close"]
    lines += [b"content-length: %d" % len(body), *(b"%s: %s" % header for header in more)]
    return b"\r\n".join([*lines, b"", body])


def is_signature(name: bytes) -> bool:
    return name.lower() == b"x-keystone-signature"


@thorough
@given(body=bodies, others=headers)
def test_a_good_signature_is_202_or_400_and_what_is_202_is_in_the_journal(
    receiver: RunningReceiver, stored: Stored, body: bytes, others: list[tuple[bytes, bytes]]
) -> None:
    good = (b"X-Keystone-Signature", sign(body, SECRET.encode()).encode())
    others = [header for header in others if not is_signature(header[0])]

    status = status_of(receiver.exchange(request(body, *others, good)))

    assert status in {202, 400}
    if status == 202:
        assert parse_event(body).key in stored.pending()


@thorough
@given(body=bodies, others=headers, forged=st.lists(header_values, max_size=3), data=st.data())
def test_anything_else_is_401_and_leaves_nothing(
    receiver: RunningReceiver,
    stored: Stored,
    body: bytes,
    others: list[tuple[bytes, bytes]],
    forged: list[bytes],
    data: st.DataObject,
) -> None:
    good = sign(body, SECRET.encode())
    forged += data.draw(st.lists(almost(good), max_size=2))
    signatures = [(b"X-Keystone-Signature", each) for each in forged if each.strip() != good.encode()]

    status = status_of(receiver.exchange(request(body, *others, *signatures)))

    assert status == 401
    assert stored.keys() == []


def almost(good: str) -> st.SearchStrategy[bytes]:
    """Make signatures that are nearly right."""
    changed = st.tuples(st.integers(0, len(good) - 1), st.sampled_from("0123456789abcdef")).map(
        lambda at: good[: at[0]] + at[1] + good[at[0] + 1 :]
    )
    return st.one_of(
        st.sampled_from(
            [good.upper(), f"sha256={good}", good[:-1], good + good[-1], good[::-1], f'"{good}"']
        ),
        changed,
        st.just(sign(b"another body", SECRET.encode())),
    ).map(str.encode)
