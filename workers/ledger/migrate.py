"""Migrations: bring the tables to the newest revision, or say which one they are at."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

FOLDER = Path(__file__).parent / "migrations"
NEWEST = "head"


class LedgerOutdated(Exception):
    """The tables are not at this version's revision. The message says what to run."""


def upgrade(engine: Engine, revision: str = NEWEST) -> None:
    """Bring the tables up to a revision, in one transaction where the database allows it."""
    with engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the tables back to a revision (`base`: none at all). Rows that don't fit are lost."""
    with engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def current(engine: Engine) -> str | None:
    """Return the revision that the tables are at, or None where there are none."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """Return the revision that this version of the program needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def require_newest(engine: Engine) -> None:
    """Refuse to work on tables of another version.

    Raises:
        LedgerOutdated: They are older, newer, or not there.

    """
    have, want = current(engine), newest()
    if have != want:
        raise LedgerOutdated(
            f"the ledger's tables are at revision {have or 'none'}, this version needs {want}: "
            "run `countersign migrate` once, with the same DATABASE_URL, before starting any process"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config
