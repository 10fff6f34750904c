"""Platforms, their environments and the machine clients bound to them (keystone-api.md 1.1, 4.7)."""

from dataclasses import dataclass
from datetime import datetime

from countersign.sandbox.clock import Clock
from countersign.sandbox.dice import Dice, new_id
from countersign.sandbox.options import API_VERSION, Options
from countersign.sandbox.refusal import Refused

ALL_SCOPES = frozenset(
    {
        "settlements:read",
        "settlements:write",
        "templates:read",
        "platform:read",
        "platform:webhooks:manage",
    }
)
"""The machine scopes of the newer docs (keystone-api.md 1.2)."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A company that uses KeyStone."""

    id: str
    name: str


@dataclass(slots=True, kw_only=True)
class Environment:
    """One environment of a platform: settlements, endpoints and the rate limit belong to it."""

    id: str
    platform: Platform
    name: str
    slug: str
    auth0_client_id: str
    created_at: datetime
    updated_at: datetime
    webhook_url: str | None = None
    webhook_secret: str | None = None
    api_version: str = API_VERSION
    default_timeout_seconds: int = 3600
    is_active: bool = True
    rate_limit_rpm: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A machine client. It belongs to exactly one environment."""

    client_id: str
    client_secret: str
    environment: Environment
    scopes: frozenset[str]


class Tenants:
    """All of them. Two are there from the start, so that one can be refused the other's settlements."""

    def __init__(self, options: Options, dice: Dice, clock: Clock) -> None:
        self._stream = dice.stream("tenants")
        self._clock = clock
        self.environments: dict[str, Environment] = {}
        self.clients: dict[str, Client] = {}
        ours = Platform(new_id(self._stream), "Sandbox Bank")
        theirs = Platform(new_id(self._stream), "Counterparty Bank")
        self.ours = self.new_environment(ours, "Development", "development", options.client_id)
        self.theirs = self.new_environment(theirs, "Counterparty", "counterparty", "counterparty-client")
        self.add_client(options.client_id, options.client_secret, self.ours, ALL_SCOPES)
        self.add_client("counterparty-client", "counterparty-secret", self.theirs, ALL_SCOPES)

    def new_environment(self, platform: Platform, name: str, slug: str, client_id: str) -> Environment:
        """Make an environment. Its slug is unique; the API checks that before."""
        now = self._clock.now()
        environment = Environment(
            id=new_id(self._stream),
            platform=platform,
            name=name,
            slug=slug,
            auth0_client_id=client_id,
            created_at=now,
            updated_at=now,
        )
        self.environments[environment.id] = environment
        return environment

    def add_client(
        self, client_id: str, client_secret: str, environment: Environment, scopes: frozenset[str]
    ) -> None:
        """Make a client, or replace the one of this id."""
        self.clients[client_id] = Client(
            client_id=client_id, client_secret=client_secret, environment=environment, scopes=scopes
        )

    def by_slug(self, slug: str) -> Environment:
        """Return the environment of this slug.

        Raises:
            Refused: 404 where there is none.

        """
        for environment in self.environments.values():
            if environment.slug == slug:
                return environment
        raise Refused(404, "Environment not found")

    def of_platform(self, platform: Platform) -> list[Environment]:
        """Return the environments of one platform, oldest first."""
        return [each for each in self.environments.values() if each.platform == platform]
