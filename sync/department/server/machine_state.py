"""What the store knows of units and days of receipt. It shows no plate, place or time of a read."""

from __future__ import annotations

import sqlalchemy as sa

from sync.department.desk.context import KeptDay, OfferedDocument, UnitRow
from sync.department.store import dated_rows, tables, typed_rows, unit_health
from sync.department.store.database import Store
from sync.department.store.dated_rows import CountedRows
from sync.department.store.joined_units import JoinedUnit, joined, unit_logs
from sync.department.store.unit_health import UnitState, off_text
from sync.errors import StoreError


class StoredState:
    """The store's tables of units and days."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def units(self, now_us: int) -> list[UnitRow]:
        """Every unit that is not revoked, by name."""
        with self._store.listing() as connection:
            found = unit_health.states(connection)
        return [_row(one, now_us) for one in found]

    def joined(self) -> list[JoinedUnit]:
        """Every unit, including revoked ones, with the codes by which it joined."""
        with self._store.listing() as connection:
            return joined(connection)

    def unit_logs(self) -> list[tuple[str, str, str]]:
        """(id of the log in hex, id of its unit, the unit's name) of every log."""
        with self._store.listing() as connection:
            return unit_logs(connection)

    def days(self) -> list[KeptDay]:
        """Every day of receipt, the oldest first."""
        query = sa.select(tables.days.c.day, tables.days.c.purged_us).order_by(tables.days.c.day)
        with self._store.listing() as connection:
            rows = connection.execute(query).fetchall()
        return [KeptDay(day=day, purged_us=-1 if purged_us is None else purged_us) for day, purged_us in rows]

    def rows_to(self, first: int, last: int) -> tuple[CountedRows, ...]:
        """The dated rows of these days (since 1970, UTC), by table; `first` -1 or less: all up to `last`.
        Raises StoreError if a row of the store is malformed, since all rows must be counted."""
        start = dated_rows.EARLIEST if first < 0 else first
        odd = self._store.odd_rows()
        if odd:
            raise StoreError(f"the rows of the day are not counted: {odd[0]}", cure=typed_rows.CURE)
        with self._store.read() as connection:
            return dated_rows.summed(dated_rows.by_day(connection, start), start, last)

    def log_sizes(self) -> dict[int, int]:
        """How many records of each unit's log are co-signed, by the log's number in the store."""
        with self._store.listing() as connection:
            return dated_rows.sizes(connection)

    def offered(self) -> list[OfferedDocument]:
        """Configurations and updates that units are offered, by name."""
        table, names = tables.documents.c, tables.units.c
        query = (
            sa.select(
                *(table.name, table.version, table.unit_id, names.name),
                *(sa.func.length(table.message), table.at_us),
            )
            .select_from(tables.documents.outerjoin(tables.units, names.unit_id == table.unit_id))
            .where(sa.or_(table.name == "configuration", table.name.startswith("update/")))
            .order_by(table.name, table.unit_id)
        )
        with self._store.listing() as connection:
            rows = connection.execute(query).fetchall()
        return [
            OfferedDocument(
                name=name, version=version, unit=unit, unit_name=called or "", size=size, offered_us=at_us
            )
            for name, version, unit, called, size, at_us in rows
        ]


def _row(state: UnitState, now_us: int) -> UnitRow:
    report = state.report
    return UnitRow(
        unit=state.unit_id,
        name=state.name,
        enrolled_us=state.enrolled_us,
        seen_us=state.seen_us or -1,
        report_us=report.at_us if report else -1,
        silent=state.is_silent(now_us),
        alarms=state.alarms,
        software=report.software if report else "",
        reads_this_hour=report.reads_this_hour if report else -1,
        unacknowledged=report.unacknowledged if report else -1,
        clock=report.clock_state if report else "",
        clock_off=off_text(state.clock_off_us) if state.clock_off_us else "",
        disk_free_mb=report.disk_free_bytes >> 20 if report else -1,
        certificate_ends_us=-1 if state.certificate_ends_us is None else state.certificate_ends_us,
        reset_us=-1 if state.reset_us is None else state.reset_us,
    )
