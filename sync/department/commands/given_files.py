"""Files and public keys that a command line names. Not a command.

Apart from the desk, which takes a second to load: a command that only checks files needs none of it.
"""

from __future__ import annotations

from pathlib import Path

import click

from storage import files
from storage.checkpoint import NoteKey
from storage.errors import CheckpointError, LedgerError
from storage.ssh_signature import SshPublicKey, SshSignatureError
from sync.errors import InvalidInputError

FILE = click.Path(path_type=Path)


def key_of(text: str, where: str) -> NoteKey:
    """A log's or a witness's public key that was typed. Raises InvalidInputError."""
    try:
        return NoteKey.parse(text)
    except CheckpointError as error:
        raise InvalidInputError(error.what, where=where) from None


def read_bytes(path: Path) -> bytes:
    """A file of the command line. Raises InvalidInputError."""
    try:
        with files.open_evidence(path, follow=True) as file:
            return file.read()
    except LedgerError as error:
        raise InvalidInputError(error.what, where=str(path)) from None
    except OSError as error:
        raise InvalidInputError(f"cannot be read: {error.strerror}", where=str(path)) from None


def public_key(path: Path) -> SshPublicKey:
    """The SSH key of a .pub file, its comment left out. Raises InvalidInputError naming the file."""
    try:
        return SshPublicKey.from_line(read_bytes(path).decode(errors="replace"))
    except SshSignatureError as error:
        raise InvalidInputError(error.what, where=str(path), cure=error.cure) from None
