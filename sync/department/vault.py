"""Held content (463.8): each hold's reads sealed under a key of its own, so that their day can be purged.

    holds/<entry>.cbor   the sealed reads       keys/hold/<entry>.key   its AES-256 key, 0600, off the backups

Both are synced before the hold is announced; a release destroys the key first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage import files, sealing
from storage.codec import from_bytes, to_bytes
from storage.sealing import Opened
from sync.department.key_service import destroy_file
from sync.department.reads import OpenedRead, parse_name
from sync.errors import HomeError

MAX_HELD_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    name: str
    salt: bytes
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    read: str
    unit: str
    leaf: bytes
    public: bytes
    proof: str
    elements: tuple[_Element, ...]


class FolderVault:
    """Held content in files of this machine."""

    def __init__(self, content: Path, keys: Path) -> None:
        self._content, self._keys = content, keys
        for folder in (content, keys):
            folder.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)

    def _paths(self, hold: int) -> tuple[Path, Path]:
        return self._content / f"{hold}", self._keys / f"{hold}.key"

    def keep(self, hold: int, reads: list[OpenedRead]) -> None:
        """Seal and sync. Raises FileExistsError for a hold that is there."""
        folder, key_file = self._paths(hold)
        key = sealing.new_key()
        files.write_new(key_file, key)
        files.sync_dir(self._keys)
        folder.mkdir(mode=files.PRIVATE_DIR)
        for number, one in enumerate(reads):
            held = _Held(
                read=one.read,
                unit=one.unit,
                leaf=one.leaf,
                public=one.public,
                proof=one.proof,
                elements=tuple(
                    _Element(name=name, salt=opened.salt, content=opened.content)
                    for name, opened in sorted(one.elements.items())
                ),
            )
            sealed = sealing.wrap(key, b"hold", hold, str(number), to_bytes(held))
            files.write_new(folder / f"{number}.sealed", sealed)
        files.sync_dir(folder)
        files.sync_dir(self._content)

    def open(self, hold: int) -> list[OpenedRead]:
        """All reads of a hold. Raises HomeError where they are gone, SealError where they were changed."""
        folder, key_file = self._paths(hold)
        if not key_file.is_file() or not folder.is_dir():
            raise HomeError("the held content is not here: released, or lost", where=str(folder))
        key = key_file.read_bytes()
        found = []
        for number in range(len(list(folder.iterdir()))):
            plain = sealing.unwrap(
                key, b"hold", hold, str(number), (folder / f"{number}.sealed").read_bytes()
            )
            held = from_bytes(_Held, plain, limit=MAX_HELD_BYTES)
            log_id, sequence = parse_name(held.read)
            found.append(
                OpenedRead(
                    read=held.read,
                    unit=held.unit,
                    log_id=log_id,
                    sequence=sequence,
                    leaf=held.leaf,
                    public=held.public,
                    proof=held.proof,
                    elements={one.name: Opened(one.name, one.salt, one.content) for one in held.elements},
                )
            )
        return found

    def destroy(self, hold: int) -> None:
        """The key first, then the content; absent is fine."""
        folder, key_file = self._paths(hold)
        destroy_file(key_file)
        files.remove_tree(folder)
