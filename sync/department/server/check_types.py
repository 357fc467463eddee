"""Checks that the store's tables are as this program makes them, and that each value fits its column.

It comes before all other checks and hides from them what does not fit: for the rest of the transaction, a
temporary view under the table's name leaves such rows out, and an empty table replaces one that cannot be
read. Otherwise a single such row would end the checks and so hide other problems.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from sync.department.store import own_schema, typed_rows
from sync.department.store.tables import metadata


def check(connection: sa.Connection, wrong: Callable[[str], object]) -> None:
    """Check every table. `wrong`: called with each problem. What is left out is back after the
    transaction."""
    found = own_schema.examined(connection)
    for what in found.wrong:
        wrong(f"{what} ({own_schema.CURE})" if what == found.wrong[-1] else what)
    for table in metadata.tables.values():
        if table.name in found.absent:
            own_schema.stand_in(connection, table)
            continue
        odd = list(typed_rows.odd_rows(connection, table))
        for what in odd:
            wrong(what)
        if odd:
            typed_rows.leave_out(connection, table)
