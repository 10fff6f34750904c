"""Judging a case: every handler that wants it is asked, all votes are kept, and the rule combines them."""

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from countersign import Case, TryLater, Vote, VoteOutcome
from countersign.verdict import CastVote, Mode, combine
from workers.deposits import may_be_deposited
from workers.handler_metrics import HandlerMetrics
from workers.judgement import Judgement, RecordedVote
from workers.policy import Policy, read_policy
from workers.registry import BoundHandler, bind_handlers
from workers.supervision import failures
from workers.supervision.answers import Answer, asked
from workers.supervision.asking import Asking
from workers.supervision.pool import DEFAULT_MEMORY_BYTES, Supervisor

_FAILURES = frozenset({VoteOutcome.ERROR, VoteOutcome.TIMEOUT})


@dataclass(slots=True, kw_only=True)
class _Hearing:
    """One handler and this case: when it was asked, and what it said."""

    bound: BoundHandler
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = field(default_factory=time.monotonic)
    answer: Answer | None = None
    seconds: float = 0.0

    def answered(self, answer: Answer) -> None:
        """Note the answer and how long it took."""
        self.answer = answer
        self.seconds = time.monotonic() - self.began


class Judging:
    """Asks the bound handlers. Safe to use from several threads at once; `close` ends all their processes."""

    def __init__(
        self,
        policy: Policy,
        handlers: Sequence[BoundHandler],
        supervisor: Supervisor,
        metrics: HandlerMetrics,
    ) -> None:
        self.policy = policy
        self.handlers = tuple(sorted(handlers, key=lambda bound: bound.name))
        self._supervisor = supervisor
        self._metrics = metrics
        self._log = structlog.get_logger(__name__)

    def judge(self, case: Case, *, deposited: bool = False, last_chance: bool = False) -> Judgement:
        """Ask every handler that wants this case, and combine their votes.

        `deposited` is what the caller knows beyond the settlement itself, from its history. At the
        `last_chance` a handler that still can't answer has failed; before it the case waits.

        Raises:
            TryLater: A handler that counts can't answer yet. Judge again after `after`, and record nothing.
            SupervisorClosed: `close` was called meanwhile. Record nothing.

        """
        votes: list[RecordedVote] = []
        later: list[TryLater] = []
        for hearing in self._heard(case):
            match hearing.answer:
                case TryLater() as wish if hearing.bound.mode is Mode.ENFORCE and not last_chance:
                    self._metrics.asked_for_later(hearing.bound.name)
                    later.append(wish)
                case Vote() as vote:
                    votes.append(self._recorded(hearing, vote, case))
                case _:
                    votes.append(self._recorded(hearing, failures.never_ready(), case))
        if later:
            raise max(later, key=lambda wish: wish.after)
        combined = combine(
            (_as_cast(vote) for vote in votes),
            self.policy.powers(case.settlement, deposited=deposited or may_be_deposited(case.settlement)),
        )
        return Judgement(
            votes=tuple(votes),
            verdict=combined.verdict,
            why=combined.why,
            policy_digest=self.policy.digest,
        )

    def close(self) -> None:
        """End the processes of all handlers."""
        for bound in self.handlers:
            bound.close()
        self._supervisor.close()

    def _heard(self, case: Case) -> list[_Hearing]:
        wanting = [bound for bound in self.handlers if bound.handler.wants(case)]
        able = [bound for bound in wanting if bound.handler.requires <= case.facts.keys()]
        hearings = _hear(case, able)
        for bound in wanting:
            if missing := bound.handler.requires - case.facts.keys():
                hearings.append(_Hearing(bound=bound))
                hearings[-1].answered(failures.facts_missing(missing))
        return sorted(hearings, key=lambda hearing: hearing.bound.name)

    def _recorded(self, hearing: _Hearing, vote: Vote, case: Case) -> RecordedVote:
        bound = hearing.bound
        self._metrics.voted(bound.name, bound.mode, vote, hearing.seconds)
        if vote.outcome in _FAILURES:
            # Not the note: a process can send what it likes, a party's name too.
            self._log.warning("handler_failed", handler=bound.name, case_id=case.id, reason=vote.reason.value)
        return RecordedVote(
            handler=bound.name,
            version=bound.handler.version,
            origin=bound.origin,
            digest=bound.digest,
            mode=bound.mode,
            required=bound.required,
            outcome=vote.outcome,
            reason=vote.reason,
            note=vote.note,
            evidence=vote.evidence,
            started_at=hearing.started_at,
            duration_ms=round(hearing.seconds * 1000, 3),
        )


def open_judging(
    policy_file: Path | None,
    *,
    environ: Mapping[str, str],
    registry: CollectorRegistry,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> Judging:
    """Read the policy, find and load the handlers, and return what a worker judges with: close it at the end.

    `environ` is what handler processes inherit, but for our own settings. `memory_bytes` is for each of them.

    Raises:
        PolicyInvalid: The policy file can't be used.
        HandlersInvalid: A handler can't be used.

    """
    policy = read_policy(policy_file)
    metrics = HandlerMetrics(registry)
    supervisor = Supervisor(environ, metrics)
    try:
        handlers = bind_handlers(policy, supervisor, memory_bytes=memory_bytes)
    except BaseException:
        supervisor.close()
        raise
    return Judging(policy, handlers, supervisor, metrics)


def _hear(case: Case, handlers: Sequence[BoundHandler]) -> list[_Hearing]:
    here: list[_Hearing] = []
    with Asking(case) as asking:
        # Those in processes of their own first: they are at work while the others have their turn here.
        elsewhere = {
            asking.put(bound.pool, bound.handler.budget): _Hearing(bound=bound)
            for bound in handlers
            if bound.pool is not None
        }
        for bound in handlers:
            if bound.judge is not None:
                here.append(_Hearing(bound=bound))
                here[-1].answered(asked(bound.judge, case, _run))
        for ask, answer in asking.answers():
            elsewhere[ask].answered(answer)
    return [*here, *elsewhere.values()]


def _run(returned: Awaitable[Vote]) -> Vote:
    async def awaited() -> Vote:
        return await returned

    return asyncio.run(awaited())


def _as_cast(vote: RecordedVote) -> CastVote:
    said = Vote(outcome=vote.outcome, reason=vote.reason, note=vote.note, evidence=vote.evidence)
    return CastVote(handler=vote.handler, vote=said, required=vote.required, mode=vote.mode)
