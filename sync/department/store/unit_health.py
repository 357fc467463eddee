"""What units said of themselves: the newest signed report of each, and what in it needs a person."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import delete, insert, select

from storage import codec, envelope
from storage.errors import StorageError
from sync.department.store.tables import unit_health, units
from sync.health import ALARM_WORDS, HealthMessage

SILENT_DAYS = 3  # a unit that did not sync for this long is overdue


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """One unit: when it was enrolled and last synced, and its newest report, if there is one."""

    unit_id: str
    name: str
    enrolled_us: int
    seen_us: int | None
    received_us: int | None
    report: HealthMessage | None


def keep(connection: sa.Connection, unit_id: str, message: bytes, now_us: int) -> None:
    """Store a report that was checked, in the place of the one before."""
    connection.execute(delete(unit_health).where(unit_health.c.unit_id == unit_id))
    connection.execute(insert(unit_health).values(unit_id=unit_id, received_us=now_us, message=message))


def states(connection: sa.Connection) -> list[UnitState]:
    """Every unit that is not revoked, by name."""
    query = (
        select(
            units.c.unit_id, units.c.name, units.c.enrolled_us, units.c.seen_us,
            unit_health.c.received_us, unit_health.c.message,
        )
        .select_from(units.outerjoin(unit_health, units.c.unit_id == unit_health.c.unit_id))
        .where(units.c.revoked_us.is_(None))
        .order_by(units.c.name)
    )  # fmt: skip
    return [
        UnitState(
            unit_id=row[0], name=row[1], enrolled_us=row[2], seen_us=row[3], received_us=row[4],
            report=None if row[5] is None else _opened(bytes(row[5])),
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def _opened(message: bytes) -> HealthMessage | None:
    """The report in a stored message, whose signature was checked when it came; None for a foreign row."""
    try:
        return codec.from_bytes(
            HealthMessage, envelope.split(message, limit=HealthMessage.LIMIT)[1], limit=HealthMessage.LIMIT
        )
    except StorageError:
        return None


def alarms_in(connection: sa.Connection) -> list[str]:
    """A line for `department compliance` of each unit whose newest report names alarms."""
    return [
        f"unit {state.name} reports: {', '.join(ALARM_WORDS[one] for one in state.report.alarms)}"
        for state in states(connection)
        if state.report is not None and state.report.alarms
    ]
