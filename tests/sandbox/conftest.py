from collections.abc import Iterator

import httpx
import pytest

from tests.sandbox.catcher import Catcher
from tests.services.sandbox import SandboxProcess


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    server = Catcher()
    yield server
    server.close()


@pytest.fixture
def api(sandbox: SandboxProcess) -> Iterator[httpx.Client]:
    """The platform's API, called by the first client."""
    with sandbox.api() as client:
        yield client


@pytest.fixture
def endpoint(api: httpx.Client, catcher: Catcher) -> dict[str, str]:
    """A registered endpoint that takes every event, with its secret."""
    answer = api.post("/v1/platforms/me/webhooks", json={"url": catcher.url})
    assert answer.status_code == 201
    return dict(answer.json())
