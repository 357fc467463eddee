"""The effaceable slot: some 120 bytes that do not keep their old content when they are overwritten.

`file:NAME` is in the home: it promises only that the live file system holds no old content.
`loopback:PATH` is the twin of a chip: a file outside the home, so that a copied or restored card does not
bring back old content. `tpm:INDEX` is a TPM; its driver is in `secure_slot_tpm.py`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Protocol

from hw.errors import NoSuchSlotError, SlotFailedError

MAX_SLOT_BYTES = 512
MOST_MOVED = 9  # folders in the place of the draft; more of them are left for a person to look at


class SecureSlot(Protocol):
    """A small memory whose old content does not survive a write."""

    @property
    def uri(self) -> str:
        """The slot's name in the configuration."""

    @property
    def promise(self) -> str:
        """What the slot can promise about old content, in one sentence for people."""

    def read(self) -> bytes | None:
        """The content, or None if nothing was ever written. Raises SlotFailedError."""

    def write(self, content: bytes) -> None:
        """Replace the content durably, whole or not at all. Raises SlotFailedError."""


class _SlotFile:
    """One file, replaced as a whole; the old one is overwritten before its blocks are freed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rewrites = 0

    def read(self) -> bytes | None:
        """See SecureSlot.read."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise SlotFailedError(f"slot {self._path}: is not a plain file")
                return file.read(MAX_SLOT_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SlotFailedError(f"slot {self._path}: cannot be read: {error.strerror}") from None

    def write(self, content: bytes) -> None:
        """See SecureSlot.write."""
        if len(content) > MAX_SLOT_BYTES:
            raise SlotFailedError(f"slot {self._path}: holds at most {MAX_SLOT_BYTES} bytes")
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            self._clear(fresh)
            with contextlib.ExitStack() as opened:
                old = None
                if self._path.exists():
                    old = os.open(self._path, os.O_RDWR)
                    opened.callback(os.close, old)
                self._write_draft(fresh, content)
                fresh.replace(self._path)
                self._sync_folder()
                if old is not None:
                    self._overwrite(old)
        except OSError as error:
            raise SlotFailedError(f"slot {self._path}: cannot be written: {error.strerror}") from None
        self.rewrites += 1

    @staticmethod
    def _clear(fresh: Path) -> None:
        """Remove the draft of an interrupted write; move aside a folder there, which would block purges."""
        try:
            fresh.unlink(missing_ok=True)
        except IsADirectoryError:
            beside = (fresh.with_name(f"{fresh.name}.moved-{number}") for number in range(1, MOST_MOVED + 1))
            aside = next((one for one in beside if not os.path.lexists(one)), None)
            if aside is None:
                raise
            fresh.rename(aside)

    @staticmethod
    def _write_draft(fresh: Path, content: bytes) -> None:
        """Write all of the content durably: a draft that was cut off would replace the key before it."""
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @staticmethod
    def _overwrite(old: int) -> None:
        """Zero the replaced file through its open descriptor, now that the new one is durable."""
        os.pwrite(old, bytes(os.fstat(old).st_size), 0)
        os.fsync(old)


class FileSlot(_SlotFile):
    """The slot of a unit without a chip: a file in the home."""

    promise = (
        "a file: the file system holds no old key, but flash cells and older copies of the card may hold one"
    )

    def __init__(self, folder: Path, name: str = "slot") -> None:
        super().__init__(folder / name)
        self.uri = f"file:{name}"


class LoopbackSlot(_SlotFile):
    """The twin of a chip: a file outside the home, which a copy of the home does not carry."""

    promise = "a stand-in for a chip: old copies of the card stay closed as long as this file is not copied"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.uri = f"loopback:{path}"


def slots_of_chip() -> list[str]:
    """The URIs of possible slots in this unit's chip. Raises SlotFailedError, MissingDriverError."""
    from hw.secure_slot_tpm import slots_in_chip  # noqa: PLC0415 - a driver imports late

    return slots_in_chip()


def open_slot(uri: str, folder: Path) -> SecureSlot:
    """The slot that a URI names; `folder` holds a file slot.

    Raises NoSuchSlotError for an unknown form, MissingDriverError if a library is absent.
    """
    scheme, _, rest = uri.strip().partition(":")
    if scheme == "file" and rest and "/" not in rest:
        return FileSlot(folder, rest)
    if scheme == "loopback" and rest.startswith("/"):
        return LoopbackSlot(Path(rest))
    if scheme == "tpm":
        from hw.secure_slot_tpm import open_tpm_slot  # noqa: PLC0415 - a driver imports late

        return open_tpm_slot(rest)
    raise NoSuchSlotError(f"slot {uri}: neither file:NAME nor loopback:/PATH nor tpm:INDEX")
