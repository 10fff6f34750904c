"""Every answer that a delivery can get, and that a refused one leaves no trace but a counter and a slug."""

import json

import httpx
import pytest

from countersign.keystone.signature import sign
from tests.inbox.stored import Stored
from tests.receiver.running import PATH, SECRET, SIGNATURE, RunningReceiver, event_body, signed
from workers.inbox.names import JOURNAL

BODY = event_body("never-logged-0001")
GOOD = sign(BODY, SECRET.encode())


def signatures(*values: str | bytes) -> httpx.Headers:
    name = SIGNATURE.encode()
    return httpx.Headers([(name, each.encode() if isinstance(each, str) else each) for each in values])


FORGED: dict[str, tuple[httpx.Headers, str]] = {
    "missing": (signatures(), "signature_missing"),
    "empty": (signatures(""), "signature_malformed"),
    "of another secret": (signatures(sign(BODY, b"another")), "signature_wrong"),
    "of another body": (signatures(sign(BODY + b" ", SECRET.encode())), "signature_wrong"),
    "upper-case": (signatures(GOOD.upper()), "signature_malformed"),
    "prefixed": (signatures(f"sha256={GOOD}"), "signature_malformed"),
    "truncated": (signatures(GOOD[:-1]), "signature_malformed"),
    "too long": (signatures(GOOD + "0"), "signature_malformed"),
    "non-ASCII": (signatures("é" * 32), "signature_malformed"),
    "not even UTF-8": (signatures(b"\xff" * 64), "signature_malformed"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_delivery_leaves_no_trace_but_a_counter(
    receiver: RunningReceiver, stored: Stored, kind: str
) -> None:
    headers, reason = FORGED[kind]
    before = receiver.deliveries()
    logged_before = len(receiver.process.stderr)

    answer = receiver.post(BODY, headers)

    assert answer.status_code == 401
    assert answer.json() == {"detail": "The signature could not be verified."}
    assert stored.keys() == []
    counted = {k: v - before.get(k, 0) for k, v in receiver.deliveries().items() if v != before.get(k, 0)}
    assert counted == {reason: 1}
    logged = receiver.process.stderr[logged_before:]
    assert "never-logged-0001" not in logged
    assert GOOD not in logged
    for line in logged.splitlines():
        assert json.loads(line)["reason"] == reason


def test_every_failed_verification_looks_the_same(receiver: RunningReceiver) -> None:
    answers = [receiver.post(BODY, headers) for headers, _ in FORGED.values()]
    answers.append(receiver.post(BODY, path=f"{PATH}/nobody"))

    without_date = [
        (each.status_code, each.content, [header for header in each.headers.items() if header[0] != "date"])
        for each in answers
    ]
    assert all(each == without_date[0] for each in without_date)


def test_a_flag_is_accepted_and_stored(receiver: RunningReceiver, stored: Stored) -> None:
    answer = receiver.post(BODY)

    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    [entry] = stored.journal()
    assert entry.body == BODY
    assert entry.fields["environment"] == b"development"
    assert entry.fields["endpoint"] == b"keystone"
    assert stored.queued() == [entry.event_id]


@pytest.mark.parametrize(
    "body",
    [
        b'{"event": "settlement.some.thing_new", "data": {}}',
        b'{"event": "test.ping", "data": {}}',
        b'{"event": "test.ping", "data": {}, "more": [1, 2, 3]}',
        b'{"data": {"state": 7, "timestamp": "yesterday"}, "event": "x", "event": "y"}',
    ],
    ids=["unknown type", "ping", "more keys", "odd values"],
)
def test_whatever_has_a_name_and_data_is_accepted(
    receiver: RunningReceiver, stored: Stored, body: bytes
) -> None:
    assert receiver.post(body).status_code == 202
    assert [entry.body for entry in stored.journal()] == [body]


BROKEN = {
    "not json": (b"{", "not_json"),
    "empty": (b"", "not_json"),
    "not utf-8": (b'{"event": "\xff", "data": {}}', "not_json"),
    "a lone surrogate": (b'{"event": "\\ud800", "data": {}}', "not_json"),
    "NaN": (b'{"event": "x", "data": {"a": NaN}}', "not_json"),
    "two documents": (b'{"event": "x", "data": {}} {}', "not_json"),
    "too deep": (b"[" * 60_000, "nested_too_deep"),
    "a list": (b"[]", "not_an_object"),
    "no name": (b'{"data": {}}', "no_event_name"),
    "a name that is no text": (b'{"event": 1, "data": {}}', "no_event_name"),
    "no data": (b'{"event": "x"}', "no_data"),
    "data that is no object": (b'{"event": "x", "data": null}', "no_data"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_body_with_a_good_signature_is_400(
    receiver: RunningReceiver, stored: Stored, kind: str
) -> None:
    body, reason = BROKEN[kind]
    before = receiver.deliveries().get(reason, 0)

    answer = receiver.post(body)

    assert answer.status_code == 400
    assert receiver.deliveries()[reason] == before + 1
    assert stored.keys() == []


def test_a_broken_body_with_a_bad_signature_is_401(receiver: RunningReceiver) -> None:
    """Nothing unverified is parsed: what the body is like makes no difference."""
    assert receiver.post(b"{", signatures(GOOD)).status_code == 401


def test_a_repeat_is_accepted_and_merged(receiver: RunningReceiver, stored: Stored) -> None:
    before = receiver.deliveries()

    assert [receiver.post(BODY).status_code for _ in range(3)] == [202, 202, 202]

    assert stored.client.xlen(JOURNAL) == 1
    after = receiver.deliveries()
    assert after["accepted"] - before.get("accepted", 0) == 1
    assert after["merged"] - before.get("merged", 0) == 2


def test_an_old_event_is_accepted_and_marked(receiver: RunningReceiver, stored: Stored) -> None:
    assert receiver.post(event_body("old")).status_code == 202
    assert len(stored.journal()) == 1
    assert (
        'countersign_receiver_stale_events_total{endpoint="keystone"}' in receiver.http.get("/metrics").text
    )
    assert receiver.log_lines("stale_event_accepted")


def test_two_signature_headers_are_both_tried(receiver: RunningReceiver) -> None:
    """Whether rotation sends one or two is not documented (keystone-api.md 2.5)."""
    wrong = sign(BODY, b"another")
    for pair, status in (((GOOD, wrong), 202), ((wrong, GOOD), 202), ((wrong, wrong), 401)):
        assert receiver.post(BODY, signatures(*pair)).status_code == status


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_deliveries_come_by_post_only(receiver: RunningReceiver, method: str) -> None:
    answer = receiver.http.request(method, PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_any_other_path_is_404(receiver: RunningReceiver) -> None:
    assert receiver.http.post("/webhooks/other", content=BODY, headers=signed(BODY)).status_code == 404
    assert receiver.post(BODY, path=f"{PATH}/a/b").status_code == 404
    assert receiver.post(BODY, path=f"{PATH}x").status_code == 404


def test_bodies_up_to_the_limit_are_taken_and_larger_ones_are_not(
    receiver: RunningReceiver, stored: Stored
) -> None:
    start = b'{"event": "x", "data": {}, "more": "'
    largest = start + b"x" * (65536 - len(start) - 2) + b'"}'
    too_large = largest + b" "

    assert receiver.post(largest).status_code == 202
    answer = receiver.post(too_large)

    assert answer.status_code == 413
    assert receiver.deliveries()["body_too_large"] >= 1
    assert [entry.body for entry in stored.journal()] == [largest]
