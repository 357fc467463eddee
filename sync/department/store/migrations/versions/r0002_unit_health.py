"""The newest report of each unit on itself."""

from __future__ import annotations

from alembic import op

from sync.department.store import tables

revision = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    tables.unit_health.create(op.get_bind())
