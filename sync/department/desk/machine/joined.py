"""Compares the units that the log admits with those in the store, since root can bypass the desk. No I/O.

A person signs for each one-time code, and the entry holds the code's digest; the store keeps which unit used
which code. `department verify` and `compliance` name a unit that joined by none of them, a code that no
person signed for, a revocation that the log does not know, and one that the store lost. The server does not
admit a unit that the log revoked last. It revokes the unit again in a store that lost the revocation or was
restored from a backup.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from sync.department.journal.entries import Entry
from sync.department.journal.machine_entries import UnitCodeIssued, UnitRevoked, UnitsListed
from sync.department.journal.unit_logs import WAS
from sync.department.store.joined_units import JoinedUnit

TAKEN_BACK = (
    "is enrolled again after it was revoked, without a new code (department serve does not admit it, and "
    "revokes it again; if no backup was restored, find out who took it back)"
)


@dataclass(slots=True)
class JoinedUnits:
    """What the entries so far say of units.

    `codes`: by the digest of a code, its entry; `names`: the name for which each was made; `revoked`: by name
    or id, the newest revocation; `signatures`: digests of the calls that made codes, one code each; `listed`:
    ids of units from before, `listed_revoked`: ids of those that were revoked; `listed_at`: the entry that
    lists them.
    """

    codes: dict[bytes, int] = field(default_factory=dict)
    names: dict[bytes, str] = field(default_factory=dict)
    revoked: dict[str, int] = field(default_factory=dict)
    signatures: set[bytes] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    listed_revoked: set[str] = field(default_factory=set)
    listed_at: int = -1

    @property
    def lists(self) -> bool:
        """Whether the units from before are listed."""
        return self.listed_at >= 0

    def apply(self, entry: Entry) -> None:
        """Take in an entry that its person signed, or the machine made."""
        note = entry.note
        if isinstance(note, UnitCodeIssued) and note.digest:
            call = hashlib.sha256(entry.signed).digest()
            if call not in self.signatures:  # one signed call makes one code
                self.signatures.add(call)
                self.codes[note.digest], self.names[note.digest] = entry.sequence, note.name
        elif isinstance(note, UnitRevoked):
            self.revoked[note.unit] = entry.sequence
        elif isinstance(note, UnitsListed) and not self.lists:
            self.listed, self.listed_revoked = set(note.units), set(note.revoked)
            self.listed_at = entry.sequence

    def differences(self, units: Iterable[JoinedUnit]) -> list[str]:
        """How the store's units differ from what the log says; nothing before the log listed them."""
        return [what for one in units if self.lists for what in self._of(one)]

    def ended(self, unit: JoinedUnit) -> bool:
        """Whether the newest that the log says of a unit is that it was revoked."""
        return self.lists and self._ended(unit, self._joined_at(unit))

    def _joined_at(self, unit: JoinedUnit) -> int:
        """The entry by which it joined last; -1 if none, or if the log lists it as revoked."""
        joined = max((self.codes[one] for one in unit.codes if one in self.codes), default=-1)
        if unit.unit_id in self.listed and (joined >= 0 or unit.unit_id not in self.listed_revoked):
            joined = max(joined, self.listed_at)
        return joined

    def _ended(self, unit: JoinedUnit, joined: int) -> bool:
        names = {unit.unit_id, unit.name, unit.name.partition(WAS)[0]}
        was_revoked = unit.unit_id in self.listed_revoked and joined < 0
        return was_revoked or max(self.revoked.get(one, -1) for one in names) > joined

    def _of(self, unit: JoinedUnit) -> list[str]:
        joined = self._joined_at(unit)
        if joined < 0 and unit.unit_id not in self.listed_revoked:
            return [f"unit {unit.name} joined without a code that a person signed for"]
        asked = {self.names[one] for one in unit.codes if one in self.names}
        if asked and not any(unit.name == one or unit.name.startswith(f"{one[:40]}{WAS}") for one in asked):
            return [f"unit {unit.name} joined with a code that a person requested for {sorted(asked)[0]}"]
        ended = self._ended(unit, joined)
        if unit.revoked and not ended:
            return [f"unit {unit.name} was revoked, and no person signed for it"]
        if ended and not unit.revoked:
            return [f"unit {unit.name} {TAKEN_BACK}"]
        return []
