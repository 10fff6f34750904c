"""Opening the ledger from settings, and refusing one whose tables are of another version."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError

from workers.ledger.books import Books
from workers.ledger.engine import ledger_engine
from workers.ledger.migrate import LedgerOutdated, require_newest
from workers.ledger.personal import PersonalData
from workers.settings import LedgerSettings


class LedgerUnusable(Exception):
    """The ledger can't be opened now. The message says why, and what to do."""


def open_books(settings: LedgerSettings) -> Books:
    """Open the ledger.

    Raises:
        LedgerUnusable: Its database can't be reached, or `countersign migrate` was not run for this version.

    """
    engine = ledger_engine(settings.database_url.get_secret_value())
    try:
        with troubles_named():
            require_newest(engine)
    except LedgerUnusable:
        engine.dispose()
        raise
    return Books(
        engine=engine,
        personal=PersonalData(settings.opened_ledger_keys()),
        environment=settings.keystone_environment,
        lease=settings.lease,
    )


@contextmanager
def troubles_named() -> Iterator[None]:
    """Turn what the database or its tables raise into `LedgerUnusable`."""
    try:
        yield
    except LedgerOutdated as outdated:
        raise LedgerUnusable(str(outdated)) from None
    except OperationalError as trouble:
        # The driver's message names the address; SQLAlchemy's would add the statement and its values.
        raise LedgerUnusable(f"the ledger's database can't be used: {trouble.orig}") from None
