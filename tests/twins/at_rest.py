"""Looks for a secret in every file of a folder, in every form in which it might lie about."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

MOST_UNPACKED = 1 << 22
ZLIB_LEVELS = frozenset(b"\x01\x5e\x9c\xda")


def forms_of(secret: bytes) -> set[bytes]:
    """A secret as it might lie about: as it is, turned round, as hex, as base64 at any offset, wider."""
    text = secret.decode("latin-1")
    wide = {text.encode("utf-16-le"), text.encode("utf-16-be")}
    found = {secret, secret[::-1], *wide}
    for one in (secret, *wide):
        found |= {one.hex().encode(), one.hex().upper().encode(), *_in_base64(one)}
    return found


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """What base64 makes of it at each of the three offsets, without the characters that neighbors change."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret)
        cut = {0: 0, 1: 3, 2: 2}[(before + len(secret)) % 3]
        yield whole[{0: 0, 1: 2, 2: 3}[before] : len(whole) - cut]


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(path in the folder, bytes) of every file: databases with their free pages and write-ahead logs."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def _unpacked(data: bytes) -> Iterator[bytes]:
    """What lies compressed in a file, wherever it begins."""
    at = -1
    while (at := data.find(b"\x78", at + 1)) >= 0:
        if data[at + 1 : at + 2] and data[at + 1] in ZLIB_LEVELS:
            try:
                yield zlib.decompressobj().decompress(data[at:], MOST_UNPACKED)
            except zlib.error:
                continue


def found_in(folder: Path, plates: Iterable[str]) -> list[str]:
    """The files that hold one of these plates, in whatever form."""
    named = [one for text in plates for one in (text, text.lower())]
    wanted = {form for text in named for form in forms_of(text.encode())}
    return [
        name
        for name, data in files_of(folder)
        if any(form in one for one in (data, *_unpacked(data)) for form in wanted)
    ]
