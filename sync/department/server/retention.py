"""Retention for one year from receipt, no less and no more (463.8): the days due, their purge, its receipt.

The purge of a day notes the intent, destroys the store key (and with it the index and every backup of the
database), drops rows and packs, and signs a receipt with the department's log key. The next run finishes an
interrupted purge. Leaves stay, so the logs still verify. A database that was restored from a backup has days
that were purged: they are purged again at once, and their receipt names the first one, which the access log
has. So is the key of a purged day that an older copy of the keys brought back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import func, insert, select, update

from storage.errors import ExplainedError
from storage.times import DAY_US, HOUR_US
from sync import messages
from sync.department.content.key_service import DAY_KEY_DAYS, ReceivingKeys
from sync.department.ground.department_time import DepartmentTime
from sync.department.ground.home import DepartmentHome
from sync.department.ground.settings import Settings
from sync.department.journal.hold_entries import Purged
from sync.department.policy.named_files import signed_policy
from sync.department.policy.system_terms import purge_due_us
from sync.department.store.blobs import PackStore
from sync.department.store.database import Store
from sync.department.store.tables import alerts, days, elements
from sync.errors import DatabaseFullError, KeyServiceAwayError, KeyServiceError, StoreError

log_events = structlog.get_logger("department.retention")
CLAUSE = "463.8"
LOOK_BACK_DAYS = 400  # how far beyond the year to look for days that the database lacks
SHRINK_WAIT_S = 1.0  # for a reader of the database, per purged day: deliveries wait meanwhile
PACE_US = 20 * HOUR_US  # the daily run purges one day of receipt; more at once takes two people


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPurgeReceipt(messages.Message):
    """Signed with the department's log key: this day of receipt was purged. `day`: days since 1970-01-01."""

    KIND: ClassVar[str] = "department-purge"
    department: str
    day: int
    records: int
    elements: int
    packs: int
    clause: str
    started_us: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedPurge(messages.Message):
    """Signed with the department's log key: what a backup brought back of a purged day was purged again.

    `first`: SHA-256 of the first purge's receipt; the counts are of what was brought back.
    """

    KIND: ClassVar[str] = "department-purge-repeated"
    department: str
    day: int
    records: int
    elements: int
    packs: int
    clause: str
    first: bytes
    at_us: int


AnyReceipt: TypeAlias = DayPurgeReceipt | RepeatedPurge


def open_purge(data: bytes, public: Ed25519PublicKey) -> AnyReceipt:
    """Open a receipt of either kind. Raises MessageError, EnvelopeError, SignatureError."""
    try:
        return messages.open_message(RepeatedPurge, data, public)
    except ExplainedError:
        return messages.open_message(DayPurgeReceipt, data, public)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One day of receipt, and when it may and must be purged."""

    day: int
    due_us: int
    begun: bool

    def overdue_days(self, now_us: int) -> int:
        return max(0, (now_us - self.due_us) // DAY_US)


def keep_days_of(home: DepartmentHome) -> int:
    """The days of the policy that the root file names, since an unsigned one purges nothing. Raises
    HomeError."""
    return signed_policy(home).retention.keep_days


@contextmanager
def _apart(failed: list[Exception]) -> Iterator[None]:
    """Run one step of the purge. A failure is kept for the report, and the next step follows."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever stops one day must not stop the others
        failed.append(error)
        log_events.error("purge_step_failed", kind=type(error).__name__)  # noqa: TRY400


