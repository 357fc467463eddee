"""What a check raises is a finding about the home, unless this machine is at fault."""

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
