"""Incidents at the department: a fork, a rollback, a wrong device, a record that never arrived intact.

A repeated incident is counted while it is open, not entered again. Two different people close it.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import insert, select, update

from sync.department.store.tables import incidents, units


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIncident:
    """One incident and its state."""

    number: int
    at_us: int
    unit_id: str | None
    unit_name: str
    kind: str
    detail: str
    times: int
    closed_us: int | None
    closed_by: str | None
    second_by: str | None


def record(
    connection: sa.Connection,
    *,
    kind: str,
    detail: str,
    unit_id: str | None,
    log_id: bytes | None,
    now_us: int,
) -> int:
    """Record an incident, or count it if it is already open; returns its number."""
    same = connection.execute(
        select(incidents.c.incident_no).where(
            incidents.c.kind == kind,
            incidents.c.log_id == log_id,
            incidents.c.detail == detail,
            incidents.c.closed_us.is_(None),
        )
    ).scalar()
    if same is not None:
        connection.execute(
            update(incidents).where(incidents.c.incident_no == same).values(times=incidents.c.times + 1)
        )
        return int(same)
    made = connection.execute(
        insert(incidents).values(at_us=now_us, unit_id=unit_id, log_id=log_id, kind=kind, detail=detail)
    )
    key = made.inserted_primary_key
    return int(key[0]) if key is not None else 0


def listed(connection: sa.Connection) -> list[StoredIncident]:
    """All incidents, oldest first."""
    named = incidents.outerjoin(units, units.c.unit_id == incidents.c.unit_id)
    query = select(incidents, units.c.name).select_from(named).order_by(incidents.c.incident_no)
    return [
        StoredIncident(
            number=row.incident_no,
            at_us=row.at_us,
            unit_id=row.unit_id,
            unit_name=row.name or "",
            kind=row.kind,
            detail=row.detail,
            times=row.times,
            closed_us=row.closed_us,
            closed_by=row.closed_by,
            second_by=row.second_by,
        )
        for row in connection.execute(query)
    ]


def settle(connection: sa.Connection, number: int, first: str, second: str, now_us: int) -> None:
    """Mark an incident as closed by these two people, as in the access log."""
    connection.execute(
        update(incidents)
        .where(incidents.c.incident_no == number, incidents.c.closed_us.is_(None))
        .values(closed_by=first, second_by=second, closed_us=now_us)
    )
