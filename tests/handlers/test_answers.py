"""What a handler's process sends is believed in nothing: it may be the handler itself that sends it."""

import asyncio
import json
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign import Case, Reason, TryLater, Vote, VoteOutcome, approve
from tests.handlers.cases import a_case
from tests.policy.strategies import plain
from workers.supervision import failures
from workers.supervision.answers import Answer, asked, parsed, read, written
from workers.supervision.evidence import AnswerInvalid, plain_evidence
from workers.supervision.frames import Assembly, FrameTooLong, framed

GOOD: dict[str, Any] = {"outcome": "approve", "reason": "checked.clear", "note": "", "evidence": {"legs": 2}}


def test_a_vote_is_read_as_it_was_written() -> None:
    vote = read(GOOD)

    assert vote == Vote(outcome=VoteOutcome.APPROVE, reason=Reason.CHECKED_CLEAR, evidence={"legs": 2})
    assert written(vote) == GOOD


def test_a_wish_for_later_is_read_as_it_was_written() -> None:
    later = read(written(TryLater(timedelta(seconds=90), "soon")))

    assert isinstance(later, TryLater)
    assert (later.after, later.note) == (timedelta(seconds=90), "soon")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "approve",
        {},
        {**GOOD, "outcome": "fine"},
        {**GOOD, "reason": "mine.own"},
        {**GOOD, "reason": ["checked.clear"]},
        {**GOOD, "note": 7},
        {**GOOD, "note": "\0"},
        {**GOOD, "evidence": None},
        {**GOOD, "evidence": {"score": float("nan")}},
        {**GOOD, "evidence": {"blob": "x" * 70_000}},
        {"outcome": "approve"},
        {"later": "soon", "note": ""},
        {"later": float("nan"), "note": ""},
        {"later": float("inf"), "note": ""},
    ],
)
def test_anything_else_is_refused(answer: object) -> None:
    with pytest.raises(AnswerInvalid):
        read(answer)


@pytest.mark.parametrize("body", [b"", b"{", b"7", b"[]", b"\xff", b"[" * 100_000, b'{"a":' * 30_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(AnswerInvalid, match="not an answer"):
        parsed(body)


@given(st.dictionaries(st.text(max_size=5), plain | st.text() | st.decimals() | st.dates(), max_size=5))
def test_evidence_is_refused_or_can_be_kept_by_any_ledger(evidence: dict[str, Any]) -> None:
    try:
        kept = plain_evidence(evidence)
    except AnswerInvalid:
        return
    text = json.dumps(kept, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert "\0" not in json.loads(text).values()
    assert json.loads(text) == kept
    assert plain_evidence(kept) == kept


def test_a_handler_inside_the_worker_is_held_to_the_same() -> None:
    async def later(_case: Case) -> Vote:
        raise TryLater(timedelta(minutes=2))

    def raising(_case: Case) -> Vote:
        raise ValueError("secret")

    def wait(returned: Awaitable[Vote]) -> Vote:
        return asyncio.run(asyncio.wait_for(returned, 5))

    def answer(judge: Any) -> Answer:  # noqa: ANN401 - whatever an author writes.
        return asked(judge, a_case(), wait)

    assert answer(lambda _: approve(legs=1)) == approve(legs=1)
    assert getattr(answer(later), "after", None) == timedelta(minutes=2)
    assert answer(raising) == failures.raised(ValueError())
    assert answer(lambda _: "approve") == failures.invalid("the handler returned a str and not a vote")
    with pytest.raises(KeyboardInterrupt):
        answer(interrupting)


def interrupting(_case: Case) -> Vote:
    """As Dramatiq interrupts a thread: that is no failure of the handler."""
    raise KeyboardInterrupt


def test_the_vote_for_a_failure_says_what_happened() -> None:
    assert failures.never_ready().reason is Reason.HANDLER_NEVER_READY
    assert failures.changed().outcome is VoteOutcome.ERROR
    assert failures.timed_out(timedelta(seconds=2)).note == "the handler was stopped after its budget of 2 s"
    assert failures.facts_missing({"b", "a"}).evidence == {"missing": ["a", "b"]}
    assert failures.raised(KeyError("secret")).note == "the handler raised KeyError"


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 7))
def test_frames_come_out_whole_however_they_arrive(bodies: list[bytes], piece: int) -> None:
    stream = b"".join(framed(body) for body in bodies)
    assembly, taken = Assembly(), []
    for start in range(0, len(stream), piece):
        assembly.add(stream[start : start + piece])
        while (body := assembly.take()) is not None:
            taken.append(body)

    assert taken == bodies


def test_a_frame_longer_than_allowed_is_refused_before_it_is_taken_in() -> None:
    assembly = Assembly(max_bytes=10)
    assembly.add(framed(b"x" * 11)[:6])

    with pytest.raises(FrameTooLong):
        assembly.take()
