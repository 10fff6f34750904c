"""An empty ledger that is made once and copied for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.one_case import OneCase, copy_ledger, make_template


@pytest.fixture(scope="session")
def ledger_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("ledger-template"))


@pytest.fixture
def one(ledger_template: Path, tmp_path: Path) -> Iterator[OneCase]:
    """Give the test one case to work on."""
    one = OneCase(copy_ledger(ledger_template, tmp_path))
    yield one
    one.close()
