"""Which missing elements the store's own rows excuse: those given up as incidents, or still to come."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import select

from storage.leaf import unchecked
from sync import messages
from sync.department.store import unit_logs
from sync.department.store.tables import bad_records


def excuses(
    connection: sa.Connection, log_no: int, numbers: range
) -> tuple[set[tuple[int, str]], set[tuple[int, str]], dict[int, int]]:
    """(elements given up as incidents, elements of records that are still to come, how many of each
    record)."""
    query = select(bad_records.c.sequence, bad_records.c.name).where(
        bad_records.c.log_no == log_no,
        bad_records.c.sequence >= numbers.start,
        bad_records.c.sequence < numbers.stop,
        bad_records.c.given_up_us.is_not(None),
    )
    given_up = {(row[0], row[1]) for row in connection.execute(query)}
    coming, lacking = set[tuple[int, str]](), dict[int, int]()
    for sequence, (data, missing) in unit_logs.missing_of(connection, log_no, numbers).items():
        if missing:
            lacking[sequence] = missing
            coming |= {(sequence, name) for name in messages.traveling(unchecked(data))}
    return given_up, coming, lacking
