"""Every call that we make: its name in logs and metrics, what it needs, and whether it changes anything.

A newcomer who adds a call adds one row here, and one method to `client.py`.
"""

from dataclasses import dataclass
from urllib.parse import quote

from countersign.keystone.errors import RequestRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the API. `path` has one `{}` for each id; `scope` is what its token must carry (1.2)."""

    name: str
    method: str
    path: str
    scope: str

    @property
    def is_safe(self) -> bool:
        """Say whether the call changes nothing (RFC 9110, 9.2.1). Only such a call is ever repeated here."""
        return self.method == "GET"

    def url(self, *ids: str) -> str:
        """Return the path with each id in its place. Ids are opaque, so they are encoded in full.

        Raises:
            RequestRefused: An id is empty or a step in a path, and would make this another call.

        """
        if not all(ids) or {".", ".."} & set(ids):
            raise RequestRefused(f"`{self.name}` was asked for an id that can't be one")
        return self.path.format(*(quote(identifier, safe="") for identifier in ids))


READ, WRITE, WEBHOOKS = "settlements:read", "settlements:write", "platform:webhooks:manage"

_SETTLEMENT = "/v1/settlements/{}"
_ENDPOINTS = "/v1/platforms/me/webhooks"
_ENDPOINT = f"{_ENDPOINTS}/{{}}"

SETTLEMENT = Call(name="settlement", method="GET", path=_SETTLEMENT, scope=READ)
SETTLEMENTS = Call(name="settlements", method="GET", path="/v1/settlements", scope=READ)
HISTORY = Call(name="history", method="GET", path=f"{_SETTLEMENT}/events", scope=READ)
DECIDE = Call(name="decide", method="POST", path=f"{_SETTLEMENT}/compliance-decision", scope=WRITE)

WEBHOOK_CREATE = Call(name="webhook_create", method="POST", path=_ENDPOINTS, scope=WEBHOOKS)
WEBHOOK_LIST = Call(name="webhook_list", method="GET", path=_ENDPOINTS, scope=WEBHOOKS)
WEBHOOK_GET = Call(name="webhook_get", method="GET", path=_ENDPOINT, scope=WEBHOOKS)
WEBHOOK_UPDATE = Call(name="webhook_update", method="PATCH", path=_ENDPOINT, scope=WEBHOOKS)
WEBHOOK_DELETE = Call(name="webhook_delete", method="DELETE", path=_ENDPOINT, scope=WEBHOOKS)
WEBHOOK_TEST = Call(name="webhook_test", method="POST", path=f"{_ENDPOINT}/test", scope=WEBHOOKS)
WEBHOOK_ROTATE = Call(name="webhook_rotate", method="POST", path=f"{_ENDPOINT}/rotate-secret", scope=WEBHOOKS)
WEBHOOK_DELIVERIES = Call(
    name="webhook_deliveries", method="GET", path=f"{_ENDPOINT}/deliveries", scope=WEBHOOKS
)

WORKER_CALLS = (SETTLEMENT, SETTLEMENTS, HISTORY, DECIDE)
"""What a worker does, and so what its client must have scopes for."""

WEBHOOK_CALLS = (
    WEBHOOK_CREATE,
    WEBHOOK_LIST,
    WEBHOOK_GET,
    WEBHOOK_UPDATE,
    WEBHOOK_DELETE,
    WEBHOOK_TEST,
    WEBHOOK_ROTATE,
    WEBHOOK_DELIVERIES,
)
"""What registering and rotating webhooks needs, and the sweep's look at failed deliveries."""

SCOPES = {
    READ: "read settlements and their history",
    WRITE: "submit compliance decisions (and, in the same scope, create settlements)",
    WEBHOOKS: "register, rotate, test and watch webhook endpoints",
    "templates:read": "read settlement templates",
    "templates:write": "create and change settlement templates",
    "platform:read": "read platform data",
}
"""Each documented scope and what it is for (keystone-api.md 1.2)."""

WHERE_TO_GRANT = "grant it to this machine client in the KeyStone dashboard, in the environment's settings"
