"""Alembic's entry: runs the migrations on the connection that `workers.ledger.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

from workers.ledger import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite can't alter a table in place.
    transaction_per_migration=False,
)

with context.begin_transaction():
    context.run_migrations()

__all__ = ["tables"]  # Importing them is what fills the metadata.
