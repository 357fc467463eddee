"""What a program prints moves no cursor: names of files, sentences of a package, errors from outside.

Text that came from outside is shown by every command, so it is the standard streams that replace control
characters, those that turn the direction of writing, and bytes of a name that are no text. Lines and tabs
stay. JSON escapes such characters itself; what a command writes as bytes is not text.
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
    """text without what a terminal could take for an order."""
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
    """For as long as the block runs, stdout and stderr print plain text."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast("TextIO", _PlainStream(out)), cast("TextIO", _PlainStream(err))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
