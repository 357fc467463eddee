"""What a check found: a report of findings, the first bad record among them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from storage.errors import StorageError

MAX_FINDINGS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. `record`: its sequence number, or None for what is no record."""

    where: str
    what: str
    record: int | None = None


@dataclass(slots=True, kw_only=True)
class Report:
    """What a check found. `ok` is the verdict; `notes` are facts that are no fault."""

    log_id: str = ""
    records: int = 0
    purged_records: int = 0
    anchored: int = 0
    generation: int = 0
    slot_checked: bool = False
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def first_bad(self) -> Finding | None:
        """The first bad record in log order; what is no record comes after."""
        numbered = [one for one in self.findings if one.record is not None]
        return min(numbered, key=lambda one: one.record or 0) if numbered else next(iter(self.findings), None)

    def add(self, where: str, what: str, record: int | None = None) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(where=where, what=what, record=record))


@contextlib.contextmanager
def caught(report: Report, where: str, record: int | None = None) -> Iterator[None]:
    """Turn what a check raises into a finding."""
    try:
        yield
    except StorageError as error:
        index = getattr(error, "leaf_index", None)
        report.add(where, str(error), record if index is None else index)
    except (sqlite3.Error, OSError) as error:
        report.add(where, f"cannot be read: {error}", record)
    except (TypeError, ValueError, OverflowError) as error:  # a damaged page gives other types than its table
        report.add(where, f"cannot be read: {type(error).__name__}", record)
