"""Claims on fleet-wide work: one process at a time does it, and a dead one is followed by another."""

from datetime import timedelta

from sqlalchemy import or_, update

from workers.ledger.books import Books
from workers.ledger.inserting import insert_if_new
from workers.ledger.tables import SWEEP_CLAIMS


def claim(books: Books, name: str, *, holder: str, lease: timedelta) -> bool:
    """Claim the work of this name, or keep it. False means that another process has it."""
    now = books.now()
    mine_or_free = or_(SWEEP_CLAIMS.c.holder == holder, SWEEP_CLAIMS.c.lease_until <= now)
    with books.writing() as connection:
        renewed = connection.execute(
            update(SWEEP_CLAIMS)
            .where(SWEEP_CLAIMS.c.environment == books.environment, SWEEP_CLAIMS.c.name == name, mine_or_free)
            .values(holder=holder, lease_until=now + lease)
        )
        if renewed.rowcount == 1:
            return True
        values = {"environment": books.environment, "name": name, "holder": holder}
        return insert_if_new(connection, SWEEP_CLAIMS, {**values, "lease_until": now + lease})
