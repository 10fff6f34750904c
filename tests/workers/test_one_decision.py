"""One decision per flag, the recorded one: whatever dies, gets lost, repeats or is decided by others.

Hypothesis drives the real steps over a real ledger against a KeyStone that fails at any moment, with handlers
that change their mind each time they are asked. In the end the two records must tell the same story.
"""

import shutil
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from countersign.verdict import Decision, Verdict
from tests.workers.one_case import OneCase, copy_ledger
from tests.workers.pretend_keystone import Fault
from workers.cases import CaseState
from workers.ledger.chain import broken_links

# Approvals and lost replies are where things can go wrong, so they are drawn more often than the rest.
VERDICTS = st.sampled_from([Verdict.APPROVE, Verdict.APPROVE, Verdict.REJECT, Verdict.HOLD])
FAULTS = st.sampled_from([*Fault, Fault.REPLY_LOST, Fault.CRASH_AFTER])
WAITS = st.sampled_from([0, 5, 11, 25, 61])


class OneSettlement(RuleBasedStateMachine):
    """One settlement with all that can happen to its flags, and a worker that may die at any moment."""

    template: Path

    @initialize(names=st.booleans(), tells=st.booleans(), verdict=VERDICTS, fault=FAULTS)
    def first_flag(self, *, names: bool, tells: bool, verdict: Verdict, fault: Fault) -> None:
        self.folder = Path(mkdtemp())
        self.one = OneCase(copy_ledger(self.template, self.folder), names=names, tells=tells)
        self.one.flag(verdict, fault)

    @rule(verdict=VERDICTS, fault=FAULTS)
    def repeat_the_flag(self, verdict: Verdict, fault: Fault) -> None:
        """KeyStone sends the flag again; it looks exactly the same."""
        self.one.flag(verdict, fault)

    @rule(verdict=VERDICTS, fault=FAULTS, in_place=st.booleans())
    def flag_again(self, verdict: Verdict, fault: Fault, *, in_place: bool) -> None:
        """A recheck flags it once more, with an event that looks exactly like the first."""
        self.one.keystone.flag_again(in_place=in_place)
        self.one.flag(verdict, fault)

    @rule(seconds=WAITS, verdict=VERDICTS, fault=FAULTS)
    def work(self, seconds: int, verdict: Verdict, fault: Fault) -> None:
        self.one.work(seconds, verdict, fault)

    @rule(decision=st.sampled_from([None, *Decision]))
    def others_act(self, decision: Decision | None) -> None:
        """Somebody decides in the dashboard, or the deadline passes."""
        if decision is None:
            self.one.keystone.time_out()
        else:
            self.one.keystone.decide_in_dashboard(decision)

    @invariant()
    def what_was_applied_is_what_was_recorded_for_that_flag(self) -> None:
        recorded = self.one.decisions()
        applied = [sent for sent in self.one.keystone.sent if sent.applied]
        for sent in applied:
            assert recorded.get(sent.pause) == sent.decision
        assert len({sent.pause for sent in applied}) == len(applied)

    def teardown(self) -> None:
        if hasattr(self, "one"):
            self._come_to_rest()
            self._compare()
            self.one.close()
            shutil.rmtree(self.folder)

    def _come_to_rest(self) -> None:
        self.one.flag()  # KeyStone repeats a flag until it is answered 2xx.
        for _ in range(8):
            self.one.work(61)

    def _compare(self) -> None:
        cases = self.one.cases()
        for case in cases:
            assert case["state"] == CaseState.HELD or CaseState(case["state"]).ended, case
            if case["state"] == CaseState.CONFIRMED:
                assert self._outcome_at_keystone(case["pause_sequence"]) == case["decision"]
        if self.one.keystone.waiting:
            # Nobody has decided this flag: so it must be in front of an officer, not forgotten.
            assert [c["pause_sequence"] for c in cases if c["state"] == "held"] == [self.one.keystone.pause]
        with self.one.books.reading() as connection:
            assert broken_links(connection) == []

    def _outcome_at_keystone(self, pause: int) -> str:
        left_for = self.one.keystone.history_events[pause].to_state
        return "reject" if left_for == "ROLLED_BACK" else "approve"


def test_each_flag_gets_the_decision_that_was_recorded_first_and_no_other(ledger_template: Path) -> None:
    OneSettlement.template = ledger_template
    run_state_machine_as_test(
        OneSettlement,
        settings=settings(
            max_examples=100,
            stateful_step_count=10,
            deadline=None,
            derandomize=False,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
