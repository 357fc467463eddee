"""The one mutable record: newest believed time, versions in force, cursors. Signed by the log key. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

CONTEXT = b"alpr-reader/state/v1"
MAX_STATE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInForce:
    """A signed file in force: where in the log it lies, and the highest version seen."""

    name: str
    version: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What may change without being a record. `size`: the tree size when it was written."""

    size: int
    trusted_us: int
    anchored_us: int
    files: tuple[FileInForce, ...] = ()
    cursors: tuple[tuple[str, int], ...] = ()

    def file(self, name: str) -> FileInForce | None:
        return next((one for one in self.files if one.name == name), None)

    def with_file(self, entry: FileInForce) -> State:
        rest = tuple(one for one in self.files if one.name != entry.name)
        return replace(self, files=(*rest, entry))

    def cursor(self, name: str) -> int:
        return dict(self.cursors).get(name, 0)

    def with_cursor(self, name: str, value: int) -> State:
        return replace(self, cursors=tuple(sorted((dict(self.cursors) | {name: value}).items())))
