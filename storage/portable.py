"""Writes evidence packages to portable media, whole or not at all: every file is synced and read back."""

from __future__ import annotations

import contextlib
import hmac
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from storage import files
from storage.errors import PackageError

UNFINISHED = ".unfinished"


def write_package(target: Path, content: Mapping[str, bytes]) -> None:
    """Write a package as the new folder `target`. Raises PackageError.

    If the stick is full, removed or worn, there is no folder of that name, so none that looks complete. The
    parent folder must exist: created here, it would be on this machine's own disk if no stick is mounted.
    """
    if not target.parent.is_dir():
        raise PackageError(
            "is not a folder",
            where=str(target.parent),
            cure="plug the medium in and mount it, or make the folder",
        )
    if target.exists():
        raise PackageError("is there already", where=str(target), cure="name another folder")
    beside = target.with_name(target.name + UNFINISHED)
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        folders = {beside}
        for name, data in content.items():
            path = beside.joinpath(*PurePosixPath(name).parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            folders |= {one for one in (path.parent, *path.parent.parents) if one.is_relative_to(beside)}
            files.write_new(path, data)
        for folder in folders:
            files.sync_dir(folder)
        for name, data in content.items():
            if not hmac.compare_digest(beside.joinpath(*PurePosixPath(name).parts).read_bytes(), data):
                raise PackageError("was not kept as written", where=name, cure="use another medium")
        beside.rename(target)
        files.sync_dir(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(beside)
        raise PackageError(
            f"cannot be written: {error.strerror}", where=str(target), cure="use another medium"
        ) from None
