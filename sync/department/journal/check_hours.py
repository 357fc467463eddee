"""Checks the log of hourly heads: that no hour is missing, and that each is as public witnesses saw it.

At home, the file must be there. An outsider has only what the department gave; anything missing is reported
as not checked, never as wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storage import merkle
from storage.checkpoint import NoteKey, open_checkpoint
from storage.cosigners import Witnesses
from storage.counts import counted
from storage.errors import CheckpointError
from storage.times import HOUR_US, SECOND_US, iso_text
from sync.department.journal.check_log import SKEW_US, Tree, expected_nodes
from sync.department.journal.hourly_heads import DATABASE, HourRow, leaf_of
from sync.department.journal.reading import reading

NAME = "hourly heads"


@dataclass(slots=True)
class HoursReport:
    """The result of a check.

    `hours`: how many are here; `witnessed`: how many of them a public witness saw, the last at
    `witnessed_at_s`; `unchecked`: what could not be checked because a file, a key or a tree head is missing.
    """

    hours: int = 0
    witnessed: int = 0
    witnessed_at_s: int = 0
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def wrong(self, what: str) -> None:
        self.problems.append(f"{NAME}: {what}")

    def not_checked(self, what: str) -> None:
        self.unchecked.append(f"{NAME}: {what}")


def check_hours(  # noqa: PLR0917 - a log, its key and its co-signers
    folder: Path,
    log_id: bytes,
    key: NoteKey,
    tree: Callable[[], Tree],
    witnesses: Witnesses | None,
    checkpoints: Sequence[str],
    *,
    at_home: bool = True,
) -> HoursReport:
    """Compare the hourly log with the access log's `tree` and with what public witnesses co-signed.

    `tree`: reads it, after the hours, since a server may enter an hour meanwhile.
    `witnesses`: the public ones, or None if their keys are unknown; `checkpoints`: their newest notes.
    """
    report = HoursReport()
    path = folder / DATABASE
    if not path.is_file():
        if at_home and checkpoints:
            report.wrong("public witnesses saw a log that is not here")
        else:
            report.not_checked(f"{DATABASE} is not here")
        return report
    try:
        with reading(path, at_home=at_home) as db:
            found = db.execute("SELECT at, hour, salt, size, root FROM leaves ORDER BY at").fetchall()
            nodes = {
                (level, at): value for level, at, value in db.execute("SELECT level, at, hash FROM nodes")
            }
            heads = db.execute("SELECT size, note FROM heads ORDER BY size").fetchall()
    except sqlite3.DatabaseError as error:
        report.wrong(f"cannot be read: {error}")
        return report
    rows = [HourRow(*one[1:]) for one in found]
    report.hours = len(rows)
    _check_rows([one[0] for one in found], rows, tree(), report)
    hashes = [merkle.leaf_hash(leaf_of(log_id, row.hour, row.salt, row.size, row.root)) for row in rows]
    if expected_nodes(hashes) != nodes:
        report.wrong("the cached tree differs from the hours")
    hours = Tree(hashes)
    for size, note in heads:
        _check_note(note, key, hours, rows, witnesses, report, size=size)
    for note in checkpoints if witnesses is not None else ():
        _check_note(note, key, hours, rows, witnesses, report)
    if witnesses is None:
        report.not_checked("co-signatures (no key of a public witness)")
    elif not checkpoints:
        report.not_checked("whether hours were removed at the end (no public witness's newest tree head)")
    return report


def _check_rows(places: list[int], rows: list[HourRow], tree: Tree, report: HoursReport) -> None:
    """Check that each hour follows the one before and has a head of the access log."""
    if places != list(range(len(places))):
        report.wrong("the leaves are not numbered one after another: an hour was removed")
    for at, row in enumerate(rows):
        name = _hour(row.hour)
        if at and row.hour != rows[at - 1].hour + 1:
            gap = row.hour - rows[at - 1].hour - 1
            what = f"{counted(gap, 'hour')} before {name} missing" if gap > 0 else f"{name} is out of order"
            report.wrong(what)
        if at and row.size < rows[at - 1].size:
            report.wrong(f"{name} has fewer entries than the hour before it")
        if row.size > len(tree) or tree.root(row.size) != row.root:
            report.wrong(f"{name} has a head that is not one of this access log")


def _check_note(  # noqa: PLR0917 - a tree head and what to compare it with
    note: str,
    key: NoteKey,
    hours: Tree,
    rows: list[HourRow],
    witnesses: Witnesses | None,
    report: HoursReport,
    *,
    size: int | None = None,
) -> None:
    """Check a tree head of the hours. `size`: as stored by the department; None for a witness's head."""
    what = "a public witness's tree head" if size is None else "a stored tree head"
    try:
        head = open_checkpoint(note, key)
        signed = witnesses.cosignatures(note) if witnesses is not None else []
    except CheckpointError as error:
        report.wrong(f"{what}: {error}")
        return
    if size is None and not signed:
        report.wrong(f"{what}: no public witness co-signed it")
        return
    if size is not None and head.size != size:
        report.wrong(f"{what}: names {counted(head.size, 'hour')}, but {size} is written beside it")
    if head.size > len(hours) or hours.root(head.size) != head.root:
        seen = "a public witness saw another log" if signed else f"{what} belongs to another log"
        report.wrong(f"{seen}: entries were changed or removed")
        return
    for one in signed:
        if head.size and rows[head.size - 1].hour * HOUR_US > one.time_s * SECOND_US + SKEW_US:
            report.wrong(f"{_hour(rows[head.size - 1].hour)} is dated after {one.name} saw it")
        at = (head.size, one.time_s)
        report.witnessed, report.witnessed_at_s = max((report.witnessed, report.witnessed_at_s), at)


def _hour(hour: int) -> str:
    return f"the hour {iso_text(hour * HOUR_US, to='second')}"
