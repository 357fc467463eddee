"""Which records are of alerts: found without a look at every record there is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage import leaf as leaves
from storage.read_records import Alert, AlertStepped
from sync.department.store import tables

revision = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and name in it what is held."""
    connection = op.get_bind()
    tables.alert_records.create(connection)
    e, leaf = tables.elements.c, tables.leaves.c
    held = (
        sa.select(e.log_no, e.sequence, e.day, leaf.leaf)
        .join(tables.leaves, sa.and_(leaf.log_no == e.log_no, leaf.sequence == e.sequence))
        .where(e.name == leaves.ENTRY)
        .order_by(e.day, e.log_no, e.sequence)
    )
    kinds = {Alert.KIND, AlertStepped.KIND}
    found = [
        {"log_no": log_no, "sequence": sequence, "day": day}
        for log_no, sequence, day, data in connection.execute(held)
        if leaves.unchecked(bytes(data)).kind in kinds
    ]
    if found:
        connection.execute(sa.insert(tables.alert_records), found)
