"""One HTTP exchange with the platform: a request out, an answer back, nothing judged."""

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from countersign import __version__
from countersign.keystone.calls import Call
from countersign.keystone.hooks import Hooks
from countersign.keystone.machine_token import MachineToken
from countersign.keystone.reading import BodyUnreadable, read_json

READ_SECONDS = 5.0
"""How long an answer is waited for, and then the whole of its body."""

TO_SEND_SECONDS = 5.0
"""How long it takes at most until a request is sent in full: a free connection, or a new one, and writing."""

VERSION_HEADER = "Keystone-Version"
USER_AGENT = f"keystone-countersign/{__version__}"

Values = Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """How every request is sent: over which connections, under which version, with how much patience."""

    http: httpx.Client
    version: str | None = None
    read_seconds: float = READ_SECONDS
    hooks: Hooks = field(default_factory=Hooks)

    @property
    def timeout(self) -> httpx.Timeout:
        """The longest that each step may take."""
        return httpx.Timeout(connect=2.0, read=self.read_seconds, write=2.0, pool=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: a call, its path with the ids in place, its query and its JSON body."""

    call: Call
    path: str
    query: Values | None = None
    content: Mapping[str, Any] | None = None


def question(
    call: Call, *ids: str, query: Values | None = None, content: Mapping[str, Any] | None = None
) -> Question:
    """Put a question together.

    Raises:
        RequestRefused: One of the ids can't be one.

    """
    return Question(call=call, path=call.url(*ids), query=query, content=content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `unreadable` says why there is no body; `from_address` where a 403 found us."""

    status: int
    headers: Mapping[str, str]
    body: Any = None
    unreadable: BodyUnreadable | None = None
    from_address: str | None = None

    @property
    def is_success(self) -> bool:
        """Say whether it is a 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_from_the_api(self) -> bool:
        """Say whether it looks like the API's own: a page of a proxy in between comes as HTML."""
        content_type = self.headers.get("Content-Type", "")
        return not content_type or "json" in content_type.lower()


def exchange(sender: Sender, asked: Question, token: MachineToken) -> Answer:
    """Send one request and read its answer.

    Raises:
        httpx.HTTPError: No status came back; what was sent of the request, the type tells.

    """
    # This type hides the token where it is shown.
    headers = httpx.Headers(
        {"Authorization": token.authorization(), "User-Agent": USER_AGENT, "Accept": "application/json"}
    )
    if sender.version is not None:
        headers[VERSION_HEADER] = sender.version
    call, began = asked.call, time.monotonic()
    outcome = "interrupted"
    try:
        with sender.http.stream(
            call.method,
            asked.path,
            params=asked.query,
            json=asked.content,
            headers=headers,
            timeout=sender.timeout,
        ) as response:
            outcome = str(response.status_code)
            # httpx's own timeout bounds the wait for each piece of a body, not for the whole.
            return _answer(response, until=time.monotonic() + sender.read_seconds)
    except httpx.HTTPError as error:
        outcome = type(error).__name__
        raise
    finally:
        sender.hooks.on_call(call.name, outcome, time.monotonic() - began)


def _answer(response: httpx.Response, *, until: float) -> Answer:
    body, unreadable = None, None
    forbidden = response.status_code == HTTPStatus.FORBIDDEN
    from_address = _from_address(response) if forbidden else None  # While the connection is open.
    try:
        body = read_json(response, until=until)
    except BodyUnreadable as error:
        # The status is known all the same, and it is what decides.
        unreadable = error
    return Answer(
        status=response.status_code,
        headers=response.headers,
        body=body,
        unreadable=unreadable,
        from_address=from_address,
    )


def _from_address(response: httpx.Response) -> str | None:
    """Return our own public address, where this host has one: behind NAT only KeyStone can tell it."""
    stream = response.extensions.get("network_stream")
    try:
        local = None if stream is None else stream.get_extra_info("client_addr")
        address = ipaddress.ip_address(local[0]) if local else None
    except (ValueError, OSError):
        return None
    return str(address) if address is not None and address.is_global else None
