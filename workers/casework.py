"""Casework: claims a case and does its next step; whatever goes wrong, the case is never lost.

What a step raises is met here, and only here: trouble that passes puts the case off, a refusal that needs a
person holds it, a lost lease leaves it to whoever has it now.
"""

import structlog

from countersign.keystone.errors import CredentialsRefused, KeystoneError, TryAgainLater
from workers.cases import CaseState, Step, next_step, retry_delay
from workers.ledger import claims, judgements
from workers.ledger.books import LeaseLost
from workers.ledger.record import CaseRecord
from workers.steps.desk import Desk
from workers.steps.judge import judge
from workers.steps.look import look
from workers.steps.submit import submit

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 5


def advance(desk: Desk, case_id: str) -> None:
    """Claim a case and do its next step; a case that is not due, or somebody else's, is left alone."""
    record = claims.claim(desk.books, case_id)
    if record is not None:
        work_on(desk, record)


def work_on(desk: Desk, record: CaseRecord) -> None:
    """Do the next step of a case that this worker has claimed."""
    with (
        structlog.contextvars.bound_contextvars(case_id=record.id, settlement_id=record.settlement_id),
        desk.keeper.holding(record.id, record.fence),
    ):
        try:
            _step(desk, record)
        except LeaseLost as lost:
            desk.metrics.leases_lost.inc()
            log.warning("lease_lost", fence=record.fence, why=str(lost))
        except Exception as failure:
            log.exception("step_failed", attempts=record.attempts)
            _after_failure(desk, record, type(failure).__name__)


def _after_failure(desk: Desk, record: CaseRecord, kind: str) -> None:
    """Try again what failed for a reason that nobody foresaw; a case that keeps failing is held."""
    if record.state is CaseState.OPENED and record.attempts >= MOST_ATTEMPTS:
        why = f"it could not be judged in {record.attempts} attempts ({kind}): the worker's log says more"
        look_at = desk.look_at(record.timeout_at)
        judgements.record_unreadable(desk.books, record, why, look_at=look_at)
        return
    desk.postpone(record, retry_delay(record.attempts), f"the step failed ({kind})")


def _step(desk: Desk, record: CaseRecord) -> None:
    try:
        match next_step(record.state):
            case Step.JUDGE:
                judge(desk, record)
            case Step.SUBMIT:
                submit(desk, record)
            case Step.LOOK:
                look(desk, record)
            case Step.NOTHING:
                pass
    except (TryAgainLater, CredentialsRefused) as trouble:
        desk.postpone(record, max(trouble.after, retry_delay(record.attempts)), str(trouble))
    except KeystoneError as refusal:
        if record.state in {CaseState.HELD, CaseState.SUSPECTED}:
            again_after = desk.look_at(record.timeout_at) - desk.books.now()
            desk.postpone(record, again_after, str(refusal))  # A person knows of it already.
            return
        # Neither time nor another attempt mends this one: a person must know.
        log.error("case_unreadable", why=str(refusal))  # noqa: TRY400 - an answer, not a bug: no traceback.
        why = f"KeyStone refused to show it or to take its decision: {refusal}"
        look_at = desk.look_at(record.timeout_at)
        judgements.record_unreadable(desk.books, record, why, look_at=look_at)
