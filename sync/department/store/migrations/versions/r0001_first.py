"""The first tables: units, logs, leaves, elements and tokens by day of receipt, receipts, incidents.

They are spelled out by `tables.metadata` of that time; a later change is its own revision.
"""

from __future__ import annotations

from alembic import op

from sync.department.store import tables

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

FIRST = (
    tables.units,
    tables.codes,
    tables.certificates,
    tables.logs,
    tables.leaves,
    tables.epoch_keys,
    tables.elements,
    tables.tokens,
    tables.days,
    tables.bad_records,
    tables.receipts,
    tables.incidents,
    tables.alerts,
    tables.documents,
)


def upgrade() -> None:
    """Create the tables."""
    for table in FIRST:
        table.create(op.get_bind())
