"""Alembic's environment: the connection comes from the store, never from a file."""

from __future__ import annotations

from alembic import context

from sync.department.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
