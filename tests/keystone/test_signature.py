"""Webhook signatures: every live secret is good, everything else is not, and no header makes it raise."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from countersign.keystone.signature import WebhookSecret, sign, signature_is_valid

BODY = b'{"event":"test.ping","data":{}}'
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SECRET = WebhookSecret.of("whsec_first")
OTHER = WebhookSecret.of("whsec_second", not_after=NOW + timedelta(hours=1))
GOOD = hmac.new(b"whsec_first", BODY, hashlib.sha256).hexdigest()


def valid(header: bytes | str | None, *secrets: WebhookSecret, body: bytes = BODY) -> bool:
    return signature_is_valid(body, header, secrets or (SECRET, OTHER), NOW)


def test_the_signature_is_plain_hmac_with_the_secret_exactly_as_given() -> None:
    assert sign(BODY, SECRET) == sign(BODY, b"whsec_first") == GOOD
    assert valid(GOOD)
    assert valid(GOOD.encode())


def test_either_secret_of_a_rotation_is_good() -> None:
    assert valid(sign(BODY, OTHER))
    assert valid(sign(BODY, SECRET), OTHER, SECRET)


def test_a_secret_is_good_until_its_end_and_not_a_moment_longer() -> None:
    ending = WebhookSecret.of("ending", not_after=NOW)
    ended = WebhookSecret.of("ending", not_after=NOW - timedelta(microseconds=1))

    assert valid(sign(BODY, ending), ending)
    assert not valid(sign(BODY, ended), ended)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        GOOD.upper(),
        f"sha256={GOOD}",
        GOOD[:-1],
        f"{GOOD}0",
        f" {GOOD}",
        f"{GOOD[:-1]}é",
        "é" * 64,
        "é" * 32,
        "\udc80" * 64,
        b"\xff" * 64,
        sign(b"another body", SECRET),
        sign(BODY, b"another secret"),
    ],
)
def test_anything_but_a_live_secrets_signature_is_refused(header: bytes | str | None) -> None:
    assert not valid(header)


def test_without_a_secret_nothing_is_valid() -> None:
    assert not signature_is_valid(BODY, GOOD, (), NOW)


def test_an_empty_secret_can_not_be_made() -> None:
    with pytest.raises(ValueError, match="anyone could sign"):
        WebhookSecret.of("")


def test_a_secret_does_not_show_itself() -> None:
    assert "whsec_first" not in f"{SECRET!r} {SECRET}"


@given(body=st.binary(max_size=100), header=st.text() | st.binary() | st.none())
def test_no_header_is_accepted_by_chance_and_none_raises(body: bytes, header: str | bytes | None) -> None:
    assume(header not in {sign(body, SECRET), sign(body, SECRET).encode()})

    assert not valid(header, SECRET, body=body)


@given(body=st.binary(max_size=100), secret=st.text(min_size=1), at=st.integers(0, 63), bit=st.integers(0, 7))
def test_one_flipped_bit_is_enough_to_refuse(body: bytes, secret: str, at: int, bit: int) -> None:
    owner = WebhookSecret(value=secret.encode("utf-8", "surrogatepass"))
    signature = bytearray(sign(body, owner).encode())
    assert valid(bytes(signature), owner, body=body)

    signature[at] ^= 1 << bit

    assert not valid(bytes(signature), owner, body=body)
