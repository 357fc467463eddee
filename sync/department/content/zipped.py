"""Writes ZIP files, and reads those from outside: bounded sizes, unique names, one error for damage."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from storage.errors import PackageError

MOST_SWELLING = 50  # texts about a log's entries compress to a tenth
MOST_OF_NAME = 100
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
UNIX, VERSION, MODE = 3, 20, 0o600 << 16  # of each entry, regardless of Python version and system
# what zipfile raises for damage; ValueError is a seek before the file's start (Python 3.13)
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
)
# what reading a signed but malformed part raises: a key of the wrong length, text that is not UTF-8
MALFORMED = (LookupError, ValueError, TypeError, ArithmeticError, RecursionError)


@contextmanager
def verdict(where: str) -> Iterator[None]:
    """Turn errors from an unreadable signed part into PackageError."""
    try:
        yield
    except MALFORMED as error:
        raise PackageError(f"is malformed: {type(error).__name__}", where=where) from None


def printable(name: str) -> str:
    """A name from outside, safe for a terminal."""
    return name if name.isprintable() and len(name) <= MOST_OF_NAME else ascii(name[:MOST_OF_NAME])


def write_zip(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_STORED) -> bytes:
    """Make a ZIP, with the same bytes for the same files. `method`: ZIP_STORED or ZIP_DEFLATED."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.create_system, entry.external_attr = UNIX, MODE
            entry.create_version = entry.extract_version = VERSION
            archive.writestr(entry, files[name], method)
    return out.getvalue()


def read_zip(
    data: bytes, *, where: str, most_files: int, most_bytes: int, stored: bool = False
) -> dict[str, bytes]:
    """Read each file by its name. `where`: the ZIP's name in errors. Raises PackageError.

    `stored`: refuse compressed files, so that a file from outside takes no more memory than its size;
    otherwise it takes at most `MOST_SWELLING` times that.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > most_files or sum(one.file_size for one in infos) > most_bytes:
                raise PackageError("is too large", where=where)
            if stored and sum(one.file_size for one in infos) > len(data):
                raise PackageError("is compressed, but a department's package never is", where=where)
            if sum(one.file_size for one in infos) > MOST_SWELLING * len(data):
                raise PackageError("expands too much: no department's program made it", where=where)
            if len({one.filename for one in infos}) != len(infos):
                raise PackageError("holds a name twice", where=where)
            return {one.filename: _read(archive, one, where) for one in infos}
    except DAMAGE as error:
        raise PackageError(f"is not a ZIP: {type(error).__name__}", where=where) from None


def demand_plain(data: bytes, files: Mapping[str, bytes], *, where: str) -> None:
    """Raises PackageError unless a stored ZIP is exactly what `write_zip` makes of these files.

    Anything else beside the files or in their entries could make another program show other files.
    """
    if write_zip(files) != data:
        raise PackageError(
            "is not a ZIP as a department writes it: it was zipped again, or files were added",
            where=where,
            cure="get another copy from the department",
        )


def _read(archive: zipfile.ZipFile, one: zipfile.ZipInfo, where: str) -> bytes:
    """Read one file. Raises PackageError that names it, made safe to show."""
    try:
        return archive.read(one)
    except DAMAGE as error:
        name = ascii(one.filename[:MOST_OF_NAME])
        raise PackageError(
            f"its file {name} is damaged, or was cut: {type(error).__name__}", where=where
        ) from None


def names_in(data: bytes) -> frozenset[str]:
    """The names in a ZIP from outside; none if these bytes are not a ZIP."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return frozenset(archive.namelist())
    except DAMAGE:
        return frozenset()
