"""What is overdue in the store, and what ends on the machine: lines of the compliance list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from cryptography import x509
from sqlalchemy import select

from storage.counts import counted
from storage.times import DAY_US, HOUR_US, SECOND_US, day_text, iso_text
from sync.department.content.alert_records import StoreAlerts
from sync.department.desk.context import Ending
from sync.department.desk.desk import Desk
from sync.department.ground.home import DepartmentHome
from sync.department.server import hourly, roster
from sync.department.server.machine_state import StoredState
from sync.department.store import tables, unit_health
from sync.department.store.database import Store
from sync.department.store.unit_health import SILENT_DAYS
from sync.department.units import documents
from sync.department.units.authority import Authority


def overdue_in_store(store: Store, desk: Desk, moment_us: int) -> list[tuple[str, str, str]]:
    """(kind, clause, what): days not purged in time, silent units, a roster that lags, alerts not opened."""
    found = hourly.overdue(desk, moment_us)
    keep_days = desk.policy.retention.keep_days
    for what in desk.book.joined.differences(StoredState(store).joined()):
        found.append(("enrollment", "463.4", f"{what}: find out who did it, and revoke it: enroll --revoke"))
    if not roster.is_out(store, desk):
        found.append(("roster", "463.3", "units are offered an older roster than the desk's"))
    with store.read() as connection:
        for day in connection.execute(
            select(tables.days.c.day).where(tables.days.c.purged_us.is_(None))
        ).scalars():
            due_us = (day + 1 + keep_days) * DAY_US
            if moment_us >= due_us + DAY_US:
                received = day_text(day)
                what = f"the day of receipt {received} was to be purged by {iso_text(due_us, to='second')}"
                found.append(("purge", "463.8", what))
        units = select(tables.units.c.name, tables.units.c.seen_us, tables.units.c.enrolled_us).where(
            tables.units.c.revoked_us.is_(None)
        )
        for name, seen_us, enrolled_us in connection.execute(units):
            last = seen_us or enrolled_us
            if moment_us - last >= SILENT_DAYS * DAY_US:
                found.append(
                    ("unit", "463.8", f"unit {name} has not synced since {iso_text(last, to='second')}")
                )
        found += unit_health.alarms_in(connection)
    return found + _unopened(store, desk, moment_us)


def _unopened(store: Store, desk: Desk, moment_us: int) -> list[tuple[str, str, str]]:
    """Alerts and steps of units that came a day and the policy's hours ago, and that no one listed."""
    terms = desk.policy.alerts
    late_day = (moment_us - terms.outcome_hours * HOUR_US) // DAY_US
    late = [one for one in StoreAlerts(store).waiting(desk.book.alerts.opened) if one.day < late_day]
    found = []
    for unit, some in sorted(Counter(one.unit for one in late).items()):
        first = day_text(min(one.day for one in late if one.unit == unit))
        were = "was" if some == 1 else "were"
        records = counted(some, "record")
        what = f"{records} of alerts by {unit} {were} never opened, since {first}: list the alerts"
        found.append(("unopened", terms.clause, what))
    return found


def ending_in_machine(home: DepartmentHome, store: Store, clock: Callable[[], int]) -> list[Ending]:
    """(kind, what, end, cure) of the certificates here and of the day keys that units were given."""
    authority = Authority.open(home.authority, clock)
    found = [
        (
            "authority",
            "the CA's certificate",
            int(authority.certificate.not_valid_after_utc.timestamp()) * SECOND_US,
            "a running server renews it: department serve",
        )
    ]
    server = home.authority / "server.pem"
    if server.exists():
        ends = x509.load_pem_x509_certificate(server.read_bytes()).not_valid_after_utc
        found.append(
            (
                "certificate",
                "the server's certificate",
                int(ends.timestamp()) * SECOND_US,
                "a running server renews it: department serve",
            )
        )
    with store.read() as connection:
        last = documents.version_out(connection, "day-keys")
    if last:
        cure = "start the server with the command key: department serve"
        found.append(("day-keys", "the day keys that units have", last * DAY_US, cure))
    return found
