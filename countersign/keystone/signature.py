"""Webhook signatures: `X-Keystone-Signature` is the lower-case hex HMAC-SHA256 of the raw body.

There is no prefix and no signed time, and the key is the secret exactly as given, `whsec_` included
(keystone-api.md 2.4). An empty secret would let anyone sign, so none can be made.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

HEADER = "X-Keystone-Signature"

_HEX_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecret:
    """One secret that may sign, until `not_after` if rotation gave it an end (keystone-api.md 2.5)."""

    value: bytes = field(repr=False)
    not_after: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse an empty secret: a signature made with it proves nothing."""
        if not self.value:
            raise ValueError("a webhook secret is empty: anyone could sign with it")

    @classmethod
    def of(cls, value: str, not_after: datetime | None = None) -> Self:
        """Take the secret as KeyStone shows it: the key is its UTF-8 bytes, unchanged."""
        return cls(value=value.encode(), not_after=not_after)

    def is_live(self, now: datetime) -> bool:
        """Say whether this secret may still sign."""
        return self.not_after is None or now <= self.not_after


def sign(body: bytes, secret: WebhookSecret | bytes) -> str:
    """Return the signature of `body` as the header carries it."""
    key = secret.value if isinstance(secret, WebhookSecret) else secret
    return hmac.digest(key, body, "sha256").hex()


def signature_is_valid(
    body: bytes, header: bytes | str | None, secrets: Iterable[WebhookSecret], now: datetime
) -> bool:
    """Say whether one of the live secrets signed `body`.

    Every live secret is tried, also after a match, and each comparison takes constant time: how long the
    answer takes says nothing about a secret. No header value makes this raise.
    """
    given = _given(header)
    if given is None:
        return False
    valid = False
    for secret in secrets:
        if secret.is_live(now):
            valid |= hmac.compare_digest(sign(body, secret).encode(), given)
    return valid


def _given(header: bytes | str | None) -> bytes | None:
    # `compare_digest` raises on non-ASCII text, which an unauthenticated caller could turn into a 500 (7).
    given = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    return given if given is not None and len(given) == _HEX_LENGTH else None
