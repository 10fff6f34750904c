"""Webhook endpoints: their addresses, patterns and secrets (keystone-api.md 2.1, 2.2, 2.5)."""

import ipaddress
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from countersign.sandbox.clock import Clock
from countersign.sandbox.dice import Dice, hex_of, new_id
from countersign.sandbox.options import Options
from countersign.sandbox.refusal import Refused, invalid
from countersign.sandbox.tenants import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One line of an endpoint's delivery log, as the API shows it: no payload, no settlement, no attempt."""

    id: str
    endpoint_id: str
    event: str
    response_status: int | None
    duration_ms: int
    success: bool
    error: str | None
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """Where an environment wants webhooks. During a rotation two secrets are live."""

    id: str
    environment: Environment
    url: str
    description: str | None
    events: tuple[str, ...]
    secret: str
    created_at: datetime
    updated_at: datetime
    is_active: bool = True
    previous_secret: str | None = None
    previous_valid_until: datetime | None = None
    log: list[DeliveryRow] = field(default_factory=list)

    def wants(self, event: str) -> bool:
        """Say whether one of the patterns fits: `*`, a prefix ending in `.*`, or the exact name."""
        return any(
            pattern in {"*", event} or (pattern.endswith(".*") and event.startswith(pattern[:-1]))
            for pattern in self.events
        )

    def signing_secrets(self, choice: str, now: datetime, stream: random.Random) -> list[str]:
        """Return what signs a delivery now: one secret, or both while two are live and the switch says so."""
        old = self.previous_secret
        if old is None or self.previous_valid_until is None or now >= self.previous_valid_until:
            return [self.secret]
        match choice:
            case "old":
                return [old]
            case "either":
                return [stream.choice((self.secret, old))]
            case "both":
                return [self.secret, old]
            case _:
                return [self.secret]


class Endpoints:
    """All endpoints of all environments."""

    def __init__(self, options: Options, dice: Dice, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._stream = dice.stream("endpoints")
        self._all: dict[str, Endpoint] = {}

    def create(
        self,
        environment: Environment,
        *,
        url: str,
        description: str | None,
        events: tuple[str, ...],
        secret: str | None,
    ) -> Endpoint:
        """Register an endpoint; a secret is made up where none is given.

        Raises:
            Refused: 422 for an address that is not allowed.

        """
        self.check_url(url)
        now = self._clock.now()
        endpoint = Endpoint(
            id=new_id(self._stream),
            environment=environment,
            url=url,
            description=description,
            events=events,
            secret=secret or self._new_secret(),
            created_at=now,
            updated_at=now,
        )
        self._all[endpoint.id] = endpoint
        return endpoint

    def check_url(self, url: str) -> None:
        """Refuse an address with 422 unless it is HTTPS, or HTTP where this sandbox allows that."""
        try:
            parts = urlsplit(url)
            is_address = bool(parts.hostname) and parts.scheme in {"http", "https"} and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise invalid(("body", "url"), "Input should be a valid URL", "url_parsing")
        allowed = self._options.allow_http_webhooks
        if allowed is None:
            allowed = _is_loopback(parts.hostname or "")
        if parts.scheme == "http" and not allowed:
            raise invalid(("body", "url"), "URL must use HTTPS")

    def get(self, endpoint_id: str, environment: Environment) -> Endpoint:
        """Return one endpoint of an environment.

        Raises:
            Refused: 404 where there is none.

        """
        endpoint = self._all.get(endpoint_id)
        if endpoint is None or endpoint.environment is not environment:
            raise Refused(404, "Webhook endpoint not found")
        return endpoint

    def of(self, environment: Environment) -> list[Endpoint]:
        """Return an environment's endpoints, oldest first."""
        return [each for each in self._all.values() if each.environment is environment]

    def delete(self, endpoint: Endpoint) -> None:
        """Forget an endpoint; what is on its way to it is not tried again."""
        del self._all[endpoint.id]
        endpoint.is_active = False

    def rotate(self, endpoint: Endpoint) -> datetime:
        """Give an endpoint a new secret and return when the old one ends.

        A second rotation inside the overlap leaves the newest two live; what the platform does is unknown.
        """
        now = self._clock.now()
        endpoint.previous_secret, endpoint.secret = endpoint.secret, self._new_secret()
        endpoint.previous_valid_until = now + timedelta(seconds=self._options.rotation_overlap_seconds)
        endpoint.updated_at = now
        return endpoint.previous_valid_until

    def _new_secret(self) -> str:
        return f"whsec_{hex_of(self._stream, 48)}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
