"""How webhook secrets are written in `WEBHOOK_SECRETS` and in its file: one entry a secret.

    whsec_new                                     a secret of the default endpoint
    whsec_old until 2026-01-02T03:04:05Z          the same, accepted until that time (rotation)
    @environment:whsec_other                      a secret of the endpoint named `environment`

A secret is taken exactly as it stands, without the white space around it. One that begins with `@` is written
with the name of its endpoint: `@keystone:@secret`.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pydantic import SecretStr

from countersign.keystone.signature import WebhookSecret

DEFAULT_ENDPOINT = "keystone"
"""The endpoint behind `/webhooks/keystone` itself."""

Secrets = Mapping[str, tuple[WebhookSecret, ...]]
"""The secrets of each endpoint, by its name."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_UNTIL = re.compile(r"(.+?)\s+until\s+(\S+)", re.DOTALL)


class SecretEntryInvalid(ValueError):
    """An entry can't be read. The message says which one, and never shows it."""


def is_endpoint_name(name: str) -> bool:
    """Say whether an endpoint may have this name: lower-case letters, digits and hyphens."""
    return _NAME.fullmatch(name) is not None


def parsed_secrets(entries: Iterable[SecretStr]) -> Secrets:
    """Read the entries.

    Raises:
        SecretEntryInvalid: One of them can't be read.

    """
    secrets: dict[str, tuple[WebhookSecret, ...]] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            endpoint, secret = _parsed(entry.get_secret_value())
        except ValueError as error:
            raise SecretEntryInvalid(f"entry {number} can't be read: {error}") from None
        secrets[endpoint] = (*secrets.get(endpoint, ()), secret)
    return secrets


def _parsed(text: str) -> tuple[str, WebhookSecret]:
    endpoint, rest = DEFAULT_ENDPOINT, text
    if text.startswith("@"):
        endpoint, _, rest = text[1:].partition(":")
    if not is_endpoint_name(endpoint):
        raise ValueError("an endpoint's name has only lower-case letters, digits and hyphens")
    limited = _UNTIL.fullmatch(rest.strip())
    if limited is None:
        return endpoint, WebhookSecret.of(rest.strip())
    return endpoint, WebhookSecret.of(limited[1], _time(limited[2]))


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("what follows `until` is no ISO 8601 time") from None
    if time.tzinfo is None:
        raise ValueError("the time after `until` has no zone: end it in Z or +00:00")
    return time.astimezone(UTC)
