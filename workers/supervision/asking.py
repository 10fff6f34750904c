"""Putting one case to several handlers at once, each within its own budget, none waiting for another."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Self

from countersign import Case, Vote
from workers.supervision import failures
from workers.supervision.answers import Answer, parsed, read
from workers.supervision.evidence import AnswerInvalid
from workers.supervision.frames import FrameTooLong
from workers.supervision.pool import HandlerPool
from workers.supervision.process import HandlerProcess, ProcessEnded, wait_for

_MOST_DEATHS = 2
_LONGEST_WAIT_SECONDS = 1.0
"""Dramatiq interrupts a thread between two bytecodes only, so no single wait is longer than this."""


class Ask:
    """One case put to one handler in a process of its own, until there is an answer.

    A process that dies on it is replaced and asked once more; a second death is the answer. The budget counts
    from when the handler has the case: a process that has yet to start takes nothing from it.
    """

    def __init__(self, pool: HandlerPool, budget: timedelta, case: bytes) -> None:
        self.answer: Answer | None = None
        self.deadline = 0.0
        self._pool = pool
        self._budget = budget
        self._case = case
        self._deaths = 0
        self._number = ""
        self._process: HandlerProcess | None = None
        self._try(self._begin)

    @property
    def process(self) -> HandlerProcess:
        """The process that has the case now."""
        if self._process is None:
            raise RuntimeError("this case is not with any process")
        return self._process

    def advance(self) -> None:
        """Do what can be done without waiting."""
        self._try(self._listen)

    def abandon(self) -> None:
        """End a process that has not answered: nobody will wait for it any more."""
        if self._process is not None:
            self._end("abandoned")

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ProcessEnded:
            self._died(self._pool.bury(self.process))
        except OSError as trouble:
            self.abandon()
            self._died(f"a failing start or pipe ({type(trouble).__name__})")
        except (FrameTooLong, AnswerInvalid) as problem:
            self._end("invalid", failures.invalid(str(problem)))

    def _begin(self) -> None:
        self._process = self._pool.take()
        self.deadline = time.monotonic() + self._pool.start_budget.total_seconds()
        if self._process.is_ready:
            self._put()

    def _put(self) -> None:
        self._number = os.urandom(8).hex()  # So that no earlier answer can pass for this one.
        self.deadline = time.monotonic() + self._budget.total_seconds()
        self.process.asked += 1
        self.process.send(b'{"ask":"%s","case":%s}' % (self._number.encode(), self._case))

    def _listen(self) -> None:
        body = self.process.exchange()
        if body is not None:
            self._hear(parsed(body))
        elif time.monotonic() >= self.deadline:
            self._run_out()

    def _run_out(self) -> None:
        if self.process.is_ready:
            self._end("timeout", failures.timed_out(self._budget))
        else:
            self._end("timeout")
            self._died("a start that took too long")

    def _hear(self, message: Mapping[str, object]) -> None:
        if not self.process.is_ready:
            if self._pool.accepts(message):
                self.process.is_ready = True
                self._put()
            else:
                self._end("refused", failures.changed())
        elif message.get("ask") != self._number:
            raise AnswerInvalid("the handler's process sent an answer that nobody had asked for")
        else:
            self._settle(read(message.get("answer")))

    def _settle(self, answer: Answer) -> None:
        if isinstance(answer, Vote) and answer.evidence.get("error") == MemoryError.__name__:
            self._end("memory", answer)  # What filled it may still be there for the next case.
            return
        process, self._process = self.process, None
        self.answer = answer
        self._pool.give_back(process)

    def _end(self, why: str, answer: Answer | None = None) -> None:
        process, self._process = self.process, None
        self.answer = answer
        self._pool.end(process, why)

    def _died(self, with_what: str) -> None:
        self._process = None
        self._deaths += 1
        if self._deaths < _MOST_DEATHS:
            self._try(self._begin)
        else:
            self.answer = failures.died(self._deaths, with_what)


class Asking:
    """One case put to several handlers. On leaving this context, whoever has not answered is ended.

    So no process is left with a case when Dramatiq interrupts the thread.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._plain = b""
        self._asks: list[Ask] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for ask in self._asks:
            ask.abandon()

    def put(self, pool: HandlerPool, budget: timedelta) -> Ask:
        """Put the case to one more handler."""
        self._plain = self._plain or json.dumps(self._case.to_plain()).encode()
        ask = Ask(pool, budget, self._plain)
        self._asks.append(ask)
        return ask

    def answers(self) -> Iterator[tuple[Ask, Answer]]:
        """Yield each answer as it comes, until all are there."""
        waiting = list(self._asks)
        while waiting:
            for ask in list(waiting):
                if ask.answer is not None:
                    waiting.remove(ask)
                    yield ask, ask.answer
            if waiting:
                next_deadline = min(ask.deadline for ask in waiting) - time.monotonic()
                wait_for([ask.process for ask in waiting], min(next_deadline, _LONGEST_WAIT_SECONDS))
                for ask in waiting:
                    ask.advance()
