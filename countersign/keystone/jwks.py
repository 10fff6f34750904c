"""The issuer's public keys: found by discovery from the token host, kept, and asked for again with restraint.

Neither the keys' address nor the issuer's name is documented (keystone-api.md 1.1), so both come from
`/.well-known/openid-configuration` (OpenID Connect Discovery 1.0) on the host of the token URL.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt

from countersign.keystone.reading import BodyUnreadable, read_json

DISCOVERY_PATH = "/.well-known/openid-configuration"
REFETCH_SECONDS = 60.0
"""However many unknown key ids turn up, the keys are asked for at most this often."""

STALE_SECONDS = 12 * 3600.0
TIMEOUT = httpx.Timeout(connect=1.0, read=2.0, write=1.0, pool=1.0)


class KeysUnavailable(Exception):
    """The issuer's keys can't be had now. The message says which step failed."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The issuer's name for itself, and its RS256 keys by id."""

    issuer: str
    keys: dict[str | None, jwt.PyJWK] = field(repr=False)


class IssuerKeys:
    """Keeps the issuer's keys. A refresh that fails leaves the old ones in place."""

    def __init__(
        self, http: httpx.Client, token_url: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = http
        self._discovery = httpx.URL(token_url).copy_with(path=DISCOVERY_PATH, query=None, fragment=None)
        self._clock = clock
        self._lock = threading.Lock()
        self._known: KeySet | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None

    def key_set(self, key_id: str | None) -> KeySet:
        """Return the keys, asked for again if they are old or lack `key_id`, but never too often.

        Raises:
            KeysUnavailable: There are none, and they can't be had.

        """
        with self._lock:
            now = self._clock()
            known = self._known
            wanted = known is None or key_id not in known.keys or now - self._fetched_at > STALE_SECONDS
            if wanted and (self._tried_at is None or now - self._tried_at >= REFETCH_SECONDS):
                try:
                    self._known = self._fetch()
                    self._fetched_at = now
                except KeysUnavailable:
                    self._tried_at = now
                    if known is None:
                        raise
                if known is not None:
                    # The first keys don't count: the issuer may change them a moment after our start.
                    self._tried_at = now
                known = self._known
            if known is None:
                raise KeysUnavailable("the issuer's keys could not be had a moment ago")
            return known

    def _fetch(self) -> KeySet:
        configuration = self._get(self._discovery, "discovery")
        issuer, address = configuration.get("issuer"), configuration.get("jwks_uri")
        if not isinstance(issuer, str) or not isinstance(address, str):
            raise KeysUnavailable("discovery names no `issuer` or no `jwks_uri`")
        try:
            keys_url = httpx.URL(address)
        except httpx.InvalidURL:
            raise KeysUnavailable("discovery's `jwks_uri` is no address") from None
        if keys_url.scheme != "https" and keys_url.host != self._discovery.host:
            raise KeysUnavailable("discovery's `jwks_uri` is neither https nor on the token host")
        return KeySet(issuer, _rsa_keys(self._get(keys_url, "the key set").get("keys")))

    def _get(self, url: httpx.URL, what: str) -> dict[str, Any]:
        try:
            with self._http.stream("GET", url, timeout=TIMEOUT) as response:
                if response.status_code != httpx.codes.OK:
                    raise KeysUnavailable(f"{what} answers {response.status_code}")
                body = read_json(response, until=self._clock_until())
        except httpx.HTTPError as error:
            raise KeysUnavailable(f"{what} can't be reached ({type(error).__name__})") from None
        except BodyUnreadable as unreadable:
            raise KeysUnavailable(f"{what} can't be read: {unreadable}") from None
        if not isinstance(body, dict):
            raise KeysUnavailable(f"{what} is not a JSON object")
        return body

    @staticmethod
    def _clock_until() -> float:
        return time.monotonic() + 3.0


def _rsa_keys(found: Any) -> dict[str | None, jwt.PyJWK]:  # noqa: ANN401 - any JSON value.
    keys: dict[str | None, jwt.PyJWK] = {}
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, dict) and entry.get("kty") == "RSA" and entry.get("use", "sig") == "sig":
            try:
                keys[entry.get("kid")] = jwt.PyJWK(entry, algorithm="RS256")
            except (jwt.PyJWTError, ValueError, TypeError):
                continue  # One key that can't be read must not hide the others.
    return keys
