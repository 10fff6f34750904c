"""Webhook endpoints, their deliveries and secrets, as the platform tells them (keystone-api.md 2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from countersign.keystone.fields import Unusable, moment, text, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """Where KeyStone sends events. `secret` is there only in the answer that made the endpoint."""

    id: str
    url: str
    events: tuple[str, ...] = ()
    description: str | None = None
    is_active: bool | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret that replaces another, which stays valid until `previous_valid_until` (2.5)."""

    secret: str = field(repr=False)
    previous_valid_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDelivery:
    """What became of a `test.ping`."""

    __test__ = False  # Its name makes pytest take it for a test class.

    success: bool
    status_code: int | None
    duration_ms: int | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """One row of KeyStone's delivery log. It names no settlement."""

    id: str
    endpoint_id: str | None
    event: str | None
    success: bool
    response_status: int | None
    duration_ms: int | None
    error: str | None
    created_at: datetime | None


def parse_endpoint(body: Any) -> WebhookEndpoint:  # noqa: ANN401 - any JSON value.
    """Read an endpoint.

    Raises:
        Unusable: It has no `id` or no `url`.

    """
    whole_body = _object(body, "a webhook endpoint")
    events, active = whole_body.get("events"), whole_body.get("is_active")
    return WebhookEndpoint(
        id=_needed(whole_body, "id"),
        url=_needed(whole_body, "url"),
        events=tuple(e for e in events if isinstance(e, str)) if isinstance(events, list) else (),
        description=text(whole_body.get("description")),
        is_active=active if isinstance(active, bool) else None,
        created_at=moment(whole_body.get("created_at")),
        updated_at=moment(whole_body.get("updated_at")),
        secret=text(whole_body.get("secret")),
    )


def parse_new_secret(body: Any) -> NewSecret:  # noqa: ANN401 - any JSON value.
    """Read the answer to a rotation.

    Raises:
        Unusable: It has no `new_secret`.

    """
    rotated = _object(body, "a rotation")
    return NewSecret(
        secret=_needed(rotated, "new_secret"),
        previous_valid_until=moment(rotated.get("previous_secret_valid_until")),
    )


def parse_test_delivery(body: Any) -> TestDelivery:  # noqa: ANN401 - any JSON value.
    """Read the answer to `POST …/test`.

    Raises:
        Unusable: It is not an object.

    """
    tested = _object(body, "a test delivery")
    return TestDelivery(
        success=tested.get("success") is True,
        status_code=whole(tested.get("status_code")),
        duration_ms=whole(tested.get("duration_ms")),
        error=text(tested.get("error")),
    )


def parse_delivery(body: Any) -> WebhookDelivery:  # noqa: ANN401 - any JSON value.
    """Read one row of the delivery log.

    Raises:
        Unusable: It has no `id`.

    """
    row = _object(body, "a delivery")
    return WebhookDelivery(
        id=_needed(row, "id"),
        endpoint_id=text(row.get("endpoint_id")),
        event=text(row.get("event")),
        success=row.get("success") is True,
        response_status=whole(row.get("response_status")),
        duration_ms=whole(row.get("duration_ms")),
        error=text(row.get("error")),
        created_at=moment(row.get("created_at")),
    )


def _object(body: Any, what: str) -> Mapping[str, Any]:  # noqa: ANN401 - any JSON value.
    if not isinstance(body, dict):
        raise Unusable(f"{what} is not a JSON object")
    return body


def _needed(body: Mapping[str, Any], name: str) -> str:
    value = text(body.get(name))
    if value is None:
        raise Unusable(f"`{name}` is missing")
    return value
