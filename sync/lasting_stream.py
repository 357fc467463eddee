"""An output stream that may lose its reader: once it is closed, output is dropped and the program continues.

The module also keeps the three standard descriptors open: printing would otherwise write into a file, even a
ledger, that got one of their numbers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any, TextIO, cast


class _LastingStream:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._dropping():
            self._stream.flush()

    def isatty(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return self._stream.isatty()
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _dropping(self) -> Any:
        try:
            yield
        except ValueError:  # closed
            return
        except OSError as error:
            if error.errno == errno.EPIPE:  # for good, or the interpreter's last flush would fail
                with contextlib.suppress(OSError, ValueError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def lasting(stream: TextIO) -> TextIO:
    """Wraps a stream so that writing to it never raises."""
    if isinstance(stream, _LastingStream):
        return stream
    return cast("TextIO", _LastingStream(stream))


def open_standard_streams() -> None:
    """Open /dev/null in place of each standard stream that was closed when the process started."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
