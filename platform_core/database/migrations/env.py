"""Alembic's entry: migrate over the connection that platform_core.database.migrate hands in."""

from alembic import context

from platform_core.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
