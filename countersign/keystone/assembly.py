"""Puts a client together from plain parameters: what a composition root calls, and nothing else here does."""

from dataclasses import dataclass, field

import httpx
import structlog

from countersign.keystone.budget import Budget, BudgetStore
from countersign.keystone.budget_memory import MemoryBudgetStore
from countersign.keystone.client import KeystoneClient
from countersign.keystone.exchange import READ_SECONDS, Sender
from countersign.keystone.hooks import Hooks
from countersign.keystone.jwks import IssuerKeys
from countersign.keystone.token_cache import MemoryTokenCache, TokenCache
from countersign.keystone.token_check import TokenVerify
from countersign.keystone.token_endpoint import ClientCredentials, TokenEndpoint
from countersign.keystone.tokens import TokenSource
from countersign.keystone.transport import Transport

_log = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 3.0
"""Idle connections are closed by us first: one that the server closes under a decision leaves it unknown."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeystoneAccess:
    """Where KeyStone is and who we are. Three full addresses, because none follows from another (4.7, 6.18).

    `connections` is how many calls are made at once at most: the number of threads. `egress_address` is where
    our calls come from, if that is known; only error messages use it. `read_seconds` is how long an answer is
    waited for: after that a decision's outcome counts as unknown.
    """

    api_url: str
    token_url: str
    audience: str
    client_id: str
    client_secret: str = field(repr=False)
    version: str | None = None
    verify: TokenVerify = TokenVerify.WARN
    egress_address: str | None = None
    connections: int = 64
    read_seconds: float = READ_SECONDS

    @property
    def credentials(self) -> ClientCredentials:
        """The part that the token endpoint and the token's cache need."""
        return ClientCredentials(
            token_url=self.token_url,
            audience=self.audience,
            client_id=self.client_id,
            client_secret=self.client_secret,
        )


def keystone_client(
    access: KeystoneAccess,
    *,
    token_cache: TokenCache | None = None,
    budget_store: BudgetStore | None = None,
    hooks: Hooks | None = None,
    http_transport: httpx.BaseTransport | None = None,
) -> KeystoneClient:
    """Return a client. Without a cache and a store it shares its token and its budget with nobody.

    `http_transport` replaces the network, for faults that no real server can be made to show.

    Raises:
        ValueError: An address is not a full http or https URL.

    """
    hooks = hooks or Hooks()
    _check_address("KEYSTONE_API_URL", access.api_url)
    _check_address("KEYSTONE_TOKEN_URL", access.token_url)
    http = httpx.Client(
        base_url=access.api_url,
        follow_redirects=False,
        limits=httpx.Limits(
            max_connections=access.connections,
            max_keepalive_connections=access.connections,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
        ),
        transport=http_transport,
    )
    endpoint = TokenEndpoint(
        http,
        access.credentials,
        keys=IssuerKeys(http, access.token_url),
        verify=access.verify,
        hooks=hooks,
    )
    tokens = TokenSource(endpoint, token_cache or MemoryTokenCache(), verify=access.verify, hooks=hooks)
    transport = Transport(
        Sender(http=http, version=access.version, read_seconds=access.read_seconds, hooks=hooks),
        tokens=tokens,
        budget=Budget(budget_store or MemoryBudgetStore(), hooks=hooks),
        egress_address=access.egress_address,
    )
    return KeystoneClient(transport, tokens=tokens, http=http)


def _check_address(name: str, address: str) -> None:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        raise ValueError(f"{name} is no address") from None
    if url.scheme not in {"http", "https"} or not url.host:
        # A bare domain would be taken for a path, and the secret posted to the wrong host (6.18).
        raise ValueError(f"{name} must be a full address that begins with https://")
    if url.scheme == "http" and url.host not in _LOOPBACK:
        _log.warning("keystone_address_is_not_https", setting=name)
