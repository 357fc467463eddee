"""What is overdue in the store, and what ends on the machine: lines of the compliance list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import sqlalchemy as sa
from cryptography import x509
from sqlalchemy import select

from storage.counts import counted
from storage.times import DAY_US, HOUR_US, SECOND_US, day_text, iso_text
from sync.department.content.alert_records import StoreAlerts
from sync.department.desk.desk import Desk
from sync.department.desk.machine.joined import TAKEN_BACK
from sync.department.desk.owed import Ending, Late, Overdue, ending_at
from sync.department.ground.home import KEPT_FILE, DepartmentHome
from sync.department.journal.office_entries import GrantIssued
from sync.department.policy.system_terms import purge_due_us
from sync.department.server import hourly, roster
from sync.department.server.machine_state import StoredState
from sync.department.store import own_schema, tables, typed_rows, unit_health
from sync.department.store.database import Store
from sync.department.units import documents
from sync.department.units.authority import Authority


def overdue_in_store(store: Store, desk: Desk, alerts: StoreAlerts, moment_us: int) -> list[Overdue]:
    """Days not purged in time, silent units, a roster that lags, alerts not opened.

    `alerts`: those of the desk, which do not read again what the desk knows.
    """
    found = [*hourly.overdue(desk, moment_us), *_altered(store)]
    joined = StoredState(store).joined()
    with desk.looking() as book:
        differences = book.joined.differences(joined)
    for what in differences:
        cure = "" if what.endswith(TAKEN_BACK) else ": find out who did it, and revoke it: enroll --revoke"
        found.append(Overdue(kind=Late.ENROLLMENT, clause="463.4", what=f"{what}{cure}"))
    if not roster.is_out(store, desk):
        what = "units are offered an older roster than the desk's"
        found.append(Overdue(kind=Late.ROSTER, clause="463.3", what=what))
    with store.listing() as connection:
        for day in connection.execute(
            select(tables.days.c.day).where(tables.days.c.purged_us.is_(None))
        ).scalars():
            end_us = purge_due_us(day, desk.policy.retention.keep_days)
            if moment_us >= end_us + DAY_US:
                ended = iso_text(end_us, to="second")
                what = f"the day of receipt {day_text(day)} was to be purged by {ended}"
                found.append(Overdue(kind=Late.PURGE, clause="463.8", what=what))
        found += [
            Overdue(kind=Late.UNIT, clause="463.8", what=what)
            for what in unit_health.due_in(connection, moment_us)
        ]
    with desk.looking() as book:
        resets = book.grants.resets()
    found += unreported_resets(store, resets, moment_us)
    return found + _unopened(alerts, desk, moment_us)


def _altered(store: Store) -> Iterator[Overdue]:
    """What was planted in the database, and rows with values that do not fit their columns."""
    for what in store.planted():
        yield Overdue(kind=Late.STORE, clause="463.8", what=f"{what}: {own_schema.CURE}")
    for what in store.others():
        cure = "give this program a role of its own with no such right (createuser, REVOKE); verify names "
        cure += "what they change only by checking the content"
        yield Overdue(kind=Late.STORE, clause="463.8", what=f"{what}: {cure}")
    for what in store.odd_rows():
        yield Overdue(kind=Late.STORE, clause="463.8", what=f"{what}: {typed_rows.CURE}")


def overdue_kept_store(home: DepartmentHome) -> Iterator[Overdue]:
    """The SQLite file that a move left, which no purge reaches."""
    if (kept := home.path / KEPT_FILE).exists():
        what = (
            f"{kept} is the store from before the move, and no purge reaches it: if department verify "
            "finds nothing wrong, remove it, and its backups"
        )
        yield Overdue(kind=Late.STORE, clause="463.8", what=what)


def unreported_resets(store: Store, resets: Sequence[GrantIssued], moment_us: int) -> list[Overdue]:
    """Units that a grant allowed to be reset, and that are silent since, without a destruction receipt.

    A power cut, a removed card or a full disk can lose the receipt, or the unit was never reset.
    """
    told = sa.func.max(tables.destructions.c.received_us)
    query = (
        select(tables.units.c.unit_id, tables.units.c.name, tables.units.c.seen_us, told)
        .outerjoin(tables.logs, tables.logs.c.unit_id == tables.units.c.unit_id)
        .outerjoin(tables.destructions, tables.destructions.c.log_no == tables.logs.c.log_no)
        .group_by(tables.units.c.unit_id, tables.units.c.name, tables.units.c.seen_us)
    )
    with store.listing() as connection:
        units = {row[0]: row[1:] for row in connection.execute(query)}
    found = []
    for note in resets:
        for name, seen_us, told_us in (units[one] for one in note.units if one in units):
            alive = (seen_us or 0) >= note.to_us and not unit_health.is_to_come(seen_us, moment_us)
            told_of = (told_us or 0) >= note.from_us
            if moment_us < note.to_us + DAY_US or alive or told_of:
                continue
            what = (
                f"unit {name}: a grant to reset it ended {iso_text(note.to_us, to='second')}, it has not "
                "synced since, and no destruction receipt came: find it. A reset that could not send its "
                "receipt keeps it in its home's folder destroyed (department incident receipt FILE). Where "
                f"there is none: department grant revoke {note.grant_id}, and say what is known of it"
            )
            found.append(Overdue(kind=Late.UNIT, clause="463.8", what=what))
    return found


def _unopened(alerts: StoreAlerts, desk: Desk, moment_us: int) -> list[Overdue]:
    """Alerts and steps of units that came more than a day and the policy's hours ago and that no one
    listed."""
    terms = desk.policy.alerts
    late_day = (moment_us - terms.outcome_hours * HOUR_US) // DAY_US
    late = [one for one in alerts.waiting(desk.book.alerts.opened) if one.day < late_day]
    found = []
    for unit, some in sorted(Counter(one.unit for one in late).items()):
        first = day_text(min(one.day for one in late if one.unit == unit))
        were = "was" if some == 1 else "were"
        records = counted(some, "record")
        what = f"{records} of alerts by {unit} {were} never opened, since {first}: list the alerts"
        found.append(Overdue(kind=Late.UNOPENED, clause=terms.clause, what=what))
    return found


def ending_in_machine(home: DepartmentHome, store: Store, clock: Callable[[], int]) -> list[Ending]:
    """The ends of the certificates here and of the day keys that units were given."""
    ends = {"authority": ("the CA's certificate", Authority.open(home.authority, clock).certificate)}
    server = home.authority / "server.pem"
    if server.exists():
        ends["certificate"] = (
            "the server's certificate",
            x509.load_pem_x509_certificate(server.read_bytes()),
        )
    cure = "a running server renews it: department serve"
    found = []
    for kind, (what, certificate) in ends.items():
        ends_us = int(certificate.not_valid_after_utc.timestamp()) * SECOND_US
        found.append(ending_at(kind, "463.5", what, ends_us, what, cure))
    with store.listing() as connection:
        last = documents.version_out(connection, "day-keys")
    if last:
        what = "the day keys that units have"
        cure = "start the server with the command key: department serve"
        found.append(ending_at("day-keys", "463.5", what, last * DAY_US, what, cure))
    return found
