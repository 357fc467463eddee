"""Documents that were offered to units: the newest version of each, from the log. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from sync.department.journal.entries import Entry
from sync.department.journal.machine_entries import DocumentSent


def place_of(name: str, unit: str) -> str:
    """The key of a document for one unit, or for all units."""
    return f"{name} {unit}"


@dataclass(slots=True)
class Sent:
    """The newest version of each document, by `place_of`."""

    newest: dict[str, int] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        if isinstance(entry.note, DocumentSent):
            where = place_of(entry.note.name, entry.note.unit)
            self.newest[where] = max(self.newest.get(where, 0), entry.note.version)

    def version(self, name: str, unit: str) -> int:
        """The newest version of a document; 0 if none was offered."""
        return self.newest.get(place_of(name, unit), 0)
