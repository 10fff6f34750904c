"""Each way in which a case can go, one by one: what is sent, what is recorded, how it ends."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from countersign import TryLater
from countersign.verdict import Decision, Verdict
from tests.workers.one_case import LEASE, SETTLEMENT, START, OneCase
from tests.workers.pretend_keystone import Fault
from workers import casework
from workers.ledger import claims, listing, suspicions
from workers.ledger.tables import REVIEWS, SNAPSHOTS

UNTIL_NOTHING_CAN_ARRIVE = 21  # Seconds: a lease, and the longest call.


def test_an_approved_flag_is_submitted_once_and_confirmed(one: OneCase) -> None:
    one.flag(Verdict.APPROVE)

    assert one.states() == ["confirmed"]
    assert [(sent.decision, sent.applied) for sent in one.keystone.sent] == [("approve", True)]
    assert one.answers() == [("accepted", None)]
    case = one.cases()[0]
    assert (case["pause_sequence"], case["decision"], case["decided_by"]) == (2, "approve", "handlers")


def test_a_rejected_flag_is_rejected_at_keystone(one: OneCase) -> None:
    one.flag(Verdict.REJECT)

    assert one.states() == ["confirmed"]
    assert one.keystone.state == "ROLLED_BACK"


def test_a_held_flag_opens_a_review_that_is_due_before_keystones_deadline(one: OneCase) -> None:
    one.flag(Verdict.HOLD)

    assert one.states() == ["held"]
    assert one.keystone.sent == []
    with one.books.reading() as connection:
        review = connection.execute(select(REVIEWS)).one()
    assert review.due_at == one.keystone.deadline - timedelta(minutes=5)


def test_a_review_of_a_near_deadline_still_leaves_time(one: OneCase) -> None:
    one.keystone.deadline = START + timedelta(seconds=40)

    one.flag(Verdict.HOLD)

    with one.books.reading() as connection:
        assert connection.execute(select(REVIEWS)).one().due_at == START + timedelta(seconds=30)


def test_a_held_flag_that_times_out_is_recorded_as_expired(one: OneCase) -> None:
    one.flag(Verdict.HOLD)
    one.keystone.time_out()

    one.work(3602)

    assert one.states() == ["expired"]


def test_a_held_flag_that_somebody_else_decides_is_superseded(one: OneCase) -> None:
    one.flag(Verdict.HOLD)
    one.keystone.decide_in_dashboard(Decision.APPROVE)

    one.work(901)

    assert one.states() == ["superseded"]
    assert one.keystone.sent == []


def test_a_held_case_that_still_waits_is_looked_at_again_and_not_judged_again(one: OneCase) -> None:
    one.flag(Verdict.HOLD)

    one.work(901, Verdict.APPROVE)

    assert one.states() == ["held"]
    assert one.mind.asked == 1


class TestAnAnswerThatNeverCame:
    def test_a_decision_that_was_applied_is_found_and_not_sent_again(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE, Fault.REPLY_LOST)
        assert one.states() == ["submitted"]

        one.work(UNTIL_NOTHING_CAN_ARRIVE)

        assert one.states() == ["confirmed"]
        assert len(one.keystone.sent) == 1

    def test_one_that_never_arrived_is_sent_again_and_is_the_same(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE, Fault.NEVER_ARRIVED)

        one.work(UNTIL_NOTHING_CAN_ARRIVE, Verdict.REJECT)

        assert one.states() == ["confirmed"]
        assert [sent.decision for sent in one.keystone.sent] == ["approve"]
        assert one.mind.asked == 1

    def test_nothing_is_sent_again_while_it_may_still_arrive(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE, Fault.CRASH_BEFORE)

        one.work(LEASE.total_seconds() + 1)

        assert one.keystone.sent == []
        assert one.states() == ["submitted"]

    def test_but_what_was_applied_is_seen_at_once(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE, Fault.REPLY_LOST)

        one.work(1)

        assert one.states() == ["confirmed"]

    @pytest.mark.parametrize("crash", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
    def test_a_worker_that_dies_around_its_post_is_followed_by_one_that_finishes(
        self, one: OneCase, crash: Fault
    ) -> None:
        one.flag(Verdict.REJECT, crash)

        one.work(UNTIL_NOTHING_CAN_ARRIVE)

        assert one.states() == ["confirmed"]
        assert [sent.applied for sent in one.keystone.sent] == [True]

    def test_what_was_applied_without_naming_us_is_matched(self, one: OneCase) -> None:
        one.keystone.names_the_client = False
        one.flag(Verdict.APPROVE, Fault.REPLY_LOST)

        one.work(UNTIL_NOTHING_CAN_ARRIVE)

        assert one.states() == ["matched"]

    def test_a_second_flag_meanwhile_is_not_answered_with_the_first_ones_decision(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE, Fault.REPLY_LOST)
        one.keystone.flag_again()
        one.flag()

        one.work(UNTIL_NOTHING_CAN_ARRIVE)
        one.work(1, Verdict.REJECT)

        assert one.states() == ["confirmed", "confirmed"]
        assert one.decisions() == {2: "approve", 4: "reject"}
        assert [(sent.pause, sent.decision) for sent in one.keystone.sent] == [(2, "approve"), (4, "reject")]


class TestOthersDecideFirst:
    def test_the_same_outcome_is_matched(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE, Fault.BUSY)
        one.keystone.decide_in_dashboard(Decision.APPROVE)

        one.work(3)

        assert one.states() == ["matched"]
        assert one.keystone.sent == []

    def test_the_other_outcome_is_a_conflict(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE, Fault.BUSY)
        one.keystone.decide_in_dashboard(Decision.REJECT)

        one.work(3)

        assert one.states() == ["conflict"]

    def test_a_settlement_that_is_finished_when_it_is_read_is_superseded_without_asking_anyone(
        self, one: OneCase
    ) -> None:
        one.keystone.decide_in_dashboard(Decision.REJECT)

        one.flag(Verdict.APPROVE)

        assert one.states() == ["superseded"]
        assert one.mind.asked == 0

    @pytest.mark.parametrize(
        ("verdict", "state"), [(Verdict.APPROVE, "matched"), (Verdict.REJECT, "conflict")]
    )
    def test_a_flag_whose_pause_was_left_is_compared_with_how_it_was_left(
        self, one: OneCase, verdict: Verdict, state: str
    ) -> None:
        one.keystone.decide_in_dashboard(Decision.APPROVE)

        one.flag(verdict)

        assert one.states() == [state]
        assert one.cases()[0]["pause_sequence"] == 2
        assert [sent.applied for sent in one.keystone.sent] == [False]

    def test_a_conflict_at_the_post_itself_is_read_and_told(self, one: OneCase) -> None:
        decide = one.keystone.decide

        def decided_in_between(settlement_id: str, decision: Decision, *, send_by: float) -> object:
            one.keystone.decide_in_dashboard(Decision.REJECT)
            return decide(settlement_id, decision, send_by=send_by)

        one.keystone.decide = decided_in_between  # type: ignore[method-assign,assignment]

        one.flag(Verdict.APPROVE)

        assert one.states() == ["conflict"]
        assert one.answers() == [("conflict", 409)]


class TestFoundByAgeAlone:
    def suspect(self, one: OneCase, verdict: Verdict = Verdict.APPROVE) -> None:
        assert suspicions.open_suspected(one.books, SETTLEMENT, START) is not None
        one.work(0, verdict)

    @pytest.mark.parametrize("verdict", Verdict)
    def test_handlers_vote_and_nothing_is_sent(self, one: OneCase, verdict: Verdict) -> None:
        self.suspect(one, verdict)

        assert one.states() == ["suspected"]
        assert one.keystone.sent == []
        assert one.cases()[0]["verdict"] == verdict

    def test_its_flag_makes_it_a_case_that_is_judged_anew(self, one: OneCase) -> None:
        self.suspect(one)

        one.flag()
        one.work(0, Verdict.REJECT)

        assert one.states() == ["confirmed"]
        assert one.decisions() == {2: "reject"}
        assert one.mind.asked == 2

    def test_a_settlement_that_goes_on_by_itself_ends_it(self, one: OneCase) -> None:
        self.suspect(one)
        one.keystone.decide_in_dashboard(Decision.APPROVE)

        one.work(901)

        assert one.states() == ["superseded"]

    def test_a_settlement_that_has_a_case_is_not_suspected(self, one: OneCase) -> None:
        one.flag(Verdict.HOLD)

        assert suspicions.open_suspected(one.books, SETTLEMENT, START) is None

    def test_nor_one_whose_case_ended_since_it_came_there(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE)

        assert suspicions.open_suspected(one.books, SETTLEMENT, START) is None
        assert suspicions.open_suspected(one.books, SETTLEMENT, START + timedelta(seconds=1)) is not None


class TestFlagsThatLookTheSame:
    def test_a_late_repeat_is_read_again_and_superseded(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE)

        one.flag(Verdict.APPROVE)

        assert one.states() == ["confirmed", "superseded"]
        assert one.cases()[1]["repeat_of"] == one.cases()[0]["case_id"]
        assert [sent.applied for sent in one.keystone.sent] == [True, False]

    @pytest.mark.parametrize("in_place", [True, False])
    def test_a_recheck_is_decided_even_after_a_late_repeat(self, one: OneCase, *, in_place: bool) -> None:
        one.flag(Verdict.APPROVE)
        one.flag(Verdict.APPROVE)

        one.keystone.flag_again(in_place=in_place)
        one.flag(Verdict.APPROVE)

        assert one.states() == ["confirmed", "superseded", "confirmed"]
        assert one.decisions() == {2: "approve", None: "approve", 3 if in_place else 4: "approve"}


class TestKeyStoneCannotBeAsked:
    def test_a_busy_keystone_gets_the_same_decision_a_little_later(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE, Fault.BUSY)
        assert one.answers() == [("not_taken", 429)]

        one.work(3)

        assert one.states() == ["confirmed"]
        assert one.answers() == [("not_taken", 429), ("accepted", None)]

    def test_with_wrong_credentials_the_case_waits_and_goes_on_once_they_are_right(
        self, one: OneCase
    ) -> None:
        one.keystone.knows_us = False
        one.flag(Verdict.APPROVE)
        assert one.states() == ["opened"]
        one.work(30)
        assert one.keystone.reads == 1

        one.keystone.knows_us = True
        one.work(61, Verdict.APPROVE)

        assert one.states() == ["confirmed"]

    def test_a_decision_that_is_forbidden_is_kept_and_sent_once_it_is_allowed(self, one: OneCase) -> None:
        one.flag(Verdict.APPROVE, Fault.FORBIDDEN)
        assert one.states() == ["submitted"]
        assert one.answers() == [("not_taken", 403)]

        one.work(61)

        assert one.states() == ["confirmed"]
        assert one.answers() == [("not_taken", 403), ("accepted", None)]

    def test_a_409_while_it_still_seems_to_wait_is_tried_again(self, one: OneCase) -> None:
        """A flag's event may come before KeyStone takes decisions for it: not waiting yet."""
        one.keystone.waiting = False

        one.flag(Verdict.APPROVE)
        assert one.states() == ["submitted"]
        one.keystone.waiting = True
        one.work(2)

        assert one.states() == ["confirmed"]

    def test_a_settlement_that_cannot_be_read_is_held_with_one_review(self, one: OneCase) -> None:
        one.keystone.missing = True

        one.flag(Verdict.APPROVE)
        one.work(901)

        assert one.states() == ["held"]
        assert "refused" in one.cases()[0]["why"]
        with one.books.reading() as connection:
            assert len(connection.execute(select(REVIEWS)).all()) == 1

    def test_a_case_that_keeps_failing_for_no_known_reason_is_held(self, one: OneCase) -> None:
        one.mind.broken = True

        one.flag(Verdict.APPROVE)
        assert one.states() == ["opened"]
        for _ in range(4):
            one.work(61, Verdict.APPROVE)

        assert one.states() == ["held"]
        assert "5 attempts (ZeroDivisionError)" in one.cases()[0]["why"]
        assert one.keystone.sent == []

    def test_and_one_that_fails_once_is_decided(self, one: OneCase) -> None:
        one.mind.broken = True
        one.flag(Verdict.APPROVE)
        one.mind.broken = False

        one.work(2, Verdict.APPROVE)

        assert one.states() == ["confirmed"]

    def test_a_worker_that_stood_still_after_its_intent_sends_nothing(self, one: OneCase) -> None:
        one.desk = replace(one.desk, books=replace(one.books, lease=timedelta(seconds=-1)))

        one.flag(Verdict.APPROVE)

        assert one.keystone.sent == []
        assert one.answers() == [("not_taken", None)]


