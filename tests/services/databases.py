"""The ledger's two kinds of database. A test of the ledger takes `database_url` and so runs on both."""

from pathlib import Path

import pytest


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give the test a SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test on an empty SQLite database, and again on an empty PostgreSQL one."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
