"""A run's messages about its source: for a person at a demo, and shorter in the events of a real unit."""

from __future__ import annotations

from typing import TextIO

import structlog

from firmware.screen import printable
from hw.errors import BrokenFrameError


class RunOutput:
    """demo: whether names of files may be shown; on a real unit a file may be named after its plate."""

    def __init__(self, err: TextIO, log: structlog.typing.FilteringBoundLogger, *, demo: bool) -> None:
        self._err, self._log, self._demo = err, log, demo

    def broken(self, error: BrokenFrameError) -> None:
        """Report a frame that could not be decoded."""
        if self._demo:
            print(f"reader: run: {printable(str(error))}; skipped", file=self._err, flush=True)
        else:
            self._log.warning("frame_broken", reason=error.reason)

    def note(self, note: str) -> None:
        """Report something about the source as a whole."""
        if self._demo:
            print(f"reader: run: {printable(note)}", file=self._err, flush=True)
        else:
            self._log.warning("source", note=note.partition(":")[0])
