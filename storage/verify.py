"""Checks a home with nothing but a public key: every signature, the tree, every stored byte, every receipt.

Reads only; repairs nothing; trusts no cache. Findings come in log order, so the first one names the
first bad record. Without the slot, a whole older copy of a home is consistent with itself: only an anchor
(slot, co-signed checkpoint) shows it, and `anchored` says up to where one was seen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlite_utils

from storage import envelope, schema, slot
from storage.checkpoint import NoteKey
from storage.findings import Report, caught
from storage.home import Home
from storage.leaf import log_id_of, origin_of
from storage.verify_pass import HomeCheck


def verify_home(
    home: Home,
    key: NoteKey | None = None,
    content: slot.SlotContent | None = None,
    department: NoteKey | None = None,
) -> Report:
    """Check a home against `key` (its own log.pub if None) and, where given, what its slot holds.

    `department`: its log's key; checks co-signatures and upload receipts too, without it a note says that
    they were not. Raises LedgerError only where there is no home to check at all.
    """
    home.need()
    report = Report()
    with caught(report, "log.pub"):
        own = home.read_public_key()
        if own.name != origin_of(log_id_of(own.public)):
            report.add("log.pub", "the key's name is not that of its log")
        if key is not None and envelope.raw_public(own.public) != envelope.raw_public(key.public):
            report.add("log.pub", "is not the key that was given")
        key = key or own
    if key is None:
        return report
    key = NoteKey(origin_of(log_id_of(key.public)), key.public)
    with caught(report, "ledger.sqlite3"), _snapshot(home) as database:
        HomeCheck(home, database, key, report, department).run(content)
    return report


@contextlib.contextmanager
def _snapshot(home: Home) -> Iterator[sqlite_utils.Database]:
    """One consistent view, whatever a running writer adds meanwhile."""
    database = schema.connect(home.database, readonly=True)
    try:
        schema.found(database, home.database)
        database.conn.execute("BEGIN")
        yield database
    finally:
        database.close()
