"""Checks that the store is made as this program makes it, and that each row holds what its columns hold.

Comes before every other check, and keeps from them what does not fit: for the rest of the transaction a
temporary view under the table's name leaves such rows out, and an empty table takes the place of one that
cannot be read. So one such row, which would end the checks where it is read, hides nothing beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from sync.department.store import own_schema, typed_rows
from sync.department.store.tables import metadata


def check(connection: sa.Connection, wrong: Callable[[str], object]) -> None:
    """`wrong`: called with each problem. What this leaves out comes back with the end of the transaction."""
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
