"""Records of a closed log that came after it was closed are held beside what was received of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, unless the first revision made the table with it."""
    columns = {one["name"] for one in sa.inspect(op.get_bind()).get_columns("logs")}
    if "closed_of" not in columns:
        op.add_column("logs", sa.Column("closed_of", sa.LargeBinary(32)))
        op.create_index("ix_logs_closed_of", "logs", ["closed_of"])
