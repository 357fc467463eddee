"""Converts bytes to numbered text lines with checksums, for a flaky cable, and back. No I/O.

Each line is `NN base64 crc`, so that a damaged line can be named and pasted again by itself.
"""

from __future__ import annotations

import base64
import binascii
import re

from firmware.console.errors import LineRefusedError

BYTES_A_LINE = 45
LINES_LIMIT = 300
_LINE = re.compile(r"(\d{1,3}) ([A-Za-z0-9+/]{2,64}={0,2}) ([0-9a-f]{4})")
_END = re.compile(r"end (\d{1,3}) ([0-9a-f]{8})")


def _crc(number: int, data: bytes) -> str:
    return f"{binascii.crc_hqx(data, number):04x}"


def to_lines(data: bytes) -> list[str]:
    """The data as lines; the last one is `end COUNT crc32`."""
    pieces = [data[at : at + BYTES_A_LINE] for at in range(0, len(data), BYTES_A_LINE)]
    lines = [
        f"{number} {base64.b64encode(piece).decode()} {_crc(number, piece)}"
        for number, piece in enumerate(pieces, 1)
    ]
    return [*lines, f"end {len(pieces)} {binascii.crc32(data):08x}"]


class Collector:
    """Collects lines in any order, also repeated ones, until it has them all."""

    def __init__(self) -> None:
        self._pieces: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._pieces)

    def take(self, line: str) -> bytes | None:
        """Take a line; returns the data after the end line, until then None. Raises LineRefusedError."""
        line = line.strip()
        end = _END.fullmatch(line)
        if end is not None:
            return self._whole(int(end[1]), end[2])
        match = _LINE.fullmatch(line)
        if match is None:
            raise LineRefusedError("not a line of an answer: paste that line again")
        number = int(match[1])
        try:
            piece = base64.b64decode(match[2], validate=True)
        except binascii.Error:
            raise LineRefusedError(f"line {number} is damaged: paste it again") from None
        if not 1 <= number <= LINES_LIMIT or _crc(number, piece) != match[3]:
            raise LineRefusedError(f"line {number} is damaged: paste it again")
        self._pieces[number] = piece
        return None

    def _whole(self, count: int, checksum: str) -> bytes:
        missing = [number for number in range(1, count + 1) if number not in self._pieces]
        if count > LINES_LIMIT or missing:
            named = ", ".join(str(number) for number in missing[:10])
            raise LineRefusedError(f"lines missing: {named}; paste them, then the end line again")
        data = b"".join(self._pieces[number] for number in range(1, count + 1))
        if f"{binascii.crc32(data):08x}" != checksum:
            self._pieces.clear()
            raise LineRefusedError("the answer is damaged: paste all of it again")
        return data
