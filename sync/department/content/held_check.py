"""Checks held content against the log's entries of each hold, without showing any of it.

A hold outlives the day of its reads, so neither the counts of days nor purge receipts cover it. The entries
say which reads each open hold has, with the SHA-256 of each file; the key service says whether they still
open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage.errors import StorageError
from sync.department.content.key_service import CheckingKeys
from sync.department.content.package import demand_place
from sync.department.content.reads import StoredRead, parse_name
from sync.department.content.vault import FolderVault
from sync.department.journal.change_entries import HoldRests
from sync.department.journal.entries import Entry
from sync.department.journal.hold_entries import HoldPlaced, HoldReleased
from sync.errors import HomeError, KeyServiceError


@dataclass(slots=True)
class OpenHolds:
    """The holds that are not released, according to the log's entries, by sequence."""

    placed: dict[int, HoldPlaced] = field(default_factory=dict)
    contents: dict[int, tuple[bytes, ...]] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        """Take in an entry signed by its person."""
        note = entry.note
        if isinstance(note, HoldPlaced):
            self.placed[entry.sequence] = note
        elif isinstance(note, HoldRests):
            self.contents.setdefault(note.access, note.content)
        elif isinstance(note, HoldReleased):
            self.placed.pop(note.hold, None)

    def problems(
        self,
        vault: FolderVault,
        keys: CheckingKeys,
        log_id: bytes,
        released: Callable[[], Collection[int]] = tuple,
    ) -> Iterator[str]:
        """What is wrong with the content of each hold. `log_id`: of the access log, as in the keys' names.

        `released`: the holds released since the log was read, which beside a server lose their content.
        """
        for number, note in sorted(self.placed.items()):
            found = list(self._of_hold(note, vault, keys, f"{log_id.hex()[:16]}-{note.access}"))
            if found and number not in released():
                yield from (f"hold {number}: {what}" for what in found)

    def _of_hold(self, note: HoldPlaced, vault: FolderVault, keys: CheckingKeys, name: str) -> Iterator[str]:
        try:
            stored, digests = vault.stored(note.access), vault.digests(note.access)
        except HomeError as error:
            yield error.what
            return
        if tuple(one.read for one in stored) != note.reads:
            yield "the held reads are not those that its entry names"
            return
        said = self.contents.get(note.access, ())
        for number, one in enumerate(stored):
            if said and said[number : number + 1] != digests[number : number + 1]:
                yield f"read {number + 1}: not the file that was sealed"
            elif what := _wrong_with(one, keys, name):
                yield f"read {number + 1}: {what}"


def _wrong_with(one: StoredRead, keys: CheckingKeys, hold: str) -> str:
    """Why a held read does not prove its origin or does not open; empty if it is in order."""
    log_id, sequence = parse_name(one.read)
    try:
        leaf = demand_place(one.leaf, Ed25519PublicKey.from_public_bytes(one.public), sequence, one.proof)
        if one.proof and leaf.log_id != log_id:
            return "the leaf belongs to another log"
        found = keys.check_held(hold, log_id, one.row.wanted(sorted(one.row.elements)))
    except (StorageError, KeyServiceError) as error:
        return error.what
    return next((what for what in found if what is not None), "")
