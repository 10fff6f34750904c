"""Calls to the platform's API, with what belongs around them: token, breaker, budget, meaning.

Only a safe call is ever repeated here, and only once: after a connection that broke, a 5xx that names no
time, or a 401 that cost the token. A call that changes something is sent once and never again, whatever comes
back.
"""

import math
import random
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import httpx
import structlog

from countersign.keystone.answers import SOON, Refusal, detail_of, error_for
from countersign.keystone.breaker import CircuitBreaker
from countersign.keystone.budget import Budget, Permit, Priority
from countersign.keystone.errors import (
    CredentialsRefused,
    KeystoneError,
    OutcomeUnknown,
    RefusedBecause,
    TryAgainLater,
)
from countersign.keystone.exchange import VERSION_HEADER, Answer, Question, Sender, exchange
from countersign.keystone.machine_token import MachineToken
from countersign.keystone.rate import NOTHING_SEEN, rate_seen
from countersign.keystone.retry_after import http_date
from countersign.keystone.token_cache import Dropped
from countersign.keystone.tokens import DROP_AT_MOST_EVERY, TokenSource

_log = structlog.get_logger(__name__)

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_BROKEN = (*_NOTHING_SENT, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class _OnceMore(Exception):
    """This attempt failed with `error`, and the same call may work at once."""

    def __init__(self, error: KeystoneError) -> None:
        super().__init__()
        self.error = error


class Transport:
    """Makes calls, and turns whatever goes wrong into the errors of `errors.py`. Safe for threads."""

    def __init__(
        self,
        sender: Sender,
        *,
        tokens: TokenSource,
        budget: Budget,
        egress_address: str | None = None,
    ) -> None:
        self._sender = sender
        self._tokens = tokens
        self._budget = budget
        self._egress_address = egress_address
        self._breaker = CircuitBreaker("KeyStone's API", on_change=sender.hooks.on_breaker)
        self._told_of_version = False

    def ask(self, question: Question, priority: Priority, *, send_by: float = math.inf) -> Answer:
        """Make one call and return its 2xx answer, whose body may still be unreadable.

        After `send_by`, a time of `time.monotonic`, nothing is sent any more.

        Raises:
            KeystoneError: It came to anything else; `errors.py` says to what.

        """
        if question.call.is_safe:
            try:
                return self._attempt(question, priority, send_by)
            except _OnceMore:
                time.sleep(random.uniform(0.05, 0.3))  # noqa: S311 - jitter, no secret.
        try:
            return self._attempt(question, priority, send_by)
        except _OnceMore as failed:
            raise failed.error from None

    def _attempt(self, question: Question, priority: Priority, send_by: float) -> Answer:
        token = self._tokens.token()
        probe, permit = self._let_through(priority)
        if time.monotonic() > send_by:
            self._budget.observe(permit, NOTHING_SEEN)
            self._breaker.left(probe=probe)
            raise TryAgainLater(
                f"`{question.call.name}` waited too long for its turn, so nothing was sent",
                after=timedelta(0),
            )
        answer = self._exchanged(question, token, permit, probe=probe)
        self._compare_version(answer)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise self._unauthorized(question, token)
        if answer.is_success:
            if answer.unreadable is not None and answer.unreadable.cut and question.call.is_safe:
                raise _OnceMore(
                    TryAgainLater(f"the answer to `{question.call.name}` was cut off", after=SOON)
                )
            return answer
        error = self._error(question, token, answer)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and "Retry-After" not in answer.headers:
            raise _OnceMore(error)
        raise error

    def _let_through(self, priority: Priority) -> tuple[bool, Permit]:
        probe = self._breaker.enter()
        try:
            return probe, self._budget.acquire(priority)
        except BaseException:
            self._breaker.left(probe=probe)
            raise

    def _exchanged(self, question: Question, token: MachineToken, permit: Permit, *, probe: bool) -> Answer:
        seen = NOTHING_SEEN
        try:
            answer = exchange(self._sender, question, token)
            seen = rate_seen(answer.status, answer.headers, now=datetime.now(UTC))
        except httpx.HTTPError as error:
            self._breaker.failed(probe=probe)
            raise _network_error(question, error) from None
        finally:
            self._budget.observe(permit, seen)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._breaker.failed(probe=probe)
        else:
            self._breaker.succeeded()
        return answer

    def _unauthorized(self, question: Question, token: MachineToken) -> Exception:
        name, status = question.call.name, HTTPStatus.UNAUTHORIZED
        if self._tokens.refused(token) is Dropped.TOO_SOON:
            return CredentialsRefused(
                f"KeyStone answers 401 to `{name}` with a token that was fetched just now: check that the "
                "client belongs to this environment and is active, and that KEYSTONE_AUDIENCE is its API's",
                why=RefusedBecause.TOKEN_REFUSED,
                after=DROP_AT_MOST_EVERY,
                status=status,
            )
        return _OnceMore(
            TryAgainLater(
                f"KeyStone answers 401 to `{name}`; the token was dropped", after=timedelta(0), status=status
            )
        )

    def _error(self, question: Question, token: MachineToken, answer: Answer) -> KeystoneError:
        return error_for(
            Refusal(
                call=question.call,
                status=answer.status,
                headers=answer.headers,
                token=token,
                detail=detail_of(answer.body),
                now=http_date(answer.headers.get("Date")) or datetime.now(UTC),
                egress_address=self._egress_address or answer.from_address,
            )
        )

    def _compare_version(self, answer: Answer) -> None:
        used = answer.headers.get(VERSION_HEADER)
        if self._told_of_version or used is None or self._sender.version in {None, used}:
            return
        self._told_of_version = True
        _log.warning("keystone_version_differs", asked_for=self._sender.version, answered_with=used[:40])


def _network_error(question: Question, error: httpx.HTTPError) -> Exception:
    name, kind = question.call.name, type(error).__name__
    if isinstance(error, _NOTHING_SENT) or question.call.is_safe:
        later = TryAgainLater(f"`{name}` got no answer from KeyStone ({kind})", after=SOON)
        return _OnceMore(later) if isinstance(error, _BROKEN) and question.call.is_safe else later
    return OutcomeUnknown(f"`{name}` was sent, but no answer came ({kind}): read before anything else")
