"""Files and public keys that a command line names. Not a command.

Separate from the desk, which takes a second to load and which a command that only checks files does not need.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

import click

from storage import files
from storage.checkpoint import NoteKey
from storage.errors import CheckpointError, LedgerError
from storage.ssh_signature import SshPublicKey, SshSignatureError
from storage.verify_package import KEY_FILE  # in a unit's package, but in no department's
from sync.department.content.zipped import names_in
from sync.errors import InvalidInputError

FILE = click.Path(path_type=Path)
A_KEY = re.compile(r"[^+]+\+[0-9a-fA-F]{8}\+")  # name, id, and then the key
MOST_BYTES = 5 << 30  # a package has 4 GiB at most


def key_text(given: str, where: str) -> str:
    """Public keys as typed, or the content of the file with that name. Raises InvalidInputError."""
    if not os.path.isfile(given):  # noqa: PTH113 - it takes any text, as a key of 2 kB
        if not A_KEY.match(given):
            what = f"{given[:200]!r} is neither a file nor a public key of the form name+id+key"
            raise InvalidInputError(what, where=where)
        return given
    return read_bytes(Path(given)).decode(errors="replace").strip()


def key_of(text: str, where: str) -> NoteKey:
    """A log's or a witness's public key, typed or from a file. Raises InvalidInputError."""
    try:
        return NoteKey.parse(key_text(text, where))
    except CheckpointError as error:
        raise InvalidInputError(error.what, where=where) from None


def read_bytes(path: Path) -> bytes:
    """Read a file named on the command line. Raises InvalidInputError."""
    try:
        with files.open_evidence(path, follow=True) as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:  # a sparse file may be huge
                raise InvalidInputError("is larger than any file that this command takes", where=str(path))
            return file.read()
    except LedgerError as error:
        raise InvalidInputError(error.what, where=str(path)) from None
    except OSError as error:
        raise InvalidInputError(f"cannot be read: {error.strerror}", where=str(path)) from None


def read_package(path: Path) -> bytes:
    """Read a department's package or an auditor's bundle. Raises InvalidInputError.

    The error says what to do with an unpacked package and with a unit's.
    """
    if path.is_dir():
        own = (path / KEY_FILE).is_file()
        what = "is a unit's package" if own else "is a folder, and a department's package is one ZIP file"
        cure = f"reader verify {path}" if own else "give that file, as the department made it"
        raise InvalidInputError(what, where=str(path), cure=cure)
    data = read_bytes(path)
    if any(PurePosixPath(one).name == KEY_FILE for one in names_in(data)):
        cure = "unpack it, and check the folder with: reader verify FOLDER"
        raise InvalidInputError("is a unit's package in a ZIP file", where=str(path), cure=cure)
    return data


def public_key(path: Path) -> SshPublicKey:
    """Read the SSH key of a .pub file without its comment. Raises InvalidInputError naming the file."""
    try:
        return SshPublicKey.from_line(read_bytes(path).decode(errors="replace"))
    except SshSignatureError as error:
        raise InvalidInputError(error.what, where=str(path), cure=error.cure) from None
