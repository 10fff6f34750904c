"""The sandbox as a fixture of this room's tests, and a client of it."""

from collections.abc import Iterator

import pytest

from countersign.keystone.client import KeystoneClient
from tests.keystone.asking import Told, client_of
from tests.services.sandbox import SandboxProcess


@pytest.fixture
def told() -> Told:
    """Record what the client's hooks are told."""
    return Told()


@pytest.fixture
def client(sandbox: SandboxProcess, told: Told) -> Iterator[KeystoneClient]:
    """Give the test a client of the sandbox."""
    with client_of(sandbox, told) as made:
        yield made
