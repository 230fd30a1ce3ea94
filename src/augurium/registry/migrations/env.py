"""Runs migrations on the connection, and inside the transaction, that `database.py` hands over."""

from alembic import context

from augurium.registry.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # a crash in the middle of a migration must leave the old schema
    transactional_ddl=True,
    # SQLite alters a table by copying it
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
