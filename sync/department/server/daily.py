"""The desk's daily work: show the keys the log, enter purges, finish holds, look for misuse, notify units.

The parts are independent. One that fails is reported and retried the next day.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from storage import files
from storage.errors import ExplainedError, StorageError
from storage.times import DAY_US, day_text
from sync.department.content.opened_list import FIRST
from sync.department.content.proven_door import ProvenDoor
from sync.department.desk.audit import calls as calls_audit
from sync.department.desk.audit import case_calls, cases
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Desk
from sync.department.desk.documents import local
from sync.department.desk.documents.own_entries import Readers
from sync.department.desk.holds import calls as calls_holds
from sync.department.desk.incidents import calls as calls_incidents
from sync.department.desk.machine import unit_calls
from sync.department.desk.machine.naming_logs import name_logs
from sync.department.journal.change_entries import DayCounted
from sync.department.journal.hold_entries import Purged
from sync.department.journal.machine_entries import KeysListSeen, UnitsListed
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Role
from sync.department.server.due_work import standing
from sync.department.server.notify import ADMINISTRATORS_FILE, Way, notify
from sync.department.server.retention import RepeatedPurge, StoreRetention, open_purge
from sync.department.store.dated_rows import CountedRows
from sync.department.store.received import ReceivedDay

log_events = structlog.get_logger("department.desk")
PROGRESS_S = 10.0
WRITTEN_S = 60.0  # how long ago an export must have been written


def enter_purges(desk: Desk, retention: StoreRetention) -> list[int]:
    """Enter every purge of the store that the log does not know yet, and return the entries' numbers.

    The store's receipts say what was destroyed. This enters those that a crash, a purge by command or a later
    desk left out.
    """
    notes = []
    desk.refresh()
    known = desk.book.purged_days
    for day, data in retention.receipts():
        name = day_text(day)
        if name in known:
            continue
        receipt = open_purge(data, desk.log.public)
        if isinstance(receipt, RepeatedPurge):
            continue  # of a purge that the log had: `verify` names it
        notes.append(
            Purged(
                day=name,
                reads=receipt.records,
                elements=receipt.elements,
                clause=receipt.clause,
                purged_us=receipt.at_us,
                receipt=hashlib.sha256(data).digest(),
            )
        )
    with desk.log.writing():
        desk.refresh()
        entries = desk.system(*(note for note in notes if note.day not in desk.book.purged_days))
    return [entry.sequence for entry in entries]


def count_days(front: DeskContext) -> int:
    """Enter what came in on each past day of receipt and what was given up; return how many days.

    A day that was purged before it was counted is in the log by its purge. Yesterday's entry also says which
    dated rows there are and how long the units' logs are. If those grew, a day without content has an entry
    too.
    """
    desk = front.desk
    last = desk.now_us() // DAY_US - 1
    counts = {one.day: one for one in front.reads.received()}
    with desk.log.writing():
        desk.refresh()
        book = desk.book
        fresh = {day for day in counts if day <= last and day_text(day) not in book.counted_days}
        rows, sizes = None, dict[int, int]()
        if day_text(last) not in book.counted_days:
            rows = front.state.rows_to(book.rows_through + 1 if book.rows_through >= 0 else -1, last)
            known = book.log_sizes
            sizes = {log: size for log, size in front.state.log_sizes().items() if size > known.get(log, 0)}
        if rows or sizes:
            fresh.add(last)
        desk.system(*(_counted(day, counts.get(day), last, rows, sizes) for day in sorted(fresh)))
    return len(fresh)


def _counted(
    day: int,
    one: ReceivedDay | None,
    last: int,
    rows: tuple[CountedRows, ...] | None,
    sizes: dict[int, int],
) -> DayCounted:
    """The entry of a day. That of the `last` day has the rows and the sizes."""
    note = DayCounted(
        day=day_text(day),
        reads=one.reads if one else 0,
        elements=one.elements if one else (),
        given_up=one.given_up if one else 0,
    )
    return replace(note, rows=rows, sizes=tuple(sorted(sizes.items()))) if day == last else note


def show_log(front: DeskContext) -> int:
    """Show the key service the entries that it has not followed yet; return how many.

    So no search waits for a long log. After a new version, or if its disk was set back, that can be all
    entries.
    """
    shown_s = time.monotonic()

    def show(done: int, of: int) -> None:
        nonlocal shown_s
        if time.monotonic() - shown_s >= PROGRESS_S:
            shown_s = time.monotonic()
            log_events.info("keys_follow_the_log", entries=done, of=of)

    if front.desk.root.witnessing() is None:
        return 0  # the keys open nothing yet
    return ProvenDoor(lambda: front.door, front.desk.log).catch_up(show)


def list_units(front: DeskContext) -> int:
    """Enter once which units joined before entries named each code; return how many."""
    desk, units = front.desk, front.state.joined()
    with desk.log.writing():
        desk.refresh()
        if desk.book.joined.lists:
            return 0
        revoked = tuple(one.unit_id for one in units if one.revoked)
        desk.system(UnitsListed(units=tuple(one.unit_id for one in units), revoked=revoked))
    return len(units)


def enter_keys_list(front: DeskContext) -> int:
    """Enter how far the key service's own list goes; return how many lines are new.

    So it shows, now or later, if the service's disk is set back. If the list lacks the last line that was
    entered, its count begins again at none, for `compliance`.
    """
    desk = front.desk
    desk.refresh()
    seen = desk.book.keys_list
    known, last = (0, b"") if seen is None else (seen.lines, seen.digest)
    lines = front.keys_list(max(known - 1, 0))
    fresh = lines[1:] if known else lines
    notes = []
    if known and (not lines or hashlib.sha256(lines[0]).digest() != last):
        log_events.error("keys_list_set_back", lines=known)
        known, fresh = 0, front.keys_list(0)
        notes.append(KeysListSeen(lines=0, digest=FIRST))
    if fresh:
        notes.append(KeysListSeen(lines=known + len(fresh), digest=hashlib.sha256(fresh[-1]).digest()))
    if notes:
        with desk.log.writing():
            desk.refresh()
            for note in notes:
                desk.system(note)
    return len(fresh)


def cover_newest(desk: Desk) -> None:
    """Have the witnesses sign for what the other parts entered."""
    if desk.log.cosigned()[0] < desk.log.size():
        desk.try_cover(desk.log.size() - 1)


def compare_cases(front: DeskContext, folder: Path) -> int:
    """Compare lookups with all exports in the drop folder as one, and move these aside; return how many
    lookups.

    CAD and RMS write `*.csv` there. An invalid file is moved aside too, as `*.refused`. A file younger than a
    minute may still be written, so it is left, as is anything that is not a plain file or cannot be read.
    """
    exports: dict[Path, bytes] = {}
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        try:
            data = _export(path)
            if data is not None:
                cases.read_export(data)
                exports[path] = data
        except FormError as error:
            log_events.warning("export_refused", code=error.code, what=error.what)
            _set_aside(path, "refused")
        except (OSError, StorageError) as error:
            log_events.warning("export_not_read", kind=type(error).__name__)
    if not exports:
        return 0
    try:
        done, word = case_calls.compare_daily(front, list(exports.values())), "done"
    except FormError as error:
        log_events.warning("export_refused", code=error.code, what=error.what)
        done, word = 0, "refused"
    for path in exports:
        _set_aside(path, word)
    return done


def _export(path: Path) -> bytes | None:
    """A plain file's content; None while it may still be written. Raises OSError, StorageError."""
    with files.open_evidence(path) as file:
        if 0 <= time.time() - os.fstat(file.fileno()).st_mtime < WRITTEN_S:
            return None  # a time in the future is another machine's clock
        return file.read(cases.MAX_EXPORT_BYTES + 1)