class StoreRetention:
    """Plans and carries out the purges of one store."""

    def __init__(  # noqa: PLR0917 - called once, by the server
        self,
        store: Store,
        keys: ReceivingKeys,
        packs: PackStore,
        log_key: Ed25519PrivateKey,
        settings: Settings,
        time: DepartmentTime,
        keep_days: Callable[[], int],
        first: Callable[[int], Purged | None] = lambda _day: None,
        make_room: Callable[[], None] = lambda: None,
        on_way: Callable[[int], bool] = lambda _day: True,
    ) -> None:
        """Take what the purges need.

        `keep_days`: what the policy file in force says. `first`: what the access log says of a day's purge;
        None while it names none. `make_room`: give back the room that was reserved for a full disk. `on_way`:
        whether a pack of a day may exist whose rows are not written yet; only the server, which takes packs
        in, can rule that out, and only its run removes packs that no row names.
        """
        self._store, self._keys, self._packs = store, keys, packs
        self._log_key, self._settings = log_key, settings
        self._now_us, self._sure = time.now_us, time.demand_sure
        self._keep_days, self._first, self._make_room = keep_days, first, make_room
        self._on_way = on_way
        self._swept: set[int] = set()
        self._old_pages = False  # whether SQLite's WAL may still hold purged rows
        self._dropped: dict[int, int] = {}  # images removed to make room, until the receipt counts them

    def plan(self) -> list[Due]:
        """Every day that still has content, oldest first."""
        query = (
            select(days.c.day, days.c.purge_started_us).where(days.c.purged_us.is_(None)).order_by(days.c.day)
        )
        with self._store.listing() as connection:
            rows = connection.execute(query).all()
        keep_days = self._keep_days()
        return [
            Due(
                day=row.day,
                due_us=purge_due_us(row.day, keep_days),
                begun=row.purge_started_us is not None,
            )
            for row in rows
        ]

    def counted(self, day: int) -> tuple[int, int]:
        """(records, elements) of a day of receipt."""
        grouped = (
            select(elements.c.log_no, elements.c.sequence, func.count().label("n"))
            .where(elements.c.day == day)
            .group_by(elements.c.log_no, elements.c.sequence)
            .subquery()
        )
        with self._store.read() as connection:
            row = connection.execute(
                select(func.count(), func.coalesce(func.sum(grouped.c.n), 0)).select_from(grouped)
            ).one()
        return int(row[0]), int(row[1])

    def run(self, through: int = -1) -> list[AnyReceipt]:
        """Purge the day that is due, finish what was begun, and repeat what a backup undid.

        More than one day at once means a wrong clock or a long absence. The others wait for their turn, or
        for two people who decide `through` which day of receipt (days since 1970) the backlog may be purged.
        Raises ClockInDoubtError, since nothing is destroyed on an unconfirmed clock. A failure stops nothing
        else; the first one is raised after all the rest is done.
        """
        now = self._sure()
        failed: list[Exception] = []
        if self._old_pages:
            with _apart(failed):
                self._shrink()
        with _apart(failed):
            self._adopt(now)
        plan: list[Due] = []
        for one in self.plan():
            with _apart(failed):  # a day for which that is not known waits for the next run
                plan.append(self._taken_back(one, now))
        turn = [one for one in plan if one.begun or self._was_purged(one, now)]
        due = [one for one in plan if one not in turn and one.due_us <= now]
        free = 0 if self._purged_since(now - PACE_US) else 1
        turn += [one for number, one in enumerate(due) if number < free or one.day <= through]
        done: list[AnyReceipt] = []
        for one in turn:
            with _apart(failed):
                receipt = self._purge(one)
                done += [] if receipt is None else [receipt]
        with _apart(failed):
            self._destroy_again(now)
        waiting = sum(one.day > through for one in due[free:])
        if waiting:
            log_events.warning("purge_waits_for_two_people", days=waiting, clause=CLAUSE)
        with _apart(failed):
            self._keys.destroy_day_keys_before(now // DAY_US - DAY_KEY_DAYS)
        with _apart(failed):
            self._drop_alerts(now)
        with _apart(failed):
            self._sweep()
        if failed:
            raise failed[0]
        return done

    def waiting(self) -> list[int]:
        """Days of receipt that are due and wait for two people: all except the one for the daily run."""
        now = self._now_us()
        plan = (one for one in self.plan() if not one.begun and not self._was_purged(one, now))
        due = [one.day for one in plan if one.due_us <= now]
        return due if self._purged_since(now - PACE_US) else due[1:]

    def _taken_back(self, due: Due, now: int) -> Due:
        """Take back the purge of a day that began before its year was over, because a clock or a row was
        wrong.

        While its key is here, nothing was destroyed, and searches find the day again.
        """
        if not due.begun or due.due_us <= now or not self._keys.has_store_key(due.day):
            return due
        log_events.warning("purge_began_early", day=due.day, clause=CLAUSE, cure="department verify")
        with self._store.write() as connection:
            mine = (days.c.day == due.day) & days.c.purged_us.is_(None)
            connection.execute(update(days).where(mine).values(purge_started_us=None))
        return replace(due, begun=False)

    def _was_purged(self, due: Due, now: int) -> bool:
        """Whether the log knows of a day's purge, which cannot be from before the end of its year."""
        return due.due_us <= now and self._first(due.day) is not None

    def _purged_since(self, us: int) -> bool:
        """Whether a purge began after this time."""
        query = select(func.max(days.c.purge_started_us))
        with self._store.read() as connection:
            newest = connection.execute(query).scalar()
        return newest is not None and newest > us

    def _adopt(self, now: int) -> None:
        """Enter days that have a key but no row, because a restored database is older than they are.

        Their year ends like any other's, so they are purged with the rest. Packs alone do not make a day,
        since a person who can write into the bucket could then fill the purge's queue with false days. Packs
        without a key are noise, and are removed as soon as their year is over.
        """
        with self._store.read() as connection:
            known = set(connection.execute(select(days.c.day)).scalars())
        today = now // DAY_US
        over = today - self._keep_days()
        packed = self._packs.days() - known
        asked = set(range(over - LOOK_BACK_DAYS, over)) | {one for one in packed if over <= one <= today + 1}
        failed = list[Exception]()
        found, unknown = self._with_keys(sorted(asked - known), failed)
        if found:
            log_events.warning("forgotten_days_entered", count=len(found))
            with self._store.write() as connection:
                connection.execute(insert(days), [{"day": day} for day in sorted(found)])
        apart = packed - found - unknown
        strange = sorted(one for one in apart if one < over or one > today + 1)
        if strange:
            log_events.warning("packs_of_no_day_removed", days=len(strange), cure="see who can write there")
        for day in strange:
            self._packs.drop(day)
        if failed:
            raise failed[0]

    def _with_keys(self, wanted: Sequence[int], failed: list[Exception]) -> tuple[set[int], set[int]]:
        """Those of these days that have a key, and those whose key cannot be looked for.

        The errors of the latter go into `failed`, and keep no other day. Raises KeyServiceAwayError.
        """
        found, unknown = set[int](), set[int]()
        try:
            return self._keys.days_with_keys(wanted), unknown
        except KeyServiceAwayError:
            raise
        except KeyServiceError:  # it names one day
            for day in wanted:
                try:
                    if self._keys.has_store_key(day):
                        found.add(day)
                except KeyServiceAwayError:
                    raise
                except KeyServiceError as error:
                    failed.append(error)
                    unknown.add(day)
        return found, unknown

    def _destroy_again(self, now: int) -> None:
        """Destroy the keys of purged days that an older copy of the keys brought back.

        A row alone may be forged: only a day whose year is over loses its key.
        """
        with self._store.read() as connection:
            purged = list(
                connection.execute(select(days.c.day).where(days.c.purged_us.is_not(None))).scalars()
            )
        keep_days, failed = self._keep_days(), list[Exception]()
        over = [day for day in purged if purge_due_us(day, keep_days) <= now]
        for day in sorted(self._with_keys(over, failed)[0]):
            with _apart(failed):
                self._keys.destroy_store_key(day)
                log_events.warning("purged_key_destroyed_again", day=day, clause=CLAUSE)
            if failed and isinstance(failed[-1], KeyServiceAwayError):
                break  # nor would it answer for the other days
        if failed:
            raise failed[0]

    def _drop_alerts(self, now: int) -> None:
        """Drop the content of alerts whose own leaf never came, a year after receipt like everything else.

        The leaf that came with it stays, like all leaves, and accounts in `verify` for what was purged.
        """
        last = (now // DAY_US - self._keep_days()) * DAY_US
        over = (alerts.c.received_us < last) & (alerts.c.parts != b"")
        with self._store.write() as connection:
            connection.execute(update(alerts).where(over).values(parts=b""))

    def _purge(self, due: Due) -> AnyReceipt | None:
        """Purge a day; None if another run is purging it or has purged it meanwhile."""
        first, mine = self._first(due.day), days.c.day == due.day
        started = self._now_us() if first is None else first.purged_us  # a repeat takes no day's turn
        if not due.begun:
            try:
                begun = self._begin(due.day, started)
            except DatabaseFullError:  # remove the images of the day, whose year is over, to make room
                self._dropped[due.day] = self._dropped.get(due.day, 0) + self._packs.drop(due.day)
                self._make_room()  # if the day has no images, or too few
                begun = self._begin(due.day, started)
            if not begun:
                return None
        records, parts = self.counted(due.day)
        self._keys.destroy_store_key(due.day)
        packs = self._dropped.pop(due.day, 0) + self._packs.drop(due.day)
        told: dict[str, Any] = {
            "department": self._settings.name,
            "day": due.day,
            "records": records,
            "elements": parts,
            "packs": packs,
            "clause": CLAUSE,
            "at_us": self._now_us(),
        }
        receipt: AnyReceipt
        if first is None:
            receipt = DayPurgeReceipt(**told, started_us=started)
        else:
            receipt = RepeatedPurge(**told, first=first.receipt)
            log_events.warning("purge_repeated", day=due.day, records=records, clause=CLAUSE)
        end = update(days).where(mine, days.c.purged_us.is_(None))
        signed = messages.seal_message(receipt, self._log_key)
        with self._store.write() as connection:
            if not connection.execute(end.values(purged_us=receipt.at_us, receipt=signed)).rowcount:
                return None
            self._store.drop_day(connection, due.day)
        self._shrink()
        log_events.info("day_purged", day=due.day, records=records, clause=CLAUSE)
        return receipt

    def _shrink(self) -> None:
        """Leave no purged row in SQLite's WAL; if a reader needs it for longer, the next run does it."""
        self._old_pages = not self._store.shrink(SHRINK_WAIT_S)

    def _begin(self, day: int, started_us: int) -> bool:
        """Record that a day's purge begins. Returns False if another run is purging it."""
        begin = update(days).where(days.c.day == day, days.c.purge_started_us.is_(None))
        with self._store.write() as connection:
            return bool(connection.execute(begin.values(purge_started_us=started_us)).rowcount)

    def _sweep(self) -> None:
        """Remove packs of past days that no row names, which a crash between a pack and its rows leaves."""
        today = self._now_us() // DAY_US
        for one in self.plan():
            if one.day >= today or one.day in self._swept:
                continue
            there = self._packs.names(one.day)
            if there and self._on_way(one.day):  # at midnight, or while a restored store takes reads in again
                continue
            self._swept.add(one.day)
            if not there:
                continue
            with self._store.read() as connection:
                query = select(elements.c.pack).distinct().where(elements.c.day == one.day)
                named = {row[0] for row in connection.execute(query) if row[0] is not None}
            stray = there - named
            if stray:
                log_events.info("stray_packs_removed", day=one.day, count=len(stray))
                self._packs.remove(one.day, stray)

    def receipts(self) -> list[tuple[int, bytes]]:
        """(day, signed receipt) of every purge so far."""
        with self._store.listing() as connection:
            rows = connection.execute(
                select(days.c.day, days.c.receipt).where(days.c.purged_us.is_not(None)).order_by(days.c.day)
            ).all()
        if any(row[1] is None for row in rows):
            raise StoreError("a purged day has no receipt")
        return [(row[0], bytes(row[1])) for row in rows]
