"""Registering a receiver with KeyStone, so that doing it twice, or crashing in between, loses nothing.

The secret is made here and stored where the receivers read it, and KeyStone hears of it once they all have:
so they can verify the first delivery. It is stored under a name made from the URL, so that a second attempt
takes the same one.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import OutcomeUnknown
from countersign.keystone.signature import WebhookSecret
from countersign.keystone.webhooks import WebhookEndpoint
from countersign.operations.stored_secrets import StoredSecrets
from receiver.keyring import ALL_HAVE_READ_SECONDS
from receiver.secret_lines import DEFAULT_ENDPOINT, is_endpoint_name

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ROUTE = "/webhooks/keystone"


class RegistrationRefused(Exception):
    """It can't be registered like this. The message says why and what to do."""


class Wanted(NamedTuple):
    """What is to be registered: a URL, which of the receiver's endpoints it is, and for which events."""

    url: str
    endpoint: str
    events: tuple[str, ...]


class Outcome(StrEnum):
    """What registering came to."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Registered(NamedTuple):
    """What KeyStone has now, and whether that is new."""

    outcome: Outcome
    at_keystone: WebhookEndpoint


def wanted(url: str, endpoint: str | None, events: tuple[str, ...], api_url: str) -> Wanted:
    """Check what is asked for. The endpoint's name follows from a path that ends as the receiver's does.

    Raises:
        RegistrationRefused: The URL can't be used, or the name does not fit it.

    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.fragment:
        raise RegistrationRefused("the URL must be a whole one, as https://example.com/webhooks/keystone")
    if parts.scheme != "https" and urlsplit(api_url).hostname not in _LOOPBACK:
        raise RegistrationRefused(
            "the URL must begin with https://, or KeyStone refuses it (plain http is for a sandbox on this "
            "machine)"
        )
    named = _named(parts.path)
    name = endpoint or named or DEFAULT_ENDPOINT
    if not is_endpoint_name(name):
        raise RegistrationRefused("an endpoint's name has only lower-case letters, digits and hyphens")
    if named is not None and name != named:
        raise RegistrationRefused(
            f"the receiver takes what comes to {parts.path} for its endpoint {named!r}, so {name!r} would "
            f"have the wrong secret: leave out --endpoint, or end the URL in {_ROUTE}/{name}"
        )
    return Wanted(url, name, events)


def register(
    client: KeystoneClient,
    stored: StoredSecrets,
    asked: Wanted,
    *,
    elsewhere: Collection[str] = (),
    wait: Callable[[float], None] = time.sleep,
) -> Registered:
    """Register, or see that it is registered.

    `elsewhere` names endpoints whose secret is in the settings; `wait` lets so many seconds pass, in which
    the receivers read the new secret.

    Raises:
        RegistrationRefused: Nobody here has the secret of the endpoint that is there, there is more than one,
            or KeyStone has made something else of what was asked.
        countersign.keystone.errors.KeystoneError: KeyStone did not do it.
        redis.RedisError: The secret could not be stored; KeyStone was not asked.

    """
    present = _present(client, asked.url)
    identity = _identity(asked.url)
    if present is not None:
        if asked.endpoint not in elsewhere and not stored.has(asked.endpoint, identity):
            raise RegistrationRefused(
                f"KeyStone has an endpoint with this URL already ({present.id}), and its secret is not here: "
                "it was shown once, to whoever made it. Put it into COUNTERSIGN_WEBHOOK_SECRETS, or delete "
                "the endpoint at KeyStone and register again"
            )
        return _brought_up_to_date(client, present, asked)
    secret = stored.keep(asked.endpoint, identity, WebhookSecret.of(f"whsec_{secrets.token_urlsafe(32)}"))
    wait(ALL_HAVE_READ_SECONDS)
    created = _created(client, asked, secret.value.decode())
    if created.secret is not None and created.secret != secret.value.decode():
        # KeyStone made one of its own, and shows it only here.
        stored.add(asked.endpoint, WebhookSecret.of(created.secret))
    return Registered(Outcome.CREATED, _read_back(client, created.id, asked))


def _named(path: str) -> str | None:
    """Return the endpoint that the receiver takes this path for; none if a proxy must be rewriting it."""
    path = path.rstrip("/")
    if path.endswith(_ROUTE):
        return DEFAULT_ENDPOINT
    above, _, name = path.rpartition("/")
    return name if above.endswith(_ROUTE) else None


def _identity(url: str) -> str:
    return f"url-{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _present(client: KeystoneClient, url: str) -> WebhookEndpoint | None:
    found = [each for each in client.webhook_endpoints() if each.url.rstrip("/") == url.rstrip("/")]
    if len(found) > 1:
        raise RegistrationRefused(
            f"KeyStone has {len(found)} endpoints with this URL ({', '.join(each.id for each in found)}), "
            "each with a secret of its own: delete all but one"
        )
    return found[0] if found else None


def _created(client: KeystoneClient, asked: Wanted, secret: str) -> WebhookEndpoint:
    try:
        return client.create_webhook_endpoint(
            url=asked.url,
            events=asked.events,
            secret=secret,
            description=f"Countersign receiver, endpoint {asked.endpoint}",
        )
    except OutcomeUnknown:
        present = _present(client, asked.url)
        if present is None:
            raise
        return present


def _brought_up_to_date(client: KeystoneClient, present: WebhookEndpoint, asked: Wanted) -> Registered:
    if set(present.events) == set(asked.events) and present.is_active is not False:
        return Registered(Outcome.UNCHANGED, present)
    client.update_webhook_endpoint(present.id, events=asked.events, is_active=True)
    return Registered(Outcome.UPDATED, _read_back(client, present.id, asked))


def _read_back(client: KeystoneClient, endpoint_id: str, asked: Wanted) -> WebhookEndpoint:
    """Read what KeyStone has now: its pages disagree on the field for `events` (keystone-api.md 6.1)."""
    now = client.webhook_endpoint(endpoint_id)
    if set(now.events) != set(asked.events):
        raise RegistrationRefused(
            f"the endpoint {now.id} is there, but KeyStone has it send {', '.join(now.events) or 'nothing'} "
            f"instead of {', '.join(asked.events)}: the receiver works with that, or delete it at KeyStone"
        )
    return now
