"""Takes the files out of a ZIP from outside: bounded, each name once, damage said in one way."""

from __future__ import annotations

import io
import zipfile
import zlib

from storage.errors import PackageError

DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, EOFError)


def read_zip(data: bytes, *, where: str, most_files: int, most_bytes: int) -> dict[str, bytes]:
    """Each file by its name. `where`: what the errors call it. Raises PackageError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > most_files or sum(one.file_size for one in infos) > most_bytes:
                raise PackageError("is too large", where=where)
            if len({one.filename for one in infos}) != len(infos):
                raise PackageError("holds a name twice", where=where)
            return {one.filename: archive.read(one) for one in infos}
    except DAMAGE as error:
        raise PackageError(f"is not a ZIP: {type(error).__name__}", where=where) from None
