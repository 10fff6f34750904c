"""The platform's API as methods: one for each call that we use, typed, and safe to share between threads."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self, TypeVar

import httpx

from countersign.keystone import calls
from countersign.keystone.budget import Priority
from countersign.keystone.errors import AnswerUnreadable, OutcomeUnknown
from countersign.keystone.exchange import Answer, Question, question
from countersign.keystone.fields import Unusable
from countersign.keystone.history import HistoryEvent, parse_history_event
from countersign.keystone.pages import LARGEST_PAGE, Page, parse_page
from countersign.keystone.settlements import parse_settlement
from countersign.keystone.tokens import TokenSource
from countersign.keystone.transport import Transport
from countersign.keystone.webhooks import (
    NewSecret,
    TestDelivery,
    WebhookDelivery,
    WebhookEndpoint,
    parse_delivery,
    parse_endpoint,
    parse_new_secret,
    parse_test_delivery,
)
from countersign.settlement import Settlement
from countersign.verdict import Decision

Read = TypeVar("Read")

MOST_PAGES = 50
"""Of a history no more than this many pages of 200 are read: offsets over a list that grows may never end."""

UNREADABLE_AGAIN = timedelta(seconds=30)


class KeystoneClient:
    """Calls KeyStone. One a process; `close` it at the end. Each method raises the errors of `errors.py`."""

    def __init__(self, transport: Transport, *, tokens: TokenSource, http: httpx.Client) -> None:
        self._transport = transport
        self._http = http
        self.tokens = tokens

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def settlement(self, settlement_id: str, *, priority: Priority = Priority.FETCH) -> Settlement:
        """Read one settlement."""
        asked = question(calls.SETTLEMENT, settlement_id)
        return self._read(asked, priority, parse_settlement)

    def settlements(
        self,
        *,
        state: str | None = None,
        limit: int = 50,
        offset: int = 0,
        priority: Priority = Priority.SWEEP,
    ) -> Page[Settlement]:
        """Read one page of settlements, of one state or of all. Their order is not documented."""
        query = {} if state is None else {"state": state}
        return self._page(calls.SETTLEMENTS, (), parse_settlement, (limit, offset), priority, query)

    def history(self, settlement_id: str, *, priority: Priority = Priority.FETCH) -> tuple[HistoryEvent, ...]:
        """Read a settlement's whole history, in order of `sequence`."""
        events: dict[int, HistoryEvent] = {}
        offset: int | None = 0
        for _ in range(MOST_PAGES):
            if offset is None:
                break
            page = self._page(
                calls.HISTORY, (settlement_id,), parse_history_event, (LARGEST_PAGE, offset), priority
            )
            events |= {event.sequence: event for event in page.items}
            offset = page.next_offset
        return tuple(events[sequence] for sequence in sorted(events))

    def decide(self, settlement_id: str, decision: Decision, *, send_by: float = math.inf) -> Settlement:
        """Submit a decision: one POST, which is never sent again from here (keystone-api.md 3.5).

        Returns the settlement as the answer shows it, whose state need not be the new one yet. It may have to
        wait for a token and for the budget; after `send_by`, a time of `time.monotonic`, it is not sent any
        more. Once it is, it is on its way within `TO_SEND_SECONDS`.

        Raises:
            OutcomeUnknown: No answer came, or a 5xx, or a 2xx (then `status` says so) that can't be read: it
                may have been carried out.
            StateConflict: It was not waiting for a decision (any more).
            TryAgainLater: It was certainly not carried out: nothing was sent, or a 401 or 429 came back.
            KeystoneError: The others of `errors.py`: it was refused, so not carried out either.

        """
        asked = question(calls.DECIDE, settlement_id, content={"decision": Decision(decision).value})
        return self._read(asked, Priority.DECISION, parse_settlement, send_by=send_by)

    def webhook_endpoints(self) -> tuple[WebhookEndpoint, ...]:
        """Read all webhook endpoints of this environment."""
        return self._page(calls.WEBHOOK_LIST, (), parse_endpoint, (LARGEST_PAGE, 0), Priority.FETCH).items

    def webhook_endpoint(self, endpoint_id: str) -> WebhookEndpoint:
        """Read one webhook endpoint."""
        return self._read(question(calls.WEBHOOK_GET, endpoint_id), Priority.FETCH, parse_endpoint)

    def create_webhook_endpoint(
        self,
        *,
        url: str,
        events: Sequence[str] = ("*",),
        secret: str | None = None,
        description: str | None = None,
    ) -> WebhookEndpoint:
        """Register a webhook endpoint. Only this answer shows its secret, made by KeyStone if not given.

        Compare the answer's `events` with what was asked: the platform's pages disagree on the name of that
        field (6.1), and a server that ignored it would send everything.
        """
        wanted = {"url": url, "events": list(events), "secret": secret, "description": description}
        content = {name: value for name, value in wanted.items() if value is not None}
        asked = question(calls.WEBHOOK_CREATE, content=content)
        return self._read(asked, Priority.FETCH, parse_endpoint)

    def update_webhook_endpoint(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        is_active: bool | None = None,
    ) -> WebhookEndpoint:
        """Change what is given of a webhook endpoint; its secret changes only by rotation."""
        wanted = {
            "url": url,
            "events": None if events is None else list(events),
            "description": description,
            "is_active": is_active,
        }
        content = {name: value for name, value in wanted.items() if value is not None}
        asked = question(calls.WEBHOOK_UPDATE, endpoint_id, content=content)
        return self._read(asked, Priority.FETCH, parse_endpoint)

    def delete_webhook_endpoint(self, endpoint_id: str) -> None:
        """Remove a webhook endpoint."""
        self._transport.ask(question(calls.WEBHOOK_DELETE, endpoint_id), Priority.FETCH)

    def test_webhook_endpoint(self, endpoint_id: str) -> TestDelivery:
        """Make KeyStone send a `test.ping`, and say what became of it."""
        return self._read(question(calls.WEBHOOK_TEST, endpoint_id), Priority.FETCH, parse_test_delivery)

    def rotate_webhook_secret(self, endpoint_id: str) -> NewSecret:
        """Replace a webhook secret. Either may sign until the old one's time is up: accept both (2.5)."""
        return self._read(question(calls.WEBHOOK_ROTATE, endpoint_id), Priority.FETCH, parse_new_secret)

    def webhook_deliveries(
        self, endpoint_id: str, *, limit: int = 50, offset: int = 0, priority: Priority = Priority.SWEEP
    ) -> Page[WebhookDelivery]:
        """Read one page of KeyStone's delivery log."""
        return self._page(calls.WEBHOOK_DELIVERIES, (endpoint_id,), parse_delivery, (limit, offset), priority)

    def _page(
        self,
        call: calls.Call,
        ids: tuple[str, ...],
        parse: Callable[[Any], Read],
        cut: tuple[int, int],
        priority: Priority,
        query: Mapping[str, str] | None = None,
    ) -> Page[Read]:
        limit, offset = cut
        asked = question(call, *ids, query={**(query or {}), "limit": limit, "offset": offset})
        return self._read(asked, priority, lambda body: parse_page(body, parse, limit=limit, offset=offset))

    def _read(
        self, asked: Question, priority: Priority, parse: Callable[[Any], Read], *, send_by: float = math.inf
    ) -> Read:
        answer = self._transport.ask(asked, priority, send_by=send_by)
        try:
            return parse(_body(answer))
        except Unusable as unusable:
            told = f"KeyStone answers {answer.status} to `{asked.call.name}`, but {unusable}"
        if asked.call.is_safe:
            raise AnswerUnreadable(told, after=UNREADABLE_AGAIN, status=answer.status)
        # Whoever takes a 2xx for the platform's word must not be given that of a proxy.
        status = answer.status if answer.is_from_the_api else None
        raise OutcomeUnknown(f"{told}: read before anything else", status=status)


def _body(answer: Answer) -> Any:  # noqa: ANN401 - any JSON value.
    if answer.unreadable is not None:
        raise Unusable(str(answer.unreadable))
    return answer.body
