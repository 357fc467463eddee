"""The report of a check: its findings, including the first bad record."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from storage.database import primary_code
from storage.errors import StorageError

MAX_FINDINGS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFinding:
    """One fault. `record`: the record's sequence number; None if it is not about a record."""

    where: str
    what: str
    record: int | None = None


@dataclass(slots=True, kw_only=True)
class UnitReport:
    """The result of a check. `ok` is the verdict; `notes` are facts that are not faults.

    anchored: how many records an anchor covers that only its keeper can write; anchored_by: "department",
    "slot" (a chip) or "" for none. unchecked: what this machine could not check, and why.
    """

    log_id: str = ""
    records: int = 0
    purged_records: int = 0
    anchored: int = 0
    anchored_by: str = ""
    generation: int = 0
    slot_checked: bool = False
    findings: list[UnitFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def complete(self) -> bool:
        """Whether everything could be checked."""
        return not self.unchecked

    @property
    def first_bad(self) -> UnitFinding | None:
        """The first finding in log order; those not about a record come last."""
        numbered = [one for one in self.findings if one.record is not None]
        return min(numbered, key=lambda one: one.record or 0) if numbered else next(iter(self.findings), None)

    def add(self, where: str, what: str, record: int | None = None) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(UnitFinding(where=where, what=what, record=record))


@contextlib.contextmanager
def caught(report: UnitReport, where: str, record: int | None = None) -> Iterator[None]:
    """Turn an error of a check into a finding, unless this machine is at fault and not the home."""
    try:
        yield
    except StorageError as error:
        index = getattr(error, "leaf_index", None)
        report.add(where, str(error), record if index is None else index)
    except (sqlite3.Error, OSError) as error:
        if _of_this_machine(error):
            report.unchecked.append(f"{where}: {getattr(error, 'strerror', None) or error}")
        else:
            report.add(where, f"cannot be read: {error}", record)
    except (TypeError, ValueError, OverflowError) as error:  # a damaged page gives any type
        report.add(where, f"cannot be read: {type(error).__name__}", record)


def _of_this_machine(error: sqlite3.Error | OSError) -> bool:
    """Whether the error is about this user's rights or this machine's disk, not about what was checked."""
    if isinstance(error, OSError):
        return isinstance(error, PermissionError) or error.errno in {errno.ENOSPC, errno.EMFILE, errno.ENFILE}
    return primary_code(error) in {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    }
