"""The units in the store, and the codes by which they joined."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sync.department.store.tables import codes, logs, units


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedUnit:
    """One unit. `codes`: digests of the one-time codes that it used."""

    unit_id: str
    name: str
    revoked: bool
    codes: tuple[bytes, ...]


def joined(connection: sa.Connection) -> list[JoinedUnit]:
    """Every unit by name, including revoked ones."""
    return _joined(connection, units.c.unit_id.is_not(None), codes.c.unit_id.is_not(None))


def one_joined(connection: sa.Connection, unit_id: str) -> JoinedUnit | None:
    """One unit by its id; None if it is not in the store."""
    found = _joined(connection, units.c.unit_id == unit_id, codes.c.unit_id == unit_id)
    return found[0] if found else None


def _joined(
    connection: sa.Connection, which: sa.ColumnElement[bool], used_by: sa.ColumnElement[bool]
) -> list[JoinedUnit]:
    used: dict[str, list[bytes]] = {}
    for unit_id, digest in connection.execute(sa.select(codes.c.unit_id, codes.c.digest).where(used_by)):
        used.setdefault(str(unit_id), []).append(bytes(digest))
    rows = connection.execute(
        sa.select(units.c.unit_id, units.c.name, units.c.revoked_us).where(which).order_by(units.c.name)
    )
    return [
        JoinedUnit(
            unit_id=row.unit_id,
            name=row.name,
            revoked=row.revoked_us is not None,
            codes=tuple(used.get(row.unit_id, ())),
        )
        for row in rows
    ]


def unit_logs(connection: sa.Connection) -> list[tuple[str, str, str]]:
    """(log id in hex, unit id, unit name) of every log."""
    found = connection.execute(
        sa.select(logs.c.log_id, units.c.unit_id, units.c.name)
        .join(units, units.c.unit_id == logs.c.unit_id)
        .order_by(logs.c.log_no)
    )
    return [(bytes(row[0]).hex(), str(row[1]), str(row[2])) for row in found]
