"""Which log belongs to which unit, by the access log. No I/O.

By this, the key service opens only a unit's own reads for a search of that unit. A log stays with the unit
that was named first, whatever is written later. A unit gets another name only by a code that a person
requested for that name, or if another unit took its name after it was revoked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sync.department.journal.entries import Entry
from sync.department.journal.machine_entries import UnitCodeIssued, UnitLogsNamed

WAS = " (was "  # in the name of a revoked unit, whose name another one took


StoredLog: TypeAlias = tuple[str, str, str]
"""One log as the store has it: its id in hex, the id of its unit, the unit's name."""


@dataclass(slots=True)
class LogsOfUnits:
    """The state after the entries so far.

    `units`: the unit of each log; `names`: the name of each unit; `asked`: names for which a person requested
    a code that was not used yet.
    """

    units: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def apply(self, entry: Entry) -> str:
        """Take in an entry that a person signed or the machine made; returns what is wrong with it."""
        note = entry.note
        if isinstance(note, UnitCodeIssued):
            self.asked.add(note.name)
        if not isinstance(note, UnitLogsNamed):
            return ""
        wrong = self._wrong_with(note)
        if not wrong:
            self._take(note)
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
        """The name of a log's unit; empty if no entry gives it."""
        return self.names.get(self.units.get(log, ""), "")

    def missing(self, logs: Iterable[StoredLog]) -> list[UnitLogsNamed]:
        """The missing entries for the store's logs, in order.

        A unit that takes another's name comes after that one has given it up; of two that exchange names, one
        first gives up its own.
        """
        fresh: dict[tuple[str, str], list[str]] = {}
        for log, unit, name in logs:
            if self.units.get(log) != unit or self.names.get(unit) != name:
                fresh.setdefault((unit, name), []).append(log)
        waiting = [
            UnitLogsNamed(unit=unit, name=name, logs=tuple(sorted(found)))
            for (unit, name), found in sorted(fresh.items())
        ]
        trial = LogsOfUnits(units=dict(self.units), names=dict(self.names), asked=set(self.asked))
        made: list[UnitLogsNamed] = []
        while waiting:
            fits = next((one for one in waiting if not trial._wrong_with(one)), None)
            if fits is not None:
                waiting.remove(fits)
            else:
                units = {one.unit for one in waiting}
                going = (trial._let_go(one, units) for one in waiting)
                fits = next((one for one in going if one is not None), None)
            if fits is None:
                break
            trial._take(fits)
            made.append(fits)
        return made

    def _let_go(self, note: UnitLogsNamed, waiting: set[str]) -> UnitLogsNamed | None:
        """The entry by which a unit that takes a waiting unit's name gives up its own.

        None if no person signed for such a name, or if it has already given it up.
        """
        old = self.names.get(note.unit, "")
        held = any(name == note.name and unit in waiting for unit, name in self.names.items())
        if not held or not old or WAS in old or note.name not in self.asked:
            return None
        return replace(note, name=f"{old[:40]}{WAS}{note.unit[:12]})")

    def _take(self, note: UnitLogsNamed) -> None:
        self.asked.discard(note.name)
        self.names[note.unit] = note.name
        self.units |= dict.fromkeys(note.logs, note.unit)

    def differences(self, logs: Iterable[StoredLog]) -> list[str]:
        """The differences between the store and the entries: other units of logs, other names, missing logs.

        The units' vouches are checked elsewhere.
        """
        stored = list(logs)
        wrong = [
            f"log {log[:16]} is unit {name}'s, but the access log says {self.name_of(log)}'s"
            for log, unit, name in stored
            if self.units.get(log, unit) != unit
        ]
        wrong += [
            f"a unit is named {name}, but the access log says {self.names[unit]}"
            for unit, name in sorted({(unit, name) for _, unit, name in stored})
            if self.names.get(unit, name) != name and not self._may_be_named(unit, name)
        ]
        gone = self.units.keys() - {log for log, _, _ in stored}
        return wrong + [f"log {log[:16]} of unit {self.name_of(log)} is not here" for log in sorted(gone)]

    def pending(self, logs: Iterable[StoredLog]) -> list[str]:
        """Units with a new name that the entries allow but do not give yet."""
        return [
            f"that unit {self.names[unit]} is named {name} now: its entry comes with the next daily run"
            for unit, name in sorted({(unit, name) for _, unit, name in logs})
            if self.names.get(unit, name) != name and self._may_be_named(unit, name)
        ]

    def _may_be_named(self, unit: str, name: str) -> bool:
        return name in self.asked or name.startswith(f"{self.names[unit][:40]}{WAS}")
