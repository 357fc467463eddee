"""Keeps text from outside from controlling the terminal: file names, texts in packages, foreign errors.

Every command shows text from outside, so the standard streams themselves replace control characters, those
that change the direction of writing, and undecodable bytes of names. Line ends and tabs stay. JSON escapes
such characters itself; what a command writes as bytes is not touched.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

_ORDERS = re.compile(
    r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Replaces the characters that a terminal could take as commands."""
    return _ORDERS.sub("?", text)


class _PlainStream:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(plain(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def plain_output() -> Iterator[None]:
    """Makes stdout and stderr print plain text for the duration of the block."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast("TextIO", _PlainStream(out)), cast("TextIO", _PlainStream(err))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
