"""`Retry-After` and the rate limit's headers: understood in every documented form, believed within reason."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.keystone.rate import RateSeen, rate_seen
from countersign.keystone.retry_after import LONGEST, SHORTEST, http_date, retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("0", 1),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30),
        ("Fri, 02 Jan 2026 03:04:35 -0000", 30),
        ("Fri, 02 Jan 2026 04:04:35 +0100", 30),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1),
        ("86400", 300),
        ("9" * 400, 300),
        ("Fri, 02 Jan 2099 03:04:35 GMT", 300),
    ],
)
def test_a_wait_is_read_as_seconds_or_as_a_date_and_bounded(value: str, seconds: float) -> None:
    assert retry_after(value, now=NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", [None, "", "soon", "-5", "7 s", "99 Foo 2026", "Fri, 99 Jan 2026 03:04:35 GMT"]
)
def test_a_wait_that_cant_be_read_is_none(value: str | None) -> None:
    assert retry_after(value, now=NOW) is None


@given(st.text())
def test_no_text_whatever_makes_the_wait_absurd(value: str) -> None:
    wait = retry_after(value, now=NOW)

    assert wait is None or SHORTEST <= wait <= LONGEST


def test_an_http_date_is_read_or_none() -> None:
    assert http_date("Fri, 02 Jan 2026 03:04:05 GMT") == NOW
    assert http_date("today") is None
    assert http_date(None) is None


def seen(headers: dict[str, str], status: int = 200) -> RateSeen:
    return rate_seen(status, headers, now=NOW)


def test_the_documented_headers_are_read() -> None:
    reset = str(int(NOW.timestamp()) + 42)

    read = seen({"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "17", "X-RateLimit-Reset": reset})

    assert read == RateSeen(limit=600, remaining=17, ends_in=timedelta(seconds=42))


def test_the_end_of_a_window_is_counted_on_the_clock_that_wrote_it() -> None:
    theirs = NOW + timedelta(minutes=7)

    read = seen(
        {"Date": "Fri, 02 Jan 2026 03:11:05 GMT", "X-RateLimit-Reset": str(int(theirs.timestamp()) + 42)}
    )

    assert read.ends_in == timedelta(seconds=42)


def test_a_reset_in_seconds_is_understood_too() -> None:
    assert seen({"X-RateLimit-Reset": "42"}).ends_in == timedelta(seconds=42)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "soon"},
        {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "", "X-RateLimit-Reset": "9" * 30},
        {"X-RateLimit-Limit": "9" * 30, "X-RateLimit-Reset": str(2**40)},
        {"X-RateLimit-Reset": str(int(NOW.timestamp()) - 100)},
        {"Retry-After": "30"},
    ],
)
def test_what_is_missing_or_absurd_is_none(headers: dict[str, str]) -> None:
    assert seen(headers) == RateSeen()


def test_a_refusal_tells_how_long_and_otherwise_is_a_second() -> None:
    assert seen({"Retry-After": "30"}, 429).throttled == timedelta(seconds=30)
    assert seen({}, 429).throttled == timedelta(seconds=1)
