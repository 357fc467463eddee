"""An output stream that outlives its reader: once it is closed, what is written is dropped and nothing ends.

It also makes sure that the three standard descriptors are open: a file that got one of their numbers, even a
ledger, would be written into by whatever prints.
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
            if error.errno == errno.EPIPE:  # permanent; else the interpreter's last flush would fail on it
                with contextlib.suppress(OSError, ValueError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def lasting(stream: TextIO) -> TextIO:
    """The same stream, that raises nothing when it is written to."""
    if isinstance(stream, _LastingStream):
        return stream
    return cast("TextIO", _LastingStream(stream))


def open_standard_streams() -> None:
    """Put /dev/null where a process was started with a standard stream closed."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as we live
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
