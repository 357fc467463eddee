"""An error during a check is a finding about the home, unless this machine is at fault."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from storage.errors import LedgerError
from storage.findings import UnitFinding, UnitReport, caught


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/home/a"), "Permission denied"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files"),
    ],
)
def test_what_is_this_machines_fault_is_unchecked_and_no_finding(error: Exception, what: str) -> None:
    report = UnitReport()
    with caught(report, "images"):
        raise error
    assert (report.ok, report.complete, report.unchecked) == (True, False, [f"images: {what}"])


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (
            FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)),
            "cannot be read: [Errno 2] No such file",
        ),
        (sqlite3.DatabaseError("database disk image is malformed"), "cannot be read: database disk image"),
        (TypeError("'NoneType'"), "cannot be read: TypeError"),
        (LedgerError("does not parse", where="leaves"), "does not parse"),
    ],
)
def test_what_the_home_lacks_is_a_finding_at_its_record(error: Exception, what: str) -> None:
    report = UnitReport()
    with caught(report, "images", 7):
        raise error
    assert report.complete
    (found,) = report.findings
    assert (found.where, found.record) == ("images", 7)
    assert what in found.what
    assert report.first_bad == UnitFinding(where="images", what=found.what, record=7)


@pytest.mark.parametrize("kind", [errno.ENFILE, errno.ENOSPC, errno.EMFILE, errno.EACCES])
def test_no_errno_of_this_machine_is_a_finding(kind: int) -> None:
    report = UnitReport()
    with caught(report, "images"):
        raise OSError(kind, os.strerror(kind))
    assert (report.ok, len(report.unchecked)) == (True, 1)


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (sqlite3.SQLITE_CANTOPEN, False), (sqlite3.SQLITE_FULL, False), (sqlite3.SQLITE_PERM, False),
        (sqlite3.SQLITE_NOMEM, False), (sqlite3.SQLITE_CANTOPEN | 3 << 8, False),
        (sqlite3.SQLITE_CORRUPT, True), (sqlite3.SQLITE_NOTADB, True),
    ],
)  # fmt: skip
def test_an_error_of_the_database_is_this_machines_by_its_code(code: int, finding: bool) -> None:
    error = sqlite3.OperationalError("unable to open")
    error.sqlite_errorcode = code
    report = UnitReport()
    with caught(report, "ledger"):
        raise error
    assert (report.ok, report.complete) == (not finding, finding)
    assert report.unchecked == ([] if finding else ["ledger: unable to open"])


def test_a_record_that_the_error_names_is_the_findings_record() -> None:
    report = UnitReport()
    with caught(report, "leaves", 7):
        raise LedgerError("is missing", where="record 0", leaf_index=0)
    assert report.findings[0].record == 0


def test_the_first_bad_record_is_the_first_of_the_log_and_of_no_record_the_first_found() -> None:
    report = UnitReport()
    assert (report.first_bad, report.ok, report.complete) == (None, True, True)
    report.add("slot", "a")
    report.add("state", "b")
    assert report.first_bad == UnitFinding(where="slot", what="a")
    for record in (5, 0, 3):
        report.add("record", "c", record)
    assert report.first_bad == UnitFinding(where="record", what="c", record=0)


def test_a_report_holds_its_first_hundred_findings() -> None:
    report = UnitReport()
    for number in range(102):
        report.add("record", "x", number)
    assert [one.record for one in report.findings] == list(range(100))
