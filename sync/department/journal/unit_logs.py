"""Which log is which unit's, by the access log: so the key service opens for a search of one unit its reads
alone. No I/O.

A log stays with the unit that was named first, whatever is written later. A unit takes another name only by a
code that a person asked for under that name, or where another unit took its own after it was revoked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sync.department.journal.entries import Entry
from sync.department.journal.machine_entries import UnitCodeIssued, UnitLogsNamed

WAS = " (was "  # a revoked unit made room for another one of its name


StoredLog: TypeAlias = tuple[str, str, str]
"""One log as the store has it: its id in hex, the id of its unit, the unit's name."""


@dataclass(slots=True)
class LogsOfUnits:
    """What the entries so far say. `units`: the unit of each log; `names`: of each unit; `asked`: names for
    which a person asked a code that gave no name yet."""

    units: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def apply(self, entry: Entry) -> str:
        """Take in an entry that its person signed, or the machine made: what is wrong with it, or empty."""
        note = entry.note
        if isinstance(note, UnitCodeIssued):
            self.asked.add(note.name)
        if not isinstance(note, UnitLogsNamed):
            return ""
        wrong = self._wrong_with(note)
        if not wrong:
            self.asked.discard(note.name)
            self.names[note.unit] = note.name
            self.units |= dict.fromkeys(note.logs, note.unit)
        return wrong

    def _wrong_with(self, note: UnitLogsNamed) -> str:
        old = self.names.get(note.unit, note.name)
        if old != note.name and note.name not in self.asked and not note.name.startswith(f"{old[:40]}{WAS}"):
            return f"unit {old} is named {note.name}, by no code that a person signed for"
        if any(name == note.name and unit != note.unit for unit, name in self.names.items()):
            return f"another unit is named {note.name} already"
        if any(self.units.get(log, note.unit) != note.unit for log in note.logs):
            return f"{note.name} is given another unit's log"
        return ""

    def name_of(self, log: str) -> str:
        """The name of a log's unit; empty if no entry says."""
        return self.names.get(self.units.get(log, ""), "")

    def missing(self, logs: Iterable[StoredLog]) -> list[UnitLogsNamed]:
        """The entries that the store's logs need, those of units that made room for another first."""
        fresh: dict[tuple[str, str], list[str]] = {}
        for log, unit, name in logs:
            if self.units.get(log) != unit or self.names.get(unit) != name:
                fresh.setdefault((unit, name), []).append(log)
        notes = [
            UnitLogsNamed(unit=unit, name=name, logs=tuple(sorted(found)))
            for (unit, name), found in sorted(fresh.items(), key=lambda one: WAS not in one[0][1])
        ]
        made_room = {one.unit for one in notes if WAS in one.name}
        trial = replace(
            self, names={unit: name for unit, name in self.names.items() if unit not in made_room}
        )
        return [one for one in notes if not trial._wrong_with(one)]

    def differences(self, logs: Iterable[StoredLog]) -> list[str]:
        """Logs that the entries give to another unit than the store, whose vouches `verify` checks."""
        return [
            f"log {log[:16]} is unit {name}'s, but the access log says {self.name_of(log)}'s"
            for log, unit, name in logs
            if self.units.get(log, unit) != unit
        ]
