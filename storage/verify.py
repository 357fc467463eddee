"""Checks a home with only a public key: every signature, the tree, every stored byte, every receipt.

It only reads; repairs nothing; trusts no cache; makes no file next to the evidence. Findings are in log
order, so the first one names the first bad record. A complete older copy of a home is consistent with itself:
only an anchor (a checkpoint that the department co-signed, a slot in a chip) reveals it. `anchored` says up
to which record there is one, and whose. A slot that is a file is not an anchor: anyone who can write the card
can write it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from storage import envelope, schema, slot
from storage.checkpoint import NoteKey
from storage.findings import UnitReport, caught
from storage.home import Home
from storage.leaf import log_id_of, origin_of
from storage.verify_files import check_folder
from storage.verify_pass import HomeCheck

if TYPE_CHECKING:
    import sqlite_utils


def verify_home(
    home: Home,
    key: NoteKey | None = None,
    content: slot.SlotContent | None = None,
    department: NoteKey | None = None,
    *,
    given_up: bool = False,
) -> UnitReport:
    """Check a home against `key` (its own log.pub if None) and, if given, against its slot.

    `department`: its log's key; then co-signatures and upload receipts are checked too. Without it a note
    says that they were not checked, and they do not count as anchors. `given_up`: another log replaced the
    home's. Writes nothing, not even next to the home. Raises LedgerError only if there is no home to check.
    """
    home.need()
    report = UnitReport()
    slot_uri = check_folder(home, report, given_up=given_up)
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
        HomeCheck(home, database, key, report, department, slot_uri).run(content)
    return report


@contextlib.contextmanager
def _snapshot(home: Home) -> Iterator[sqlite_utils.Database]:
    """A consistent view, whatever a running writer adds meanwhile. Writes nothing."""
    with schema.evidence(home.database, written=home.is_written()) as database:
        schema.found(database, home.database)
        database.conn.execute("BEGIN")
        yield database
