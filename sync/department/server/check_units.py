"""Checks the store's rows of units and their logs against what units signed, and against each other.

The access log decides a unit's name and its logs (`desk/machine/joined.py`, `journal/unit_logs.py`). The
daily run's counts reveal an incident or a row that is gone with everything that belongs to it
(`store/dated_rows.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, select

from storage.errors import ExplainedError
from storage.leaf import log_id_of
from storage.times import DAY_US, iso_text
from sync import messages
from sync.department.store import closed_records
from sync.department.store.tables import (
    alert_records,
    alerts,
    bad_records,
    codes,
    days,
    destructions,
    elements,
    epoch_keys,
    incidents,
    leaves,
    logs,
    receipts,
    tokens,
    unit_health,
    units,
)
from sync.department.store.unit_health import SILENT_DAYS, is_to_come, off_text
from sync.department.store.unit_logs import CLOSED, OPEN
from sync.health import HealthMessage
from sync.vouch import Vouch, unit_id_of

OF_LOGS = (leaves, epoch_keys, elements, tokens, bad_records, receipts, alerts, alert_records, destructions)
LONGEST_CODE_US = 7 * DAY_US  # the most that `code_hours` in department.toml allows
RESET, RESET_TWICE = "reset", "reset-twice"
MOST = 100


def strays(connection: sa.Connection) -> Iterator[str]:
    """Rows that belong to missing logs, and content that no leaf names."""
    known = select(logs.c.log_no)
    for table in OF_LOGS:
        lost = select(table.c.log_no).distinct().where(table.c.log_no.not_in(known)).order_by(table.c.log_no)
        for number in connection.execute(lost.limit(MOST)).scalars():
            yield f"log number {number} is not here, and its {table.name.replace('_', ' ')} are"
    e, leaf, early = elements.c, leaves.c, alerts.c
    nameless = (
        select(logs.c.log_id, e.sequence, e.name)
        .join(logs, logs.c.log_no == e.log_no)
        .outerjoin(leaves, sa.and_(leaf.log_no == e.log_no, leaf.sequence == e.sequence))
        .outerjoin(alerts, sa.and_(early.log_no == e.log_no, early.sequence == e.sequence))
        .where(leaf.sequence.is_(None), early.sequence.is_(None))
        .limit(MOST)
    )
    for log_id, sequence, name in connection.execute(nameless):
        yield f"log {_short(log_id)}, record {sequence}, {name}: no leaf names it, or it is here twice"
    past = (
        select(logs.c.log_id, leaf.sequence)
        .join(logs, logs.c.log_no == leaf.log_no)
        .where(logs.c.closed_of.is_(None), leaf.sequence >= logs.c.size)
        .limit(MOST)
    )
    for log_id, sequence in connection.execute(past):
        yield f"log {_short(log_id)}, record {sequence}: past the end of its log"


class UnitRows:
    """The check of one store. `wrong`: called with each problem; `unchecked`: with what nothing proves."""

    def __init__(
        self, wrong: Callable[[str], object], unchecked: Callable[[str], object], now_us: Callable[[], int]
    ) -> None:
        self._wrong, self._unchecked, self._now_us = wrong, unchecked, now_us
        self._vouched: dict[str, set[int]] = defaultdict(set)

    def vouch(self, unit_id: str, said: Vouch) -> None:
        """Record what a unit's key signed about one of its logs."""
        self._vouched[unit_id].add(said.at_us)

    def check(self, connection: sa.Connection) -> None:
        """Check all rows, after every `vouch`."""
        self._units(connection)
        self._logs(connection)
        self._resets(connection)
        self._codes(connection)
        self._health(connection)
        self._of_unknown(connection)
        self._days(connection)

    def _days(self, connection: sa.Connection) -> None:
        """Check the days: one before the first unit joined or in the future would hold up purges that are
        due."""
        first_us = connection.execute(select(func.min(logs.c.opened_us))).scalar()
        if first_us is None:
            return  # a backup from before the first unit gets the key service's days again
        first, last = first_us // DAY_US - 1, self._now_us() // DAY_US + 1
        query = select(days.c.day).where((days.c.day < first) | (days.c.day > last)).order_by(days.c.day)
        for day in connection.execute(query.limit(MOST)).scalars():
            self._wrong(
                f"day of receipt {day}: no unit had joined, or it is in the future: nothing was received then"
            )

    def _units(self, connection: sa.Connection) -> None:
        for row in connection.execute(select(units).order_by(units.c.name)).all():
            if row.unit_id not in self._vouched:
                continue  # a log that no key of its unit vouches for is reported with that log
            if unit_id_of(bytes(row.identity)) != row.unit_id:
                self._wrong(f"unit {row.name}: its id is not that of its key")
            opened = logs.c.unit_id == row.unit_id
            first_us = connection.execute(select(func.min(logs.c.opened_us)).where(opened)).scalar_one()
            before = row.enrolled_us in self._vouched[row.unit_id]  # by its own clock, as in earlier versions
            if abs(row.enrolled_us - first_us) > DAY_US and not before:
                self._wrong(f"unit {row.name}: did not enroll at the recorded time")

    def _logs(self, connection: sa.Connection) -> None:
        rows = connection.execute(select(logs).order_by(logs.c.log_no)).all()
        by_id = {bytes(row.log_id): row for row in rows}
        for row in rows:
            public = Ed25519PublicKey.from_public_bytes(bytes(row.public))
            if row.closed_of is None:
                if bytes(row.log_id) != log_id_of(public):
                    self._wrong(f"log {_short(row.log_id)}: its id is not that of its key")
                continue
            of = by_id.get(bytes(row.closed_of))
            names = {
                closed_records.beside_name(bytes(row.closed_of), number)
                for number in range(closed_records.MOST_BESIDE)
            }
            fits = of is not None and (of.unit_id, of.public, of.state) == (row.unit_id, row.public, CLOSED)
            if bytes(row.log_id) not in names or not fits or row.state != CLOSED or row.size:
                self._wrong(f"log {_short(row.log_id)}: does not belong to a closed log")
        ended = select(incidents.c.log_id).where(incidents.c.kind.in_(messages.INCIDENTS))
        refused = {bytes(one) for one in connection.execute(ended).scalars() if one is not None}
        reset = set(connection.execute(select(destructions.c.log_no)).scalars())
        for row in rows:
            if row.state != CLOSED and (bytes(row.log_id) in refused or row.log_no in reset):
                self._wrong(f"log {_short(row.log_id)}: is open, though an incident or a reset closed it")
            if row.state not in {OPEN, CLOSED}:
                self._wrong(f"log {_short(row.log_id)}: is neither open nor closed")
        for unit, many in Counter(row.unit_id for row in rows if row.state == OPEN).items():
            if many > 1:
                self._wrong(f"unit {unit[:16]}: has {many} open logs, but a unit writes only one")

    def _resets(self, connection: sa.Connection) -> None:
        """Check that each destruction receipt has its incident, and each such incident its receipt."""
        kinds = select(incidents.c.log_id).where(incidents.c.kind.in_((RESET, RESET_TWICE)))
        named = {bytes(one) for one in connection.execute(kinds).scalars() if one is not None}
        kept = select(logs.c.log_id).join(destructions, destructions.c.log_no == logs.c.log_no)
        received = {bytes(one) for one in connection.execute(kept).scalars()}
        for log_id in sorted(named - received):
            self._wrong(f"log {_short(log_id)}: its unit was reset, but the receipt of the reset is missing")
        for log_id in sorted(received - named):
            self._wrong(f"log {_short(log_id)}: its unit was reset, but the incident of the reset is missing")

    def _codes(self, connection: sa.Connection) -> None:
        long = select(codes.c.name).where(codes.c.expires_us > codes.c.issued_us + LONGEST_CODE_US)
        for name in connection.execute(long).scalars():
            self._wrong(f"the enrollment code for {name} is valid for longer than any code")

    def _health(self, connection: sa.Connection) -> None:
        """Check that a unit's newest report is its own, and as new as its last sync claims."""
        keys = defaultdict(list)
        for unit_id, public in connection.execute(select(logs.c.unit_id, logs.c.public)):
            keys[unit_id].append(bytes(public))
        query = select(
            units.c.unit_id, units.c.name, units.c.seen_us,
            unit_health.c.message, unit_health.c.received_us,
        ).outerjoin(unit_health, unit_health.c.unit_id == units.c.unit_id)  # fmt: skip
        for row in connection.execute(query.order_by(units.c.name)).all():
            said = None if row.message is None else _opened(bytes(row.message), keys[row.unit_id])
            if row.message is not None and said is None:
                self._wrong(f"unit {row.name}: its health report is not its own")
            if row.seen_us is None:
                if said is not None:
                    self._wrong(f"unit {row.name}: has sent a health report, but is recorded as never synced")
                continue
            if is_to_come(row.seen_us, self._now_us()) or row.seen_us < 0:
                self._wrong(f"unit {row.name}: its recorded last sync is in the future, or before 1970")
                continue
            at = iso_text(row.seen_us, to="second")
            if row.message is None:
                self._unchecked(f"that unit {row.name} synced at {at}: no report of it is here")
            elif said is not None and abs(row.seen_us - said.at_us) > SILENT_DAYS * DAY_US:
                why = "its newest report is older"
                if abs(row.seen_us - row.received_us) <= SILENT_DAYS * DAY_US:
                    off = off_text(said.at_us - row.received_us)
                    why = f"its newest report came then, and is dated by a clock that is {off}: set it right"
                self._unchecked(f"that unit {row.name} synced at {at}: {why}")

    def _of_unknown(self, connection: sa.Connection) -> None:
        """Check for health reports of unknown units."""
        query = select(unit_health.c.unit_id).where(unit_health.c.unit_id.not_in(select(units.c.unit_id)))
        for unit_id in connection.execute(query).scalars():
            self._wrong(f"unit {unit_id[:16]} is not here, and its report on itself is")


def _opened(message: bytes, publics: list[bytes]) -> HealthMessage | None:
    """A report, if the key of one of its unit's logs signed it, else None."""
    for public in publics:
        try:
            return messages.open_message(HealthMessage, message, Ed25519PublicKey.from_public_bytes(public))
        except ExplainedError:
            continue
    return None


def _short(log_id: bytes) -> str:
    return bytes(log_id).hex()[:16]
