"""Files and folders for content that leaves the desk. Not a command.

They are made before the call, since a delivery that is in the log must not fail because of its file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from storage import files
from storage.evidence import extension
from sync.department.commands.desk_access import Terminal
from sync.department.desk.inquiry.forms import Images
from sync.errors import ROOM, InvalidInputError, LackingError

REPEAT = "the log has this delivery; make room, then repeat the command, with another approval if it took one"


class NewFile:
    """A file with an unused name and mode 0600, which is empty until it is filled."""

    def __init__(self, path: Path) -> None:
        """Make the file. Raises InvalidInputError if that fails."""
        self.path, self.filled = path, False
        try:
            files.write_new(path, b"")
        except FileExistsError:
            raise InvalidInputError("already exists", where=str(path), cure="name a new file") from None
        except OSError as error:
            raise _unusable(path, error) from None

    def fill(self, data: bytes, *, logged: bool = True) -> None:
        """Write and sync the content. Raises LackingError. `logged`: the log has the delivery even if the
        file is lost."""
        try:
            files.replace(self.path, data)
        except OSError as error:
            raise LackingError(
                f"could not be written: {error.strerror}",
                where=str(self.path),
                cure=REPEAT if logged else ROOM,
            ) from None
        self.filled = True


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """Make a file to fill, and remove it if it was not filled."""
    made = NewFile(path)
    try:
        yield made
    finally:
        if not made.filled:
            path.unlink(missing_ok=True)


def folder(path: Path) -> None:
    """Make a private folder to write into. Raises InvalidInputError."""
    try:
        path.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path, error) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InvalidInputError("cannot be written into", where=str(path), cure="name another folder")


def _unusable(path: Path, error: OSError) -> InvalidInputError:
    return InvalidInputError(f"cannot be made: {error.strerror}", where=str(path), cure="name another place")


def write_new(path: Path, data: bytes) -> None:
    """Write a new file at once, for content that needs no call. Raises as `new_file`."""
    with new_file(path) as out:
        out.fill(data, logged=False)


def save_images(terminal: Terminal, images: Images, out: Path) -> int:
    """Save the pictures of a look in an existing folder and print where they are. Raises as `new_file`.

    Their names are the kind and the look's entry.
    """
    made = []
    for name, data in (("patch", images.patch), ("overview", images.overview)):
        if data:
            plain = Path(extension(name, data))
            made.append(out / f"{plain.stem}-{images.access}{plain.suffix}")
            write_new(made[-1], data)
    facts = {"access": images.access, "read": images.read, "files": [str(path) for path in made]}
    words = f"ALPR Request: entry {images.access}, images in {out}"
    return terminal.report(facts, words, unwitnessed=images.unwitnessed)
