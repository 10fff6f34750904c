"""What a sandbox is started with. Switches (`switches.py`) change at run time; these do not."""

from dataclasses import dataclass, field

from countersign.sandbox.switches import Switches

AUDIENCE = "https://api.keystoneos.xyz"
"""The audience that the platform documents (keystone-api.md 1.1)."""

API_VERSION = "0.1.0"
"""The only version number that is known (keystone-api.md 4.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that is fixed when the sandbox starts. Names ending in `_seconds` are seconds."""

    url: str
    """Where clients reach the sandbox, without a slash at the end; the issuer's name is made of it."""
    seed: int = 0
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - made up and documented as insecure.
    audience: str = AUDIENCE
    token_seconds: float = 86_400
    rate_limit: int = 600
    """Calls per window and environment; 0 is no limit."""
    rate_window_seconds: float = 60
    screening_seconds: float = 0.05
    step_seconds: float = 0.02
    """Between two states where nothing is waited for."""
    flag_rate: float = 0.05
    fail_rate: float = 0.0
    allow_http_webhooks: bool | None = None
    """None: to loopback only. The real platform insists on HTTPS everywhere."""
    webhook_attempts: int = 8
    webhook_backoff_seconds: float = 0.2
    webhook_backoff_most_seconds: float = 30
    webhook_timeout_seconds: float = 5
    webhook_concurrency: int = 16
    """Simultaneous requests to one endpoint."""
    rotation_overlap_seconds: float = 86_400
    switches: Switches = field(default_factory=Switches)
