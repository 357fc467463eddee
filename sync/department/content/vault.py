"""Held content (463.8) at the department: each hold's reads, under a key in the key service.

    holds/<access>/<n>.held   one read: the unit's leaf and its proof, the elements as ciphertext

Folders are named for the access entry under which they were sealed. Everything is synced before the hold is
entered. Nothing here sees a key: the key service opens content, for anyone who shows the entry of an export.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from storage import files
from storage.codec import from_bytes, to_bytes
from storage.counts import counted
from storage.errors import StorageError
from sync.department.content.key_door import Row
from sync.department.content.reads import StoredRead, parse_name
from sync.errors import HomeError

HOLDS = "holds"
"""The folder, in that of the desk."""

MAX_HELD_BYTES = 1 << 28
HOLD_FOLDER, HELD_FILE = re.compile(r"[0-9]{1,18}"), re.compile(r"[0-9]{1,9}\.held")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One file with one held read."""

    read: str
    unit: str
    leaf: bytes
    public: bytes
    proof: str
    elements: tuple[tuple[str, bytes], ...]


class FolderVault:
    """Held content in files of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder  # made by the first hold, not by reading

    def keep(self, access: int, reads: list[StoredRead]) -> tuple[bytes, ...]:
        """Write and sync the reads of a hold; returns the SHA-256 of each file. Raises FileExistsError."""
        folder, digests = self._folder / f"{access}", []
        files.make_dir(self._folder)
        folder.mkdir(mode=files.PRIVATE_DIR)
        for number, one in enumerate(reads):
            held = Held(
                read=one.read,
                unit=one.unit,
                leaf=one.leaf,
                public=one.public,
                proof=one.proof,
                elements=tuple((name, stored) for name, stored in sorted(one.row.elements.items())),
            )
            data = to_bytes(held)
            files.write_new(folder / f"{number}.held", data)
            digests.append(hashlib.sha256(data).digest())
        files.sync_dir(folder)
        files.sync_dir(self._folder)
        files.sync_dir(self._folder.parent)  # its maker may have ended before doing so
        return tuple(digests)

    def stored(self, access: int) -> list[StoredRead]:
        """The reads of a hold, still sealed. Raises HomeError if they are missing or damaged."""
        folder = self._folder / f"{access}"
        if not folder.is_dir():
            raise HomeError(
                "the held content is not here: released, or lost",
                where=str(folder),
                cure="if it is lost, restore the folder of holds from its backup",
            )
        try:
            return [_stored(path.read_bytes()) for path in _files(folder)]
        except (OSError, StorageError, KeyError) as error:
            raise HomeError(
                f"the held content is damaged: {type(error).__name__}",
                where=str(folder),
                cure="restore it from its backup; the exported package still verifies",
            ) from None

    def demand_whole(self, access: int, reads: int) -> None:
        """Raises HomeError unless this many reads of a hold are here."""
        if (here := self.count(access)) != reads:
            raise _not_whole(self._folder / f"{access}", f"{here} of its {counted(reads, 'read')} are here")

    def whole(self, access: int, names: tuple[str, ...], content: tuple[bytes, ...]) -> list[StoredRead]:
        """The reads of a hold. Raises HomeError unless they are those of its entry, in the sealed files.

        `content`: the SHA-256 of each file; empty if no entry has them.
        """
        found = self.stored(access)
        if tuple(one.read for one in found) != names:
            raise _not_whole(self._folder / f"{access}", "the held reads are not those that its entry names")
        for number, (said, now) in enumerate(zip(content, self.digests(access), strict=False)):
            if said != now:
                raise _not_whole(self._folder / f"{access}/{number}.held", "is not the file that was sealed")
        return found

    def digests(self, access: int) -> tuple[bytes, ...]:
        """The SHA-256 of each file of a hold, in the order of its reads."""
        return tuple(
            hashlib.sha256(path.read_bytes()).digest() for path in _files(self._folder / f"{access}")
        )

    def destroy(self, access: int) -> None:
        """Remove the ciphertext, if there is any. The key service destroys the key."""
        folder = self._folder / f"{access}"
        for one in folder.iterdir() if folder.is_dir() else ():
            # other files, as of a backup program, are no reason to keep the evidence
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
        files.remove_tree(folder)

    def count(self, access: int) -> int:
        """How many reads of a hold are here."""
        folder = self._folder / f"{access}"
        return len(_files(folder)) if folder.is_dir() else 0

    def kept(self) -> list[int]:
        """The holds whose content is here; other files are ignored."""
        here = self._folder.iterdir() if self._folder.is_dir() else ()
        return sorted(int(one.name) for one in here if HOLD_FOLDER.fullmatch(one.name) and one.is_dir())


def _not_whole(where: Path, what: str) -> HomeError:
    return HomeError(what, where=str(where), cure="restore the folder of holds from its backup")


def _files(folder: Path) -> list[Path]:
    """The files of a hold in order. A missing one fails when it is read.

    Files that a backup or a file manager left are ignored.
    """
    count = sum(HELD_FILE.fullmatch(one.name) is not None for one in folder.iterdir())
    return [folder / f"{number}.held" for number in range(count)]


def _stored(data: bytes) -> StoredRead:
    held = from_bytes(Held, data, limit=MAX_HELD_BYTES)
    log_id, sequence = parse_name(held.read)
    return StoredRead(
        read=held.read,
        unit=held.unit,
        log_id=log_id,
        leaf=held.leaf,
        public=held.public,
        proof=held.proof,
        row=Row(sequence, held.leaf, dict(held.elements)),
    )
