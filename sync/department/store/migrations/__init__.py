"""Alembic migrations of the department's store, run by `store.open_store` at every start."""
