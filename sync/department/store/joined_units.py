"""Which units the store holds, and by which codes they joined."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sync.department.store.tables import codes, units

WAS = " (was "  # a revoked unit made room for another one of its name


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedUnit:
    """One unit. `codes`: digests of the one-time codes that it used."""

    unit_id: str
    name: str
    revoked: bool
    codes: tuple[bytes, ...]


def joined(connection: sa.Connection) -> list[JoinedUnit]:
    """Every unit, revoked ones too, by name."""
    used: dict[str, list[bytes]] = {}
    for unit_id, digest in connection.execute(
        sa.select(codes.c.unit_id, codes.c.digest).where(codes.c.unit_id.is_not(None))
    ):
        used.setdefault(str(unit_id), []).append(bytes(digest))
    rows = connection.execute(
        sa.select(units.c.unit_id, units.c.name, units.c.revoked_us).order_by(units.c.name)
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
