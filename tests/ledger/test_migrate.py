"""The tables come from migrations alone, go up and down, and are checked before anyone works on them."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect
from sqlmodel import SQLModel

from workers.ledger import migrate, tables
from workers.ledger.engine import ledger_engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = ledger_engine(database_url)
    yield engine
    engine.dispose()


def test_migrations_make_exactly_the_tables_that_the_code_knows(engine: Engine) -> None:
    migrate.upgrade(engine)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    assert tables.CASES.name == "cases"


def test_every_row_says_of_which_environment_it_is(engine: Engine) -> None:
    migrate.upgrade(engine)

    found = inspect(engine)
    for table in set(found.get_table_names()) - {"alembic_version"}:
        nullable = {column["name"]: column["nullable"] for column in found.get_columns(table)}
        assert nullable.get("environment") is False, table


def test_they_go_up_and_down_and_up_again(engine: Engine) -> None:
    migrate.upgrade(engine)
    migrate.downgrade(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]

    migrate.upgrade(engine)

    assert migrate.current(engine) == migrate.newest()


def test_a_second_run_changes_nothing(engine: Engine) -> None:
    migrate.upgrade(engine)
    migrate.upgrade(engine)

    migrate.require_newest(engine)


def test_work_on_tables_of_another_version_is_refused(engine: Engine) -> None:
    with pytest.raises(migrate.LedgerOutdated, match="countersign migrate"):
        migrate.require_newest(engine)