def _set_aside(path: Path, word: str) -> None:
    try:
        path.replace(path.with_suffix(f".csv.{word}"))
    except OSError as error:  # compared again tomorrow, with the same result
        log_events.warning("export_stays", kind=type(error).__name__)


def notify_people(front: DeskContext, ways: Sequence[Way], administrators: Sequence[Way] = ()) -> bool:
    """Notify people of what is overdue and what ends soon, as the settings say. Returns whether anyone got
    it."""
    folder, now_us, done = front.desk.log.folder, front.desk.now_us(), False
    if ways:
        done = notify(folder, ways, standing(front).lines(), now_us)
    if administrators:
        lines = standing(front, Readers(roles=(Role.ADMINISTRATOR,))).lines()
        done |= notify(folder, administrators, lines, now_us, kept=ADMINISTRATORS_FILE)
    return done


def run(
    front: DeskContext,
    retention: StoreRetention,
    ways: Sequence[Way] = (),
    administrators: Sequence[Way] = (),
) -> None:
    """Do all daily work.

    `ways`, `administrators`: how to notify people (`notify.ways_of`, `notify.ways_to_administrators`).
    """
    parts: tuple[tuple[str, Callable[[], object]], ...] = (
        ("log", lambda: show_log(front)),
        ("purges", lambda: enter_purges(front.desk, retention)),
        ("revocations", lambda: unit_calls.repeat_revocations(front)),
        ("holds", lambda: calls_holds.finish(front)),
        ("incidents", lambda: calls_incidents.repeat(front)),
        ("counts", lambda: count_days(front)),
        ("cases", lambda: compare_cases(front, front.exports)),
        ("detectors", lambda: calls_audit.look_daily(front)),
        ("own list", lambda: local.send_kept(front)),
        ("documents", front.send_down),
        ("sent", front.enter_sent),
        ("units", lambda: list_units(front)),
        ("logs", lambda: name_logs(front)),
        ("keys", lambda: enter_keys_list(front)),
        ("cover", lambda: cover_newest(front.desk)),
        ("notices", lambda: notify_people(front, ways, administrators)),
    )
    for name, part in parts:
        try:
            part()
        except Exception as error:  # noqa: BLE001 - whatever stops one part must not stop the others
            what = error.what if isinstance(error, ExplainedError) else ""
            log_events.warning("daily_failed", part=name, kind=type(error).__name__, what=what)
