"""Opening the ledger from settings, and refusing one whose tables are of another version."""

from workers.ledger.books import Books
from workers.ledger.engine import ledger_engine
from workers.ledger.migrate import require_newest
from workers.ledger.personal import PersonalData
from workers.settings import LedgerSettings


def open_books(settings: LedgerSettings) -> Books:
    """Open the ledger.

    Raises:
        LedgerOutdated: `countersign migrate` has not been run for this version.

    """
    engine = ledger_engine(settings.database_url.get_secret_value())
    require_newest(engine)
    return Books(
        engine=engine,
        personal=PersonalData(settings.opened_ledger_keys()),
        environment=settings.keystone_environment,
        lease=settings.lease,
    )