class TestHandlersThatNeedTime:
    def test_they_are_asked_again_when_they_said(self, one: OneCase) -> None:
        one.flag(TryLater(timedelta(seconds=30)))
        assert one.states() == ["opened"]

        one.work(29, Verdict.APPROVE)
        assert one.mind.asked == 1
        one.work(2, Verdict.APPROVE)

        assert one.states() == ["confirmed"]

    def test_but_not_for_ever(self, one: OneCase) -> None:
        one.flag(TryLater(timedelta(minutes=4)))
        for _ in range(3):
            one.work(241, TryLater(timedelta(minutes=4)))

        assert one.states() == ["held"]


def test_what_was_judged_is_recorded_with_its_hash(one: OneCase) -> None:
    one.flag(Verdict.APPROVE)

    with one.books.reading() as connection:
        snapshot = connection.execute(select(SNAPSHOTS)).one()
    entries = listing.timeline(one.books, one.cases()[0]["case_id"])
    assert [entry["kind"] for entry in entries] == [
        "case_opened",
        "case_judged",
        "decision_recorded",
        "submission_intended",
        "submission_answered",
        "case_ended",
    ]
    assert snapshot.sha256 in entries[1]["body"]


def test_handlers_are_told_of_deposits_that_only_the_history_shows(one: OneCase) -> None:
    one.keystone._record("COMPLIANCE_CHECKING", "AWAITING_DEPOSITS")  # noqa: SLF001 - our own stand-in.
    one.keystone._record("AWAITING_DEPOSITS", "COMPLIANCE_CHECKING")  # noqa: SLF001 - likewise.

    one.flag(Verdict.HOLD)

    assert one.mind.deposited == [True]


def test_a_duplicate_wake_up_does_nothing(one: OneCase) -> None:
    one.flag(Verdict.HOLD)
    reads = one.keystone.reads

    casework.advance(one.desk, one.cases()[0]["case_id"])

    assert one.keystone.reads == reads
    assert claims.claim(one.books, "case-unknown") is None
