"""The first step: read the settlement, ask the handlers, record what they say; then submit, or hold."""

from datetime import timedelta

import structlog

from countersign.case import Case
from countersign.settlement import Settlement
from countersign.verdict import Decision, Verdict
from countersign.votes import TryLater
from workers.cases import FOUND_BY_AGE, CaseState, find_pause, was_deposited
from workers.judgement import Judgement
from workers.ledger import judgements
from workers.ledger.endings import Ending
from workers.ledger.judgements import Judged
from workers.ledger.record import CaseRecord
from workers.steps.desk import Desk
from workers.steps.submit import send

log = structlog.get_logger(__name__)

FLAGGED = "settlement.compliance.flagged"
"""What handlers are told of a suspected case: they judge it as if its flag had come."""


def judge(desk: Desk, record: CaseRecord) -> None:
    """Judge a case that was never decided. Its handlers are asked about what KeyStone shows now."""
    seen = desk.read(record)
    pause = find_pause(seen.settlement.state, seen.history)
    if pause is None:
        desk.end_as_over(record, seen)
        return
    earlier = desk.case_at(record, pause)
    if earlier is not None:
        note = f"the flag repeats that of {earlier}"
        desk.end(record, Ending(state=CaseState.SUPERSEDED, note=note, repeat_of=earlier))
        return
    case = _case(desk, record, seen.settlement)
    judgement = _judgement(desk, record, case, deposited=was_deposited(seen.history))
    if judgement is not None:
        _record(desk, Judged(record=record, pause=pause, case=case, judgement=judgement))


def _case(desk: Desk, record: CaseRecord, settlement: Settlement) -> Case:
    return Case(
        id=record.id,
        environment=desk.books.environment,
        event=FLAGGED if record.event == FOUND_BY_AGE else record.event,
        settlement=settlement,
        judged_at=desk.books.now(),
        deadline=settlement.timeout_at,
    )


def _judgement(desk: Desk, record: CaseRecord, case: Case, *, deposited: bool) -> Judgement | None:
    try:
        return desk.judging.judge(case, deposited=deposited)
    except TryLater as later:
        if _may_wait(desk, record, case, later.after):
            desk.postpone(record, later.after, f"a handler is not ready: {later}")
            return None
        return desk.judging.judge(case, deposited=deposited, last_chance=True)


def _may_wait(desk: Desk, record: CaseRecord, case: Case, after: timedelta) -> bool:
    again_at = desk.books.now() + after
    due_at = desk.review_due_at(case.deadline)
    in_time = due_at is None or again_at < due_at
    return in_time and again_at < record.opened_at + desk.timings.not_ready_limit


def _record(desk: Desk, judged: Judged) -> None:
    desk.metrics.judged(judged.judgement.verdict)
    if judged.judgement.verdict is Verdict.HOLD or judged.is_suspected:
        _hold(desk, judged)
        return
    decision = Decision(judged.judgement.verdict)
    intent = judgements.record_decision(desk.books, judged, decision)
    log.info("case_decided", decision=decision, why=judged.judgement.why)
    send(desk, judged.record, judged.pause, judged.case.deadline, intent)


def _hold(desk: Desk, judged: Judged) -> None:
    deadline = judged.case.deadline
    judgements.record_hold(
        desk.books, judged, due_at=desk.review_due_at(deadline), look_at=desk.look_at(deadline)
    )
    log.info("case_held", why=judged.why, suspected=judged.is_suspected)
