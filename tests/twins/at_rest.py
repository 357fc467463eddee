"""Looks for a secret in every file of a folder, in every form that it might have there."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

MOST_UNPACKED = 1 << 22
ZLIB_LEVELS = frozenset(b"\x01\x5e\x9c\xda")


def forms_of(secret: bytes) -> set[bytes]:
    """The forms to look for: plain, reversed, in hex, in base64 at any offset, in wider characters."""
    text = secret.decode("latin-1")
    wide = {text.encode("utf-16-le"), text.encode("utf-16-be")}
    found = {secret, secret[::-1], *wide}
    for one in (secret, *wide):
        found |= {one.hex().encode(), one.hex().upper().encode(), *_in_base64(one)}
    return found


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """Its base64 at each of the three offsets, without the characters that depend on what is next to it."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret)
        cut = {0: 0, 1: 3, 2: 2}[(before + len(secret)) % 3]
        yield whole[{0: 0, 1: 2, 2: 3}[before] : len(whole) - cut]


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (path in the folder, bytes) of every file, which covers a database's free pages and log."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def _unpacked(data: bytes) -> Iterator[bytes]:
    """The decompressed content of each compressed stream in a file, wherever it begins."""
    at = -1
    while (at := data.find(b"\x78", at + 1)) >= 0:
        if data[at + 1 : at + 2] and data[at + 1] in ZLIB_LEVELS:
            try:
                yield zlib.decompressobj().decompress(data[at:], MOST_UNPACKED)
            except zlib.error:
                continue


def found_in(folder: Path, plates: Iterable[str]) -> list[str]:
    """The files that contain one of these plates in any form."""
    named = [one for text in plates for one in (text, text.lower())]
    wanted = {form for text in named for form in forms_of(text.encode())}
    return [
        name
        for name, data in files_of(folder)
        if any(form in one for one in (data, *_unpacked(data)) for form in wanted)
    ]
