"""Health of units: the newest signed report of each, and what in it needs a person."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import delete, exists, func, insert, select

from storage import codec, envelope
from storage.errors import StorageError
from storage.times import DAY_US, HOUR_US, day_text, iso_text
from sync.department.ground.department_time import span_text
from sync.department.store.tables import certificates, destructions, logs, unit_health, units
from sync.department.store.unit_logs import OPEN
from sync.health import Alarm, HealthMessage

CLOCK_OFF_US = HOUR_US  # a report was made moments before it came: a larger difference is a wrong clock
SILENT_DAYS = 3  # a unit that did not sync for this long is overdue


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """One unit: when it was enrolled and last synced, and its newest report, if any.

    `reset_us`: when the receipt of its factory reset came, if it has had no log since. `certificate_ends_us`:
    when its newest certificate expires.
    """

    unit_id: str
    name: str
    enrolled_us: int
    seen_us: int | None
    received_us: int | None
    report: HealthMessage | None
    reset_us: int | None = None
    certificate_ends_us: int | None = None

    @property
    def clock_off_us(self) -> int:
        """How far its clock was ahead of the department's when its newest report came; negative if behind.

        0 for a difference that a delayed report explains.
        """
        if self.report is None or self.received_us is None or self.reset_us is not None:
            return 0
        off_us = self.report.at_us - self.received_us
        return off_us if abs(off_us) > CLOCK_OFF_US else 0

    @property
    def alarms(self) -> tuple[str, ...]:
        """The alarms of its newest report; empty if it was reset since."""
        return self.report.alarms if self.report is not None and self.reset_us is None else ()

    def is_silent(self, at_us: int) -> bool:
        """Whether it has not synced for days and was not reset since. A sync in the future does not count."""
        seen_us = None if self.seen_after(at_us) else self.seen_us
        return self.reset_us is None and at_us - (seen_us or self.enrolled_us) >= SILENT_DAYS * DAY_US

    def seen_after(self, at_us: int) -> bool:
        """Whether its last sync is recorded for a future time, which no server writes."""
        return is_to_come(self.seen_us, at_us)

    def ended(self, at_us: int) -> str:
        """Says that its certificate expired, so that it cannot sync, with the cure.

        Empty while the certificate is valid, and if the unit was reset since.
        """
        end_us = self.certificate_ends_us
        if self.reset_us is not None or end_us is None or at_us < end_us:
            return ""
        return (
            f"its certificate ended on {day_text(end_us // DAY_US)}: give it a new code "
            f"(department enroll --name {shlex.quote(self.name)}), and enter that at the unit (reader enroll)"
        )


def is_to_come(seen_us: int | None, at_us: int) -> bool:
    """Whether a sync's time is in the future by more than a server's clock is ever set back unnoticed."""
    return seen_us is not None and seen_us > at_us + DAY_US


def certificate_ends_us() -> sa.ScalarSelect[int]:
    """A column for a query of `units`: when the newest certificate expires; NULL without one."""
    newest = select(func.max(certificates.c.expires_us)).where(certificates.c.unit_id == units.c.unit_id)
    return newest.scalar_subquery()


def off_text(off_us: int) -> str:
    """How far a unit's clock is off, for people."""
    direction = "ahead of" if off_us > 0 else "behind"
    return f"{span_text(abs(off_us))} {direction} the department's"


def keep(connection: sa.Connection, unit_id: str, message: bytes, now_us: int) -> None:
    """Store a checked report in place of the one before."""
    connection.execute(delete(unit_health).where(unit_health.c.unit_id == unit_id))
    connection.execute(insert(unit_health).values(unit_id=unit_id, received_us=now_us, message=message))


def reset_us() -> sa.ScalarSelect[int]:
    """A column for a query of `units`: when a reset's receipt came; NULL if the unit has a newer log."""
    writes = exists().where(logs.c.unit_id == units.c.unit_id, logs.c.state == OPEN)
    return (
        select(func.max(destructions.c.received_us))
        .select_from(destructions.join(logs, logs.c.log_no == destructions.c.log_no))
        .where(logs.c.unit_id == units.c.unit_id, ~writes)
        .scalar_subquery()
    )


def states(connection: sa.Connection) -> list[UnitState]:
    """Every unit that is not revoked, by name."""
    query = (
        select(
            units.c.unit_id, units.c.name, units.c.enrolled_us, units.c.seen_us,
            unit_health.c.received_us, unit_health.c.message, reset_us(),
            certificate_ends_us(),
        )
        .select_from(units.outerjoin(unit_health, units.c.unit_id == unit_health.c.unit_id))
        .where(units.c.revoked_us.is_(None))
        .order_by(units.c.name)
    )  # fmt: skip
    return [
        UnitState(
            unit_id=row[0], name=row[1], enrolled_us=row[2], seen_us=row[3], received_us=row[4],
            report=None if row[5] is None else _opened(bytes(row[5])), reset_us=row[6],
            certificate_ends_us=row[7],
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def _opened(message: bytes) -> HealthMessage | None:
    """The report in a stored message, whose signature was checked on arrival; None for a foreign row."""
    try:
        return codec.from_bytes(
            HealthMessage, envelope.split(message, limit=HealthMessage.LIMIT)[1], limit=HealthMessage.LIMIT
        )
    except StorageError:
        return None


def due_in(connection: sa.Connection, at_us: int) -> list[str]:
    """A line for `department compliance` for each unit that was reset, is silent, has a wrong clock, or
    reports alarms."""
    found = []
    for one in states(connection):
        if one.reset_us is not None:
            reset = iso_text(one.reset_us, to="second")
            found.append(
                f"unit {one.name} was reset, by its receipt of {reset}: take it out of service, with "
                "department enroll --revoke"
            )
        ended = one.ended(at_us)
        if one.seen_after(at_us):
            what = "has a recorded last sync in the future: find out who can write to the store"
            found.append(f"unit {one.name} {what}")
        elif one.is_silent(at_us) or ended:
            last = iso_text(one.seen_us or one.enrolled_us, to="second")
            found.append(f"unit {one.name} has not synced since {last}{f'; {ended}' if ended else ''}")
        if one.clock_off_us:
            found.append(f"unit {one.name}: its clock is {off_text(one.clock_off_us)}: set it right")
        if one.alarms:
            found.append(f"unit {one.name} reports: {', '.join(Alarm(name).words for name in one.alarms)}")
    return found
