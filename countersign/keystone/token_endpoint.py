"""Asking the token endpoint for a machine token: one POST, and a typed answer whatever comes back.

The request is the documented one: JSON with four keys, no `scope` (keystone-api.md 1.1). A redirect is never
followed, because it would carry the client secret to another host.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from countersign.keystone.errors import CredentialsRefused, RefusedBecause, TryAgainLater
from countersign.keystone.fields import exact
from countersign.keystone.hooks import Hooks
from countersign.keystone.jwks import IssuerKeys
from countersign.keystone.machine_token import Hidden, MachineToken
from countersign.keystone.reading import BodyUnreadable, read_json
from countersign.keystone.retry_after import http_date, retry_after
from countersign.keystone.token_check import Checked, TokenNotGenuine, TokenVerify, check_token

TIMEOUT = httpx.Timeout(connect=2.0, read=5.0, write=2.0, pool=1.0)
TOTAL_SECONDS = 8.0
LONGEST_FETCH = timedelta(seconds=20)
"""The longest that a fetch with all its checks takes: so long may one process keep the others waiting."""

ASSUMED_LIFE = timedelta(hours=1)
"""Where neither the answer nor the token tells. Documented is 24 h; too short only costs a request."""

SHORTEST_LIFE, LONGEST_LIFE = timedelta(seconds=1), timedelta(days=7)
FIRST_PAUSE = timedelta(seconds=1)
REFUSED_PAUSE = timedelta(minutes=1)
"""Wrong credentials are not tried again sooner, by anyone in the fleet."""

_LONGEST_TOKEN = 16 * 1024
_REFUSING = frozenset({400, 401, 403})
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """Who we are to the token endpoint, and for what audience."""

    token_url: str
    audience: str
    client_id: str
    client_secret: str = field(repr=False)


class TokenEndpoint:
    """Fetches machine tokens and checks them."""

    def __init__(
        self,
        http: httpx.Client,
        credentials: ClientCredentials,
        *,
        keys: IssuerKeys,
        verify: TokenVerify = TokenVerify.WARN,
        hooks: Hooks | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._keys = keys
        self._verify = verify
        self._hooks = hooks or Hooks()
        self._clock = clock

    def fetch(self) -> MachineToken:
        """Fetch one token and check it.

        Raises:
            TryAgainLater: The endpoint is down, slow, busy, or answers what is no token.
            CredentialsRefused: It refuses these credentials, or its token fails a check.

        """
        began = time.monotonic()
        outcome = "no_answer"
        try:
            with self._http.stream(
                "POST", self._credentials.token_url, json=self._request(), timeout=TIMEOUT
            ) as response:
                outcome = str(response.status_code)
                issuer_now = http_date(response.headers.get("Date")) or self._clock()
                answer = self._answered(response, issuer_now, until=began + TOTAL_SECONDS)
        except httpx.HTTPError as error:
            outcome = type(error).__name__
            raise TryAgainLater(
                f"the token endpoint (KEYSTONE_TOKEN_URL) can't be reached ({outcome})", after=FIRST_PAUSE
            ) from None
        finally:
            self._hooks.on_call("token", outcome, time.monotonic() - began)
        return self._checked(answer, issuer_now)

    def _request(self) -> dict[str, str]:
        return {
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
            "audience": self._credentials.audience,
            "grant_type": "client_credentials",
        }

    def _answered(self, response: httpx.Response, issuer_now: datetime, *, until: float) -> dict[str, Any]:
        status = response.status_code
        if status in _LATER or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            after = retry_after(response.headers.get("Retry-After"), now=issuer_now)
            raise TryAgainLater(
                f"the token endpoint answers {status}", after=after or FIRST_PAUSE, status=status
            )
        if status in _REFUSING:
            raise CredentialsRefused(
                f"the token endpoint refuses our credentials ({status}): check CLIENT_ID and CLIENT_SECRET, "
                "and that this client may use KEYSTONE_AUDIENCE",
                why=RefusedBecause.CLIENT_REFUSED,
                after=REFUSED_PAUSE,
                status=status,
            )
        if not response.is_success:
            raise CredentialsRefused(
                f"the token endpoint answers {status}: check KEYSTONE_TOKEN_URL",
                why=RefusedBecause.UNCLEAR,
                after=REFUSED_PAUSE,
                status=status,
            )
        try:
            answer = read_json(response, until=until)
        except BodyUnreadable as unreadable:
            raise _no_token(str(unreadable), status) from None
        if not isinstance(answer, dict):
            raise _no_token("the body is not a JSON object", status)
        value = answer.get("access_token")
        return {**answer, "access_token": Hidden(value) if isinstance(value, str) else None}

    def _checked(self, answer: dict[str, Any], issuer_now: datetime) -> MachineToken:
        value: Hidden | None = answer["access_token"]
        # Anything but visible ASCII would not even fit into a header.
        if not value or len(value) > _LONGEST_TOKEN or not _is_visible_ascii(value):
            raise _no_token("there is no usable `access_token`", httpx.codes.OK)
        try:
            checked = check_token(
                value, self._keys, audience=self._credentials.audience, issuer_now=issuer_now
            )
        except TokenNotGenuine as wrong:
            raise CredentialsRefused(
                f"the token endpoint gave a token that must not be used: {wrong}",
                why=RefusedBecause.TOKEN_NOT_GENUINE,
                after=REFUSED_PAUSE,
            ) from None
        if checked.problem is not None:
            self._hooks.on_token("unverified")
            if self._verify is TokenVerify.REQUIRE:
                raise CredentialsRefused(
                    f"the token can't be checked, and TOKEN_VERIFY=require asks for it: {checked.problem}",
                    why=RefusedBecause.TOKEN_UNVERIFIED,
                    after=REFUSED_PAUSE,
                )
        return _made(value, answer, checked, issuer_now)


def _made(value: Hidden, answer: dict[str, Any], checked: Checked, issuer_now: datetime) -> MachineToken:
    lives = [checked.expires_at - issuer_now] if checked.expires_at is not None else []
    told = exact(answer.get("expires_in"))
    if told is not None:
        lives.append(timedelta(seconds=min(float(told), LONGEST_LIFE.total_seconds())))
    life = min([*(lives or [ASSUMED_LIFE]), LONGEST_LIFE])
    if life < SHORTEST_LIFE:
        raise _no_token("the token has no life left", httpx.codes.OK)
    granted = answer.get("scope")
    scopes = (
        frozenset(granted.split()) if checked.scopes is None and isinstance(granted, str) else checked.scopes
    )
    return MachineToken(
        value=value,
        life=life,
        expires_at=issuer_now + life,
        issuer=checked.issuer,
        audience=checked.audience,
        scopes=scopes,
        problem=checked.problem,
    )


def _is_visible_ascii(value: str) -> bool:
    return all("!" <= character <= "~" for character in value)


def _no_token(reason: str, status: int) -> TryAgainLater:
    return TryAgainLater(
        f"the token endpoint answered without a token: {reason}", after=FIRST_PAUSE, status=status
    )
