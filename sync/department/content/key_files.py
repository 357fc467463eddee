"""The key service's files, one key each: reads and destroys them."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from storage import files, sealing
from sync.errors import KeyServiceError


def destroy_file(path: Path) -> None:
    """Overwrite and remove a key file. On flash, the old bytes may survive outside the file system.

    Raises KeyServiceError if it is still there.
    """
    try:
        with contextlib.suppress(FileNotFoundError):  # already destroyed, perhaps by another process
            with path.open("r+b") as file:
                file.write(os.urandom(os.fstat(file.fileno()).st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
    except OSError as error:
        raise KeyServiceError(
            f"the key {path.parent.name}/{path.name} cannot be destroyed: {error.strerror}",
            where="key service",
            cure="repair its folder; the next daily run destroys it",
        ) from None
    files.sync_dir(path.parent)


def day_files_before(folder: Path, day: int) -> list[Path]:
    """The day keys of all days before `day`, also those set aside as damaged: most of such a key may be left.

    Other files are no keys of ours.
    """
    mine = (path for path in folder.glob("*") if path.suffix in {".key", ".damaged"})
    return [path for path in mine if path.stem.isdecimal() and int(path.stem) < day]


def der_of(private: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as in its file: PKCS #8, DER."""
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def sealing_key(path: Path, *, make: bool, lost: str) -> bytes:
    """Load the key that content is sealed under; with `make`, make a missing one unless it was destroyed.

    With `make`, an empty file counts as missing: it is from a power cut in an older version, before anything
    was sealed under the key. Raises KeyServiceError: `lost` if the key was destroyed; other words if it is
    gone without a mark (or was destroyed by an older version, which made no mark), or if the file holds no
    key.
    """
    if not path.exists() or (make and path.stat().st_size == 0):
        if _mark_of(path).exists():
            raise KeyServiceError(lost)
        if not make:
            raise KeyServiceError(f"{lost}, or lost", cure=f"if it is lost, restore {path} from its backup")
        files.write_first(path, sealing.new_key())
    elif make:
        files.sync_dir(path.parent)  # its writer may have ended without doing so, and it is used now
    if not is_whole(path):
        raise KeyServiceError("holds no key", where=str(path), cure="restore it from its backup")
    return path.read_bytes()


def is_whole(path: Path) -> bool:
    """Whether a file holds a complete sealing key. Raises KeyServiceError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return len(file.read(sealing.KEY_BYTES + 1)) == sealing.KEY_BYTES
    except FileNotFoundError:
        return False
    except OSError as error:
        raise KeyServiceError(
            f"cannot be read: {error.strerror}", where=str(path), cure="restore it from its backup"
        ) from None


def is_there(path: Path) -> bool:
    """Whether a key's file exists, complete or not, readable or not, so that a purge must destroy it.

    An empty file does not count: see `sealing_key`. Raises KeyServiceError if its folder cannot be read.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise KeyServiceError(
            f"cannot be looked for: {error.strerror}", where=str(path), cure="repair its folder"
        ) from None
    return not stat.S_ISREG(found.st_mode) or found.st_size > 0


def destroy_for_good(path: Path) -> None:
    """Mark a key as destroyed, so that none is ever made in its place, then destroy its file."""
    mark = _mark_of(path)
    if not mark.exists():
        files.write_first(mark, b"")
    destroy_file(path)


def was_destroyed(path: Path) -> bool:
    """Whether a key was destroyed for good, by this or another process."""
    return _mark_of(path).exists()


def _mark_of(path: Path) -> Path:
    return path.with_suffix(".gone")


def load_p256(path: Path) -> ec.EllipticCurvePrivateKey:
    """Load a private key. Raises OSError, ValueError, or KeyServiceError for another kind of key."""
    key = serialization.load_der_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyServiceError("is not a P-256 key", where=str(path))
    return key
