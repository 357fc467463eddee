"""Takes a parcel's elements into the store: matches them to signed leaves, opens, reseals and syncs them.

It decides first, without a transaction, then writes once. A bad element is counted and requested again; the
third time it is an incident and no longer holds up the others. The caller admits one parcel of a log at a
time.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from storage import leaf as leaves
from storage import sealing
from storage.errors import ExplainedError, StorageError
from storage.read_records import Alert, AlertStepped
from storage.record_base import KeyClass
from storage.times import DAY_US, day_text
from sync import messages
from sync.department.content.key_service import (
    NOT_OF_DAY,
    ONLY_TODAY,
    Kept,
    ReceivingKeys,
)
from sync.department.content.search_tokens import StoredElement
from sync.department.store import incidents, unit_logs
from sync.department.store.blobs import PackStore
from sync.department.store.database import Store
from sync.department.store.unit_logs import FORM_OPEN, FORM_SEALED, HeldLog, NewElement
from sync.department.units import documents
from sync.errors import KeyServiceAwayError, KeyServiceError, OlderKeyServiceError, RefusedByDepartmentError

INLINE_BYTES = 8 * 1024  # larger ones go to the day's packs
ALERT_KINDS = frozenset({Alert.KIND, AlertStepped.KIND})
GONE = "no longer on the unit: purged before it could be sent"
PURGED = -1  # its day of receipt was purged
CLOCKS = "compare the clock of this server with that of the key service's machine, and set the wrong one"
PURGED_HERE = "was received before, and purged with its day of receipt (463.8)"


@dataclass(slots=True)
class _Sorted:
    """The contents of a parcel, sorted."""

    ready: list[NewElement] = field(default_factory=list)
    sealed: list[tuple[int, StoredElement]] = field(default_factory=list)
    bad: list[tuple[int, str, str, bool]] = field(default_factory=list)
    late: list[tuple[int, StoredElement]] = field(default_factory=list)  # not of a past day after all
    packed: list[int] = field(default_factory=list)  # the days of packs without rows so far


def _answers(is_back: Callable[[], bool]) -> bool:
    """Calls `is_back`; False if the key service does not answer or a file cannot be read."""
    try:
        return is_back()
    except (ExplainedError, OSError):
        return False


class Arrival:
    """Takes parcels for one store."""

    def __init__(  # noqa: PLR0917 - called once, by the receiver
        self,
        store: Store,
        keys: ReceivingKeys,
        packs: PackStore,
        now_us: Callable[[], int],
        alerted: Callable[[], object],
        counted: Callable[[int, int, str], int | None] = lambda _log, _sequence, _name: None,
    ) -> None:
        """`alerted`: called once records of alerts are stored.

        `counted`: the day of receipt of an element (log, record, name) that came before but that a restored
        store lacks; PURGED if that day was purged, None for today.
        """
        self._alerted, self._counted = alerted, counted
        self._store, self._keys, self._packs, self._now_us = store, keys, packs, now_us
        self._day_of_key = -1
        self._on_way: Counter[int] = Counter()  # packs by day, until their rows are written
        self._on_way_guard = threading.Lock()
        self._lost: dict[bytes | int, tuple[int, str, Callable[[], bool]]] = {}

    def lost_keys(self) -> list[str]:
        """Why units could not deliver since yesterday: a line for each missing key, with its cure.

        A key that was put back is no longer named, even before its units sync again.
        """
        since, lines = self._now_us() - DAY_US, []
        for key, (at_us, what, is_back) in list(self._lost.items()):
            if at_us > since and not _answers(is_back):
                lines.append(what)
            else:
                self._lost.pop(key, None)
        return lines

    def _gone(self, key: bytes | int, what: str, cure: str, is_back: Callable[[], bool]) -> KeyServiceError:
        self._lost[key] = self._now_us(), f"{what}: {cure}", is_back
        return KeyServiceError(what, where="key service", cure=cure)

    def is_on_way(self, day: int) -> bool:
        """Whether there may be a pack of this day whose rows are not yet written."""
        with self._on_way_guard:
            return self._on_way[day] > 0

    def take(
        self,
        log: HeldLog,
        header: messages.ParcelHeader,
        parts: Sequence[bytes],
        *,
        ahead: bytes | None = None,
    ) -> tuple[int, list[messages.Bad]]:
        """Take a parcel; returns (complete_to, bad elements). Raises RefusedByDepartmentError.

        Everything else is durable then. `ahead`: the leaf of a record whose turn in the log has not come; its
        bad elements wait for that.
        """
        with self._store.read() as connection:
            rows = unit_logs.missing_of(connection, log.log_no, (item.sequence for item in header.items))
            early = [] if ahead is None else [item.sequence for item in header.items[:1]]
            rows |= {n: (ahead, len(header.items)) for n in early if ahead is not None and n not in rows}
            parsed = {n: leaves.unchecked(data) for n, (data, missing) in rows.items() if missing}
            partly = [
                n for n, leaf in parsed.items() if rows[n][1] < len(messages.traveling(leaf)) or n in early
            ]
            here = unit_logs.names_held(connection, log.log_no, partly) if partly else set()
            keys = unit_logs.epoch_keys_of(connection, log.log_no)
            again = unit_logs.wanted_again(connection, log.log_no)
        keys |= {key.epoch: (key.day_key, key.sealed) for key in header.keys}
        found = _sort(log, header.items, parts, rows, parsed, here)
        public = log.public.public_bytes_raw()
        try:
            new = self._kept_by_day(log, public, keys, found)
            return self._write(log, header, parsed, found, new, again=bool(again), ahead=ahead is not None)
        finally:
            with self._on_way_guard:
                self._on_way.subtract(found.packed)

    def _write(
        self,
        log: HeldLog,
        header: messages.ParcelHeader,
        parsed: Mapping[int, leaves.Leaf],
        found: _Sorted,
        new: list[tuple[int, list[NewElement]]],
        *,
        again: bool,
        ahead: bool,
    ) -> tuple[int, list[messages.Bad]]:
        """Write the rows of what arrived in one transaction; returns (complete_to, bad elements)."""
        with self._store.write() as connection:
            unit_logs.put_epoch_keys(connection, log.log_no, header.keys)
            of_alerts = set[int]()
            for day, kept in new:
                unit_logs.add_elements(self._store, connection, log.log_no, day, kept)
                alerts = {one.sequence for one in kept if parsed[one.sequence].kind in ALERT_KINDS}
                unit_logs.note_alerts(connection, log.log_no, day, alerts)
                of_alerts |= alerts
            if again:
                arrived = {one.sequence for _, kept in new for one in kept}
                unit_logs.forgive(connection, log.log_no, arrived)
            bad = [
                unit_logs.count_bad(
                    connection, log.log_no, sequence, name, reason, self._now_us(), final=final
                )
                for sequence, name, reason, final in ([] if ahead else found.bad)
            ]
            for line in messages.summed_up(bad, final=True):
                incidents.record(
                    connection,
                    kind="bad-record",
                    detail=line,
                    unit_id=log.unit_id,
                    log_id=log.log_id,
                    now_us=self._now_us(),
                )
            complete_to = unit_logs.complete_to(connection, log)
        if of_alerts:
            self._alerted()
        return complete_to, bad

    def _days(self, log: HeldLog, found: _Sorted) -> list[tuple[int, _Sorted]]:
        """Group what arrived by its day of receipt; elements of purged days are given up."""
        today = self._now_us() // DAY_US
        days: dict[int, _Sorted] = {}
        for one in found.ready:
            day = self._counted(log.log_no, one.sequence, one.name)
            days.setdefault(today if day is None else day, _Sorted()).ready.append(one)
        for sequence, sealed in found.sealed:
            day = self._counted(log.log_no, sequence, sealed.name)
            days.setdefault(today if day is None else day, _Sorted()).sealed.append((sequence, sealed))
        gone = days.pop(PURGED, _Sorted())
        lost = [(one.sequence, one.name) for one in gone.ready]
        lost += [(sequence, one.name) for sequence, one in gone.sealed]
        found.bad += [(sequence, name, PURGED_HERE, True) for sequence, name in lost]
        return sorted(days.items())

    def _kept_by_day(
        self, log: HeldLog, public: bytes, keys: dict[int, tuple[bytes, bytes]], found: _Sorted
    ) -> list[tuple[int, list[NewElement]]]:
        """What arrived, as stored under its day. What the key service does not know for a past day is of
        today."""
        days = self._days(log, found)
        new = [kept for day, part in days for kept in self._kept(day, public, keys, part, found)]
        late = _Sorted(sealed=[one for _, part in days for one in part.late])
        if late.sealed:
            new += self._kept(self._now_us() // DAY_US, public, keys, late, found)
        return new

    def _resealed(
        self, day: int, public: bytes, keys: dict[int, tuple[bytes, bytes]], arrived: Sequence[StoredElement]
    ) -> list[tuple[int, Kept]]:
        """Each element with its day of receipt: `day`, or the past day that the key service knows."""
        if not arrived:
            return []
        if day < self._now_us() // DAY_US:
            try:
                return [
                    (day if kept.refused == NOT_OF_DAY and one < 0 else one, kept)
                    for one, kept in self._keys.reseal_again(day, public, keys, arrived)
                ]
            except OlderKeyServiceError:
                return [(day, Kept(b"", refused=NOT_OF_DAY)) for _ in arrived]
        try:
            return [(day, kept) for kept in self._keys.open_and_reseal(day, public, keys, arrived)]
        except KeyServiceError as error:
            if ONLY_TODAY not in error.what:
                raise
            raise KeyServiceError(error.what, where=error.where, cure=CLOCKS) from None

    def _kept(
        self,
        day: int,
        public: bytes,
        keys: dict[int, tuple[bytes, bytes]],
        found: _Sorted,
        whole: _Sorted,
    ) -> list[tuple[int, list[NewElement]]]:
        """The elements as stored, by their day of receipt: `day`, or another one that the key service knows.

        What does not open is added to `whole.bad`; what the service never sealed before, to `found.late`.
        """
        self._demand_key_of(day)
        self._store.open_day(day)
        ready = {day: list(found.ready)}
        resealed = self._resealed(day, public, keys, [one for _, one in found.sealed])
        for other in {one for one, _ in resealed} - {day}:
            if not 0 <= other <= self._now_us() // DAY_US:
                raise KeyServiceError("names an invalid day of receipt", where="key service", cure=CLOCKS)
            self._demand_key_of(other)
            self._store.open_day(other)
        # a unit that lost an epoch's key sends none: the key service refuses its content as bad
        asked = [keys.get(leaves.unchecked(one.leaf).epoch, (b"", b""))[0] for _, one in found.sealed]
        lacking = dict[bytes, Callable[[], bool]]()
        for (_, one), key, (_, kept) in zip(found.sealed, asked, resealed, strict=True):
            if kept.refused == messages.NO_DAY_KEY:
                own = {epoch: sealed for epoch, sealed in keys.items() if sealed[0] == key}
                lacking[key] = partial(self._opens_again, day, public, own, one)
        for key in asked:
            self._lost.pop(key, None)
        self._demand_offered(lacking)
        for (sequence, one), (of_day, kept) in zip(found.sealed, resealed, strict=True):
            if kept.refused == NOT_OF_DAY:
                if day >= self._now_us() // DAY_US:
                    raise KeyServiceError(kept.refused, where="key service", cure=CLOCKS)
                found.late.append((sequence, one))
                continue
            if kept.refused is not None:
                whole.bad.append((sequence, one.name, kept.refused, False))
                continue
            ready.setdefault(of_day, []).append(
                NewElement(
                    sequence=sequence,
                    name=one.name,
                    form=FORM_SEALED,
                    stored=kept.stored,
                    token=kept.token,
                )
            )
        return [(of_day, self._packed(of_day, part, whole.packed)) for of_day, part in ready.items()]

    def _opens_again(
        self, day: int, public: bytes, keys: dict[int, tuple[bytes, bytes]], one: StoredElement
    ) -> bool:
        """Whether the key under which this did not open is back; nothing of it is kept."""
        ((_, kept),) = self._resealed(day, public, keys, [one])
        return kept.refused != messages.NO_DAY_KEY

    def _demand_key_of(self, day: int) -> None:
        """Raises KeyServiceError if a day with content has no key.

        A new key would leave that content unreadable and hide the loss. Checked once a day, since the service
        may be remote.
        """
        before = day < self._now_us() // DAY_US
        if day == self._day_of_key and not before:
            return
        with self._store.read() as connection:
            held = before or unit_logs.has_sealed(connection, day)
        if held and not self._opens(day):
            until = "then" if before else "then, or until tomorrow (UTC)"
            raise self._gone(
                day,
                f"the key of what was received {'before' if before else 'today'} (store/{day}.key) is gone",
                f"restore it from its backup: units keep their reads until {until}",
                partial(self._opens, day),
            )
        self._lost.pop(day, None)
        if not before:
            self._day_of_key = day

    def _opens(self, day: int) -> bool:
        """Whether the key of a day is present and intact. Raises KeyServiceAwayError."""
        if not self._keys.has_store_key(day):
            return False
        try:
            self._keys.check_stored(day, bytes(32), ())
        except KeyServiceAwayError:
            raise
        except KeyServiceError:
            return False
        return True

    def _demand_offered(self, lacking: Mapping[bytes, Callable[[], bool]]) -> None:
        """Raises KeyServiceError if the key service lost a key that units were offered and that is still due.

        The content sealed to it is not damaged, so it is not given up until the key's time is over.
        `lacking`: the ids of day keys that the service lacks, and how to ask for each again.
        """
        if not lacking:
            return
        with self._store.read() as connection:
            offered = documents.offered_day_keys(connection, self._now_us())
        lost = [one for one in offered if one.key_id in lacking]
        if lost:
            raise self._gone(
                lost[0].key_id,
                f"the key of day {day_text(lost[0].day)}, to which units seal, is gone",
                "restore its folder day/ from its backup: units keep their reads until then; if it is lost "
                "for good: department keys renew",
                lacking[lost[0].key_id],
            )

    def _packed(self, day: int, ready: Sequence[NewElement], packed: list[int]) -> list[NewElement]:
        """The same elements, with the large ones in one synced pack."""
        small: list[NewElement] = []
        large: list[NewElement] = []
        for one in ready:
            (large if len(one.stored or b"") > INLINE_BYTES else small).append(one)
        if not large:
            return small
        packed.append(day)
        with self._on_way_guard:
            self._on_way[day] += 1  # before the pack exists
        pack = self._packs.put(day, [one.stored or b"" for one in large])
        offset = 0
        for one in large:
            length = len(one.stored or b"")
            small.append(replace(one, stored=None, pack=pack, offset=offset, length=length))
            offset += length
        return small


def _sort(  # noqa: PLR0917 - one call
    log: HeldLog,
    items: Sequence[messages.ParcelElement],
    parts: Sequence[bytes],
    rows: dict[int, tuple[bytes, int]],
    parsed: dict[int, leaves.Leaf],
    here: set[tuple[int, str]],
) -> _Sorted:
    """Match each element to its leaf. Raises RefusedByDepartmentError if no held leaf names it."""
    found = _Sorted()
    for item, stored in zip(items, parts, strict=True):
        if item.sequence not in rows:
            raise RefusedByDepartmentError(
                f"record {item.sequence} is not held yet: send its leaf first",
                code="gap",
                held=log.frontier.size,
            )
        data, missing = rows[item.sequence]
        if item.sequence not in parsed:
            parsed[item.sequence] = leaves.unchecked(data)
        leaf = parsed[item.sequence]
        if item.name not in messages.traveling(leaf):
            raise RefusedByDepartmentError(
                f"record {item.sequence} has no such element to send", code="malformed"
            )
        if not missing or (item.sequence, item.name) in here:
            continue  # sent twice, taken once
        here.add((item.sequence, item.name))
        _judge(found, leaf, data, item, stored)
    return found


def _judge(
    found: _Sorted, leaf: leaves.Leaf, data: bytes, item: messages.ParcelElement, stored: bytes
) -> None:
    mark = leaf.elements[item.name]
    if not stored:
        found.bad.append((item.sequence, item.name, GONE, True))
    elif hashlib.sha256(stored).digest() != mark.digest:
        found.bad.append((item.sequence, item.name, "is not what its leaf names", False))
    elif leaf.key_class is KeyClass.OPEN:
        try:
            sealing.read_open(item.name, item.sequence, stored, mark.commitment)
        except StorageError as error:
            found.bad.append((item.sequence, item.name, error.what, False))
            return
        found.ready.append(NewElement(sequence=item.sequence, name=item.name, form=FORM_OPEN, stored=stored))
    else:
        found.sealed.append((item.sequence, StoredElement(leaf=data, name=item.name, stored=stored)))
