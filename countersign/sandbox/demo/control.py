"""The sandbox's control API, as the demo uses it: make settlements, and ask what really happened."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from countersign.sandbox.demo.records import PlatformRecord, platform_record

_TIMEOUT_SECONDS = 10.0


class Control:
    """A client of `/_sandbox/`. Every call raises `httpx.HTTPError` if the sandbox doesn't answer well."""

    def __init__(self, url: str) -> None:
        # The proxies of the environment are not asked: the sandbox is on this machine.
        self._http = httpx.Client(base_url=f"{url}/_sandbox", timeout=_TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        """Return itself; the connection opens on use."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._http.close()

    def is_ready(self) -> bool:
        """Say whether the sandbox answers yet."""
        try:
            return self._http.get("/ready").is_success
        except httpx.TransportError:
            return False

    def create(self, wish: Mapping[str, Any]) -> str:
        """Make one settlement and return its id."""
        made = self._http.post("/settlements", json=dict(wish)).raise_for_status().json()
        return str(made["items"][0]["id"])

    def set_faults(self, faults: Mapping[str, Any]) -> None:
        """Set some of the sandbox's switches."""
        self._http.put("/faults", json=dict(faults)).raise_for_status()

    def is_idle(self) -> bool:
        """Say whether nothing is on its way any more: no screening, no webhook, no retry."""
        return bool(self._get("/idle")["idle"])

    def record(self) -> PlatformRecord:
        """Read what the sandbox knows of the run."""
        return platform_record(self._get("/settlements"), self._get("/decisions"), self._get("/deliveries"))

    def counts(self) -> dict[str, Any]:
        """Read how many token requests and API calls there were."""
        return dict(self._get("/counts"))

    def _get(self, path: str) -> Any:  # noqa: ANN401 - JSON.
        return self._http.get(path).raise_for_status().json()
