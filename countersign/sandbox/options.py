"""What a sandbox is started with. Switches (`switches.py`) change at run time; these do not."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from countersign.sandbox.refusal import invalid
from countersign.sandbox.switches import Count, Seconds, Share, Switches

AUDIENCE = "https://api.keystoneos.xyz"
"""The audience that the platform documents (keystone-api.md 1.1)."""

API_VERSION = "0.1.0"
"""The only version number that is known (keystone-api.md 4.4)."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that is fixed when the sandbox starts. Names ending in `_seconds` are seconds."""

    url: str
    """Where clients reach the sandbox, without a slash at the end; the issuer's name is made of it."""
    seed: int = 0
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - made up and documented as insecure.
    audience: str = AUDIENCE
    token_seconds: Seconds = 86_400
    rate_limit: Count = 600
    """Calls per window and environment; 0 is no limit."""
    rate_window_seconds: Seconds = 60
    screening_seconds: Seconds = 0.05
    step_seconds: Seconds = 0.02
    """Between two states where nothing is waited for."""
    flag_rate: Share = 0.05
    fail_rate: Share = 0.0
    allow_http_webhooks: bool | None = None
    """None: to loopback only. The real platform insists on HTTPS everywhere."""
    webhook_attempts: Annotated[int, msgspec.Meta(ge=1)] = 8
    webhook_backoff_seconds: Seconds = 0.2
    webhook_backoff_most_seconds: Seconds = 30
    webhook_timeout_seconds: Seconds = 5
    webhook_concurrency: Annotated[int, msgspec.Meta(ge=1)] = 16
    """Simultaneous requests to one endpoint."""
    rotation_overlap_seconds: Seconds = 86_400
    switches: Switches = Switches()

    def changed(self, given: Mapping[str, object]) -> "Options":
        """Return these options with some replaced, as far as a running sandbox can replace them.

        Raises:
            Refused: 422 for an unknown name, a wrong value, or the address, which clients already know.

        """
        try:
            changed = msgspec.convert({**msgspec.structs.asdict(self), **given}, Options)
        except msgspec.ValidationError as error:
            raise invalid(("body",), str(error)) from None
        if changed.url != self.url:
            raise invalid(("body", "url"), "The address can't change while the sandbox runs")
        return changed
