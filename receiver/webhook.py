"""The hot route, a plain ASGI handler: read, verify, parse, put in, answer. In that order and no other.

Nothing that was not verified is parsed, logged or kept. The answer is 202 once Redis has the event, and not
before.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

from litestar.types import HTTPScope, Receive, Send

from countersign.keystone.events import Event, EventUnreadable, parse_event
from countersign.keystone.signature import HEADER, signature_is_valid
from receiver.answers import ACCEPTED, REFUSED
from receiver.body import read_body
from receiver.carrier import Carrier
from receiver.keyring import Keyring
from receiver.refusals import Disconnected, Refusal, Refused, unreadable
from receiver.secret_lines import DEFAULT_ENDPOINT, is_endpoint_name
from receiver.tally import UNKNOWN, Tally
from workers.inbox import Delivery

_SIGNATURE = HEADER.lower().encode()
_MOST_SIGNATURES = 4  # Whether rotation sends one or two is not documented (keystone-api.md 2.5).
_HEX = frozenset(b"0123456789abcdef")
_HEX_LENGTH = 64


class Limits(NamedTuple):
    """What a delivery may be, and how many may be under way at once."""

    max_body_bytes: int
    max_concurrent_requests: int
    stale_after: timedelta


class WebhookRoute:
    """Takes deliveries in for one environment."""

    def __init__(
        self, environment: str, keyring: Keyring, carrier: Carrier, tally: Tally, limits: Limits
    ) -> None:
        self._environment = environment
        self._keyring = keyring
        self._carrier = carrier
        self._tally = tally
        self._limits = limits
        self._under_way = 0
        tally.watch(lambda: self._under_way)

    async def handle(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = _endpoint(scope["path"])
        self._under_way += 1
        try:
            await self._take_in(endpoint, scope, receive)
            answer = ACCEPTED
        except Refused as refused:
            self._tally.refused(refused.refusal, self._label(endpoint))
            answer = REFUSED[refused.refusal]
        except Disconnected:
            self._tally.disconnected(self._label(endpoint))
            return
        finally:
            self._under_way -= 1
        await answer.send(send)

    async def _take_in(self, endpoint: str, scope: HTTPScope, receive: Receive) -> None:
        if not is_endpoint_name(endpoint):
            raise Refused(Refusal.NO_SUCH_PATH)
        if scope["method"] != "POST":
            raise Refused(Refusal.METHOD_NOT_ALLOWED)
        if self._under_way > self._limits.max_concurrent_requests:
            raise Refused(Refusal.OVERLOADED)
        signatures, announced = [], None
        for name, value in scope["headers"]:
            if name == _SIGNATURE:
                signatures.append(value)
            elif name == b"content-length":
                announced = value
        body = await read_body(receive, announced, self._limits.max_body_bytes)
        received_at = datetime.now(UTC)
        if not self._verified(endpoint, body, signatures, received_at):
            await self._look_again(endpoint, body, signatures, received_at)
        await self._put_in(endpoint, body, received_at)

    def _verified(self, endpoint: str, body: bytes, signatures: list[bytes], now: datetime) -> bool:
        secrets = self._keyring.secrets(endpoint)
        return any(signature_is_valid(body, each, secrets, now) for each in signatures[:_MOST_SIGNATURES])

    async def _look_again(self, endpoint: str, body: bytes, signatures: list[bytes], now: datetime) -> None:
        """Read the secrets anew, for the signing one may be newer than ours; return if it verifies now."""
        await self._keyring.reread()
        if self._verified(endpoint, body, signatures, now):
            return
        if self._keyring.is_rotating(endpoint):
            raise Refused(Refusal.ROTATION_UNDER_WAY)
        if self._keyring.is_uncertain:
            raise Refused(Refusal.SECRETS_UNREADABLE)
        raise Refused(self._why_unverified(endpoint, signatures))

    def _why_unverified(self, endpoint: str, signatures: list[bytes]) -> Refusal:
        if not self._keyring.secrets(endpoint):
            return Refusal.UNKNOWN_ENDPOINT
        if not signatures:
            return Refusal.SIGNATURE_MISSING
        if any(len(each) == _HEX_LENGTH and _HEX.issuperset(each) for each in signatures):
            return Refusal.SIGNATURE_WRONG
        return Refusal.SIGNATURE_MALFORMED

    async def _put_in(self, endpoint: str, body: bytes, received_at: datetime) -> None:
        try:
            event = parse_event(body)
        except EventUnreadable as error:
            raise Refused(unreadable(error.reason)) from None
        put = await self._carrier.carry(
            Delivery(str(uuid4()), self._environment, endpoint, event.key, received_at, body)
        )
        self._tally.accepted(endpoint, put)
        if self._is_stale(event, received_at):
            self._tally.stale(endpoint, event.key)

    def _is_stale(self, event: Event, received_at: datetime) -> bool:
        return event.occurred_at is not None and received_at - event.occurred_at > self._limits.stale_after

    def _label(self, endpoint: str) -> str:
        return endpoint if self._keyring.secrets(endpoint) else UNKNOWN


def _endpoint(path: str) -> str:
    """Read the name from what follows the mount: `/`, or the name between slashes. Empty if it is neither."""
    if path == "/":
        return DEFAULT_ENDPOINT
    # Litestar gives `x/` for `/webhooks/keystonex`, which is not below the mount at all.
    return path[1:-1] if path.startswith("/") and path.endswith("/") else ""
