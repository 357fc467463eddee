"""Checks the files of a home against those that its log names: images, strays, the slot, foreign files."""

from __future__ import annotations

import re
from pathlib import Path

from storage import damage, files
from storage.blobs import MAX_BLOB_BYTES, Blobs
from storage.counts import counted
from storage.epochs import LogFacts
from storage.findings import UnitReport, caught
from storage.home import Home
from storage.store import MOST_STRAYS

SLOT_FILE = "file:"
SLOT_URI = re.compile(r"file:[^/]+|loopback:/.+|tpm:.+")
OWN_FILES = frozenset({"log.pub", "slot.uri", "door.sock", "lock", "book.snapshot", "reserve"})
OWN_FOLDERS = frozenset({"blobs", "strays", "demo-people"})
UNFINISHED = (".new",)  # left by a power cut while a file is replaced


def check_folder(home: Home, report: UnitReport, *, given_up: bool) -> str:
    """Check that every file is in its place and a file slot exists; returns the slot's URI or ""."""
    uri = ""
    with caught(report, "slot.uri"):
        uri = home.read_slot_uri()
    if uri and not SLOT_URI.fullmatch(uri):
        report.add("slot.uri", "names no slot: file:NAME, loopback:/PATH or tpm:INDEX")
    slot_name = uri.removeprefix(SLOT_FILE) if uri.startswith(SLOT_FILE) else ""
    if slot_name and not given_up and not (home.folder / slot_name).is_file():
        report.add(
            "slot", f"the file {slot_name} is missing: nothing that this home holds can be opened again"
        )
    database = home.database.name
    known = OWN_FILES | {f"{database}{end}" for end in ("", "-wal", "-shm", *damage.COUNTS)} | {slot_name}
    with caught(report, "the folder"):
        for path in sorted(home.folder.iterdir()):
            expected = path.is_dir() if path.name in OWN_FOLDERS else _own_file(path, known)
            if path.is_symlink() or not expected:
                report.add(path.name, "does not belong among the files of a ledger")
    return uri


def _own_file(path: Path, known: frozenset[str] | set[str]) -> bool:
    """Whether a ledger has a file of this name, or a power cut may leave one."""
    return not path.is_dir() and (path.name in known or path.suffix in UNFINISHED)


def check_images(
    home: Home, book: LogFacts, named: dict[int, set[str]], report: UnitReport, *, images_ahead: int
) -> None:
    """Check images without a record: a power cut leaves a few (a note), more are a finding.

    images_ahead: how many images the interrupted operation had announced.
    """
    with caught(report, "blobs"):
        blobs = Blobs(home.blobs)  # it only reads, so it needs no syncing threads
        for name in blobs.foreign():
            report.add(f"blobs/{name}", "does not belong among the blobs")
        for epoch in blobs.epochs():
            _epoch(blobs, book, epoch, named.get(epoch, set()), report, max(MOST_STRAYS, images_ahead))
    with caught(report, "strays"):
        for folder in sorted(home.strays.iterdir()) if home.strays.is_dir() else ():
            count = sum(1 for _ in folder.iterdir())
            if count > MOST_STRAYS:
                report.add(f"strays/{folder.name}", f"{count} {WITHOUT_RECORD}, set aside at a start: {CUT}")
            else:
                report.notes.append(
                    f"{count} {WITHOUT_RECORD} of a power cut are kept in strays/{folder.name}"
                )


WITHOUT_RECORD = "sealed images that no record names"
CUT = "the log was cut short, or they were planted"


def _epoch(  # noqa: PLR0917 - one call
    blobs: Blobs, book: LogFacts, epoch: int, named: set[str], report: UnitReport, most: int
) -> None:
    where = f"blobs/{epoch:08d}"
    for name in sorted(blobs.names(epoch)):
        path = blobs.folder / f"{epoch:08d}" / name
        if path.is_symlink() or not path.is_file():
            report.add(f"{where}/{name}", "is not a file")
    stray = blobs.names(epoch) - named
    facts = book.epochs.get(epoch)
    at_work = epoch == book.next_epoch() if facts is None else not facts.closed or book.going(epoch)
    if not stray:
        return
    if at_work and len(stray) <= most:
        images = counted(len(stray), "image")
        report.notes.append(f"{images} without a record, as a power cut leaves them, in {where}")
    else:
        report.add(where, f"{len(stray)} {WITHOUT_RECORD}: {CUT}")


def image_bytes(path: Path) -> bytes | None:
    """An image's bytes; None if it is missing. Raises LedgerError if it is too large or not our image."""
    try:
        return files.read_bounded(path, MAX_BLOB_BYTES)
    except FileNotFoundError:
        return None
