"""Checks a department's store: every leaf, tree, co-signature, receipt, element and purge. Names what is bad.

Content is checked through the key service, which answers "matches its commitment" or what is wrong, never the
content. An element that is neither here, nor purged with a receipt, nor given up, is a loss. The store's own
claim that an element was given up or is still to come does not count against a receipt that the department
gave for it, which the unit keeps in its log.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select

from storage import leaf as leaves
from storage import merkle, sealing
from storage.checkpoint import TYPE_COSIGNATURE, NoteKey, open_checkpoint, open_cosignatures
from storage.codec import from_bytes
from storage.counts import counted
from storage.errors import ExplainedError, StorageError
from storage.log_records import FileInForce, GrantTaken, UploadReceipt
from storage.receipts import open_receipt
from sync import messages
from sync.department.content.key_service import CheckingKeys
from sync.department.content.search_tokens import StoredElement
from sync.department.server import check_types, offered
from sync.department.server.check_alerts import AlertTable, ahead
from sync.department.server.check_index import SearchIndex, packed
from sync.department.server.check_units import UnitRows, strays
from sync.department.server.excuses import excuses
from sync.department.server.lost_rows import stored_days
from sync.department.server.retention import open_purge
from sync.department.server.unit_reports import Reported, Reset
from sync.department.store import closed_records, joined_units, unit_logs
from sync.department.store.blobs import PackStore
from sync.department.store.database import Store
from sync.department.store.tables import PARTITIONED, days, elements, logs, receipts, units
from sync.department.units import destructions
from sync.department.units.signed_rows import Signed, as_stored
from sync.errors import KeyServiceError, StoreError, SyncError
from sync.vouch import open_vouch

AT_ONCE = 500
NO_END_US = 1 << 62  # without a clock, nothing is in the future
MAX_PROBLEMS = 1000
REPORTS: dict[str, type[FileInForce] | type[GrantTaken] | type[UploadReceipt]] = {
    FileInForce.KIND: FileInForce,
    GrantTaken.KIND: GrantTaken,
    UploadReceipt.KIND: UploadReceipt,
}
"""Records by which a unit says what it took, and which receipts it was given."""


@dataclass(slots=True)
class StoreReport:
    """What was checked, and what is wrong, in the order in which it was found."""

    logs: int = 0
    records: int = 0
    elements: int = 0
    receipts: int = 0
    purged_days: int = 0
    given_up: int = 0
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    reported: Reported = field(default_factory=Reported)

    def wrong(self, what: str) -> None:
        if len(self.problems) < MAX_PROBLEMS and what not in self.problems:
            self.problems.append(what)


_Parsed: TypeAlias = tuple[leaves.Leaf, bytes]
"""A leaf, parsed and as it is."""


@dataclass(frozen=True, slots=True)
class _Element:
    day: int
    sequence: int
    name: str
    form: int
    stored: bytes


class Checker:
    """One pass over one store."""

    def __init__(
        self,
        store: Store,
        keys: CheckingKeys,
        packs: PackStore,
        department: Ed25519PublicKey,
        signed: Signed = as_stored,
        *,
        command: bytes | None = None,
        now_us: Callable[[], int] = lambda: NO_END_US,
        purged: Callable[[int], bool] = lambda _day: False,
    ) -> None:
        """Begin a pass. `signed`: returns a stored document as it was signed. `command`: the public key of
        its signer. `purged`: whether a day's purge has begun since."""
        self._command = command
        self._signed = signed
        self._store, self._keys, self._packs, self._department = store, keys, packs, department
        self.report = StoreReport()
        self._absent, self._purged = 0, purged
        self._unit = ""
        self._here: list[int] = []
        self._rows = UnitRows(self.report.wrong, self.report.unchecked.append, now_us)
        self._index = SearchIndex(keys, packs, self.report.wrong, purged)
        self._excused: list[tuple[int, str, str]] = []
        self._covered: list[tuple[int, int]] = []

    def run(self, *, content: bool = True) -> StoreReport:
        """Check everything; without `content`, only signatures and trees."""
        with self._store.snapshot() as connection:
            check_types.check(connection, self.report.wrong)
            rows = connection.execute(
                select(logs.c.log_id, logs.c.vouch, units.c.identity, units.c.name)
                .select_from(logs.outerjoin(units, units.c.unit_id == logs.c.unit_id))
                .order_by(logs.c.log_no)
            ).all()
            self.report.reported.units = joined_units.joined(connection)
            self.report.reported.logs = joined_units.unit_logs(connection)
            self.report.reported.documents = offered.out(connection, self._signed, self._command)
            self._days(connection)
            purged = self._purges(connection)
            self._alerts = AlertTable(connection, self._record_wrong)
            for row in rows:
                self.report.logs += 1
                if row.identity is None:
                    name = bytes(row.log_id).hex()[:16]
                    self.report.wrong(f"log {name}: its unit is not here")
                    continue
                try:
                    log = unit_logs.find_log(connection, bytes(row.log_id))
                except StorageError as error:
                    self.report.wrong(f"log {bytes(row.log_id).hex()[:16]}: {error.what}")
                    continue
                if log is None:
                    continue
                self._unit = str(row.name)
                self.report.reported.begin_log()
                self._excused, self._covered = [], []
                self._vouch(log, bytes(row.vouch), bytes(row.identity))
                if log.closed_of is not None:
                    self._closed(connection, log, content=content)
                    continue
                self._log(connection, log, content=content)
                if content:
                    self._ahead(connection, log)
                self._destruction(connection, log)
                self._receipts(connection, log)
                self._judge_excuses(connection, log)
            self._rows.check(connection)
            for what in strays(connection):
                self.report.wrong(what)
            if content:
                log_ids = unit_logs.ids_by_number(connection)
                rest = functools.partial(self._rest, connection)
                unchecked = self._index.tokens(connection, self._here, log_ids, rest)
                self.report.unchecked += [unchecked] if unchecked else []
            since = self._purged_since(connection)
        if content and not purged <= self._absent <= purged + since:
            self.report.wrong(
                f"{counted(self._absent, 'element')} not here, but purge receipts account for {purged}"
            )
        return self.report

    def _days(self, connection: sa.Connection) -> None:
        """Take in what each day of receipt has and which days are purged, to compare with the log's
        entries."""
        found = self.report.reported.days = stored_days(connection, self._department)
        self._here = sorted(day for day, one in found.here.items() if one.elements)
        self._index.days(connection, self._here)

    def _rest(self, connection: sa.Connection) -> None:
        """Between two steps, let others change the database, and take in the days that began meanwhile."""
        self._store.let_others(connection)
        if self._store.postgres:
            begun = connection.scalars(select(days.c.day).where(days.c.purge_started_us.is_(None)))
            self._here = sorted({*self._here, *begun})

    def _vouch(self, log: unit_logs.HeldLog, vouch: bytes, identity: bytes) -> None:
        try:
            said = open_vouch(vouch, identity)
        except SyncError as error:
            self.report.wrong(f"log {_short(log)}: {error}")
            return
        self._rows.vouch(log.unit_id, said)
        if said.log_public != log.public.public_bytes_raw():
            self.report.wrong(f"log {_short(log)}: the unit key vouched for another log key")

    def _log(self, connection: sa.Connection, log: unit_logs.HeldLog, *, content: bool) -> None:
        frontier = merkle.Frontier()
        cosigned_root = b""
        at, size = 0, log.frontier.size
        while at < size:
            some = unit_logs.leaves_from(connection, log.log_no, at, min(AT_ONCE, size - at))
            if not some:
                break
            parsed = []
            for data in some:
                try:
                    leaf = leaves.open_leaf(data, log.public)
                    if (leaf.log_id, leaf.sequence) != (log.log_id, frontier.size):
                        self.report.wrong(f"log {_short(log)}, record {frontier.size}: out of place")
                    parsed.append((leaf, data))
                except StorageError as error:
                    self.report.wrong(f"log {_short(log)}, record {frontier.size}: {error.what}")
                frontier.append(merkle.leaf_hash(data))
                if frontier.size == log.cosigned_size:
                    cosigned_root = frontier.root()
            self.report.records += len(some)
            if content:
                self._content(connection, log, range(at, min(at + AT_ONCE, size)), parsed)
            at += len(some)
            self._rest(connection)
        if frontier.size != size or frontier.root() != log.frontier.root():
            made = counted(frontier.size, "leaf", "leaves")
            self.report.wrong(f"log {_short(log)}: not the tree of {size} that was kept, but of {made}")
        if log.cosigned is not None:
            self._cosigned(log, cosigned_root)
        elif log.cosigned_size:
            self.report.wrong(f"log {_short(log)}: its co-signed checkpoint is not here")

    def _closed(self, connection: sa.Connection, log: unit_logs.HeldLog, *, content: bool) -> None:
        """Check records that came after their log was closed, each by its signature, since no tree is
        known."""
        after = -1
        while some := closed_records.all_of(connection, log, after, AT_ONCE):
            parsed = []
            for sequence, data in some:
                try:
                    leaf = leaves.open_leaf(data, log.public)
                    if (leaf.log_id, leaf.sequence) != (log.leaf_log_id, sequence):
                        self.report.wrong(f"log {_short(log)}, record {sequence}: out of place")
                    parsed.append((leaf, data))
                except StorageError as error:
                    self.report.wrong(f"log {_short(log)}, record {sequence}: {error.what}")
            self.report.records += len(some)
            if content:
                for numbers, these in _in_windows(parsed):
                    self._content(connection, log, numbers, these)
            after = some[-1][0]
            self._rest(connection)

    def _ahead(self, connection: sa.Connection, log: unit_logs.HeldLog) -> None:
        """Check hits whose turn in the log has not come. Their content is here, and each has its
        signature."""
        size = log.frontier.size
        early = [one for one in ahead(connection, log, self._record_wrong) if one[0].sequence >= size]
        waiting = {leaf.sequence for leaf, _, purged in early if not purged}
        self.report.records += len(early)
        for numbers, these in _in_windows([(leaf, data) for leaf, data, _ in early]):
            self._content(connection, log, numbers, these, waiting=waiting)

    def _destruction(self, connection: sa.Connection, log: unit_logs.HeldLog) -> None:
        opened_us = connection.execute(
            select(logs.c.opened_us).where(logs.c.log_no == log.log_no)
        ).scalar_one()
        for message in destructions.all_of(connection, log):
            try:
                said = destructions.opened(message, log)
                self.report.reported.add_reset(
                    Reset(
                        unit=self._unit,
                        log=said.log_id.hex(),
                        grant_id=said.grant_id,
                        at_us=max(said.at_us, opened_us),  # the unit had vouched for this log before
                        unit_id=said.unit_id,
                        last=said.ranges[-1][1] if said.undelivered and said.ranges else -1,
                        holds=said.holds,
                    )
                )
            except SyncError as error:
                self.report.wrong(f"log {_short(log)}: {error}")

    def _cosigned(self, log: unit_logs.HeldLog, root: bytes) -> None:
        key = NoteKey(messages.department_origin(self._department), self._department, TYPE_COSIGNATURE)
        try:
            head = open_checkpoint(log.cosigned or "", log.note_key)
            if not open_cosignatures(log.cosigned or "", [key]):
                self.report.wrong(f"log {_short(log)}: its checkpoint is not co-signed by this department")
            if (head.size, head.root) != (log.cosigned_size, root):
                size = counted(log.cosigned_size, "record")
                self.report.wrong(f"log {_short(log)}: not what was co-signed at {size}")
        except StorageError as error:
            self.report.wrong(f"log {_short(log)}: co-signed checkpoint: {error.what}")

    # --- content -----------------------------------------------------------------------------------------

    def _content(
        self,
        connection: sa.Connection,
        log: unit_logs.HeldLog,
        numbers: range,
        parsed: Sequence[_Parsed],
        *,
        waiting: Collection[int] = (),
    ) -> None:
        """Check the elements of these records. `waiting`: records that may still lack elements."""
        marks = {
            (leaf.sequence, name): leaf.elements[name]
            for leaf, _ in parsed
            for name in messages.traveling(leaf)
        }
        data_of = {leaf.sequence: data for leaf, data in parsed}
        taken = {leaf.sequence: REPORTS[leaf.kind] for leaf, _ in parsed if leaf.kind in REPORTS}
        sealed: dict[int, list[tuple[int, StoredElement]]] = {}
        leaf_of = {leaf.sequence: leaf for leaf, _ in parsed}
        for one in self._elements(connection, log, numbers):
            mark = marks.pop((one.sequence, one.name), None)
            if mark is None:
                self._element_wrong(log, one.sequence, one.name, "no leaf names it, or it is here twice")
                continue
            if one.name == leaves.ENTRY:
                self._alerts.element(log, leaf_of[one.sequence], one.day)
            self.report.elements += 1
            if one.form not in {unit_logs.FORM_OPEN, unit_logs.FORM_SEALED}:
                self._element_wrong(log, one.sequence, one.name, "is in an unknown form")
                continue
            if one.form == unit_logs.FORM_SEALED:
                element = StoredElement(data_of[one.sequence], one.name, one.stored)
                sealed.setdefault(one.day, []).append((one.sequence, element))
                continue
            try:
                opened = sealing.read_open(one.name, one.sequence, one.stored, mark.commitment)
                if one.sequence in taken:
                    self._take(log, from_bytes(taken[one.sequence], opened.content))
            except StorageError as error:
                self._element_wrong(log, one.sequence, one.name, error.what)
        for day, some in sealed.items():
            checked = self._checked(day, log, [element for _, element in some])
            for (sequence, element), wrong in zip(some, checked, strict=True):
                if wrong is not None:
                    self._element_wrong(log, sequence, element.name, wrong)
        given_up, coming, lacking = excuses(connection, log.log_no, numbers)
        self._judge_lacking(log, lacking, marks.keys() - given_up)
        coming |= {mark for mark in marks if mark[0] in waiting}
        self.report.given_up += len(given_up)
        for excused, why in ((given_up, "given up"), (coming - given_up, "still to come")):
            self._excused += [(*one, why) for one in sorted(excused & set(marks))]
        self._absent += len(set(marks) - given_up - coming)

    def _judge_lacking(
        self, log: unit_logs.HeldLog, lacking: dict[int, int], absent: Collection[tuple[int, str]]
    ) -> None:
        """Judge missing elements. `lacking`: by record, how many elements are said to be still to come."""
        for sequence, missing in lacking.items():
            if missing > sum(number == sequence for number, _ in absent):
                self._record_wrong(log, sequence, "is marked as lacking what is here: it gets no receipt")

    def _take(self, log: unit_logs.HeldLog, record: FileInForce | GrantTaken | UploadReceipt) -> None:
        if not isinstance(record, UploadReceipt):
            self.report.reported.add(self._unit, record)
            return
        with contextlib.suppress(StorageError):  # another department's
            receipt = open_receipt(record.receipt, self._department, log.log_id)
            self._covered += receipt.ranges
            self.report.reported.prove(receipt.at_us)

    def _judge_excuses(self, connection: sa.Connection, log: unit_logs.HeldLog) -> None:
        """Judge claims of missing content against receipts, which cover only whole records that were here.

        If the database shows it, a claim may have ended since, before a receipt was given.
        """
        for sequence, name, why in self._excused:
            if any(first <= sequence <= last for first, last in self._covered):
                given_up, coming, _ = excuses(connection, log.log_no, range(sequence, sequence + 1))
                if (sequence, name) in given_up | coming:
                    what = f"marked as {why}, but a receipt was given for it"
                    self._element_wrong(log, sequence, name, what)

    def _checked(
        self, day: int, log: unit_logs.HeldLog, some: Sequence[StoredElement]
    ) -> Sequence[str | None]:
        try:
            return self._keys.check_stored(day, log.log_id, some)
        except KeyServiceError as error:
            return [error.what] * len(some)

    def _record_wrong(self, log: unit_logs.HeldLog, sequence: int, what: str) -> None:
        self.report.wrong(f"log {_short(log)}, record {sequence}: {what}")

    def _element_wrong(self, log: unit_logs.HeldLog, sequence: int, name: str, what: str) -> None:
        self.report.wrong(f"log {_short(log)}, record {sequence}, {name}: {what}")

    def _elements(
        self, connection: sa.Connection, log: unit_logs.HeldLog, numbers: range
    ) -> Iterator[_Element]:
        rows = connection.execute(
            select(elements)
            .where(
                elements.c.day.in_(self._here),  # the key's first column: else each call reads all rows
                elements.c.log_no == log.log_no,
                elements.c.sequence >= numbers.start,
                elements.c.sequence < numbers.stop,
            )
            .order_by(elements.c.sequence, elements.c.name)
        ).all()
        for row in rows:
            stored = b"" if row.stored is None else bytes(row.stored)
            if row.pack is not None:
                try:
                    stored = packed(self._packs, row.day, row.pack, row.offset, row.length)
                except StoreError as error:
                    if not self._purged(row.day):
                        self._element_wrong(log, row.sequence, row.name, str(error))
            yield _Element(row.day, row.sequence, row.name, row.form, stored)

    # --- receipts and purges -------------------------------------------------------------------------------

    def _receipts(self, connection: sa.Connection, log: unit_logs.HeldLog) -> None:
        r = receipts.c
        query = select(r.receipt_no, r.message, r.first, r.end).where(r.log_no == log.log_no)
        given = connection.execute(query).all()
        size = connection.execute(select(logs.c.size).where(logs.c.log_no == log.log_no)).scalar_one()
        for number, message, first, end in given:
            self.report.receipts += 1
            try:
                said = open_receipt(bytes(message), self._department, log.log_id)
            except StorageError as error:
                self.report.wrong(f"receipt {number}: {error.what}")
                continue
            self._covered += said.ranges
            if said.ranges and said.ranges[-1][1] >= size:  # as it is now, if the database shows it
                self.report.wrong(f"receipt {number}: covers records that are not here")
            if said.ranges and not first <= said.ranges[0][0] <= said.ranges[-1][1] < end:
                self.report.wrong(f"receipt {number}: is stored under other records than it names")

    def _purged_since(self, connection: sa.Connection) -> int:
        """How many elements went with days purged in the middle of this, on a database that shows it."""
        query = select(days.c.day, days.c.receipt).where(days.c.receipt.is_not(None))
        many = 0
        for day, receipt in connection.execute(query).all():
            if day in self._here and self._purged(day):
                with contextlib.suppress(ExplainedError):  # the next check names it
                    many += open_purge(bytes(receipt), self._department).elements
        return many

    def _purges(self, connection: sa.Connection) -> int:
        """Check that each purge receipt is valid and its key gone; return how many elements they account
        for."""
        counted = 0
        query = select(days.c.day, days.c.receipt, days.c.purged_us, days.c.purge_started_us)
        rows = connection.execute(query.order_by(days.c.day)).all()
        ended = [row.day for row in rows if None not in {row.purged_us, row.purge_started_us}]
        with_keys = self._keys.days_with_keys(ended)
        for day, message, purged_us, started_us in rows:
            if purged_us is None or started_us is None:
                if message is not None or purged_us is not None:
                    self.report.wrong(f"purge of day {day}: has a receipt, but no beginning or no end")
                continue
            self.report.purged_days += 1
            try:
                receipt = open_purge(bytes(message or b""), self._department)
            except ExplainedError as error:
                self.report.wrong(f"purge of day {day}: its receipt: {error}")
                continue
            counted += receipt.elements
            if day not in self.report.reported.days.repeats:
                self.report.reported.days.elements_purged[day] = receipt.elements
            if receipt.at_us != purged_us:
                self.report.wrong(f"purge of day {day}: not at the time that its receipt names")
            if receipt.day != day:
                self.report.wrong(f"purge of day {day}: its receipt names day {receipt.day}")
            if day in with_keys:
                self.report.wrong(f"purge of day {day}: its key still exists")
            if self._packs.names(day):
                self.report.wrong(f"purge of day {day}: packs of it still exist")
            for table in PARTITIONED:
                if connection.execute(select(table.c.day).where(table.c.day == day).limit(1)).first():
                    self.report.wrong(f"purge of day {day}: rows of it still exist")
        return counted


def _in_windows(parsed: Sequence[_Parsed]) -> Iterator[tuple[range, list[_Parsed]]]:
    """Split records, in order of their numbers and with gaps between them, into windows."""
    first = parsed[0][0].sequence if parsed else 0
    for at in sorted({(leaf.sequence - first) // AT_ONCE for leaf, _ in parsed}):
        numbers = range(first + at * AT_ONCE, first + (at + 1) * AT_ONCE)
        yield numbers, [one for one in parsed if one[0].sequence in numbers]


def _short(log: unit_logs.HeldLog) -> str:
    return log.log_id.hex()[:16]
