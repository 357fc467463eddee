"""The destruction receipts of units that were reset."""

from __future__ import annotations

from alembic import op

from sync.department.store import tables

revision = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, unless it is there."""
    tables.destructions.create(op.get_bind(), checkfirst=True)
