"""`reader run` in its own process, and what it announces."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

from warm_program import READER, WarmProgram

from firmware.run.prepared_home import prepare_home

CLIP = Path(__file__).resolve().parent.parent / "replay" / "drive_by"
TWO_CARS = CLIP.parent / "two_cars"
"""Four pictures of the clip: two reads a round of three seconds, one of a car that comes towards the camera.
For who waits for a read of a running reader, and not for the rest of the clip."""


class Running:
    """A `reader run` in the background and the reads that it announced; makes its home if there is none."""

    def __init__(self, home: Path, *words: str) -> None:
        prepare_home(home)
        streams = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        words = ("--home", str(home), "--json", "run", *words)
        self.process = WarmProgram(READER, *words, **streams, text=True, bufsize=1)
        self.lines: list[str] = []

    def until_reads(self, count: int) -> None:
        """Wait for this many announcements."""
        assert self.process.stdout is not None
        while len(self.lines) < count:
            line = self.process.stdout.readline()
            assert line, "the run ended early: " + (self.process.stderr.read() if self.process.stderr else "")
            self.lines.append(line)

    def end(self, number: int) -> int:
        """Send the signal and collect the last announcements. Returns the exit status."""
        assert self.process.stdout is not None
        self.process.send_signal(number)
        hung = threading.Timer(300, self.process.kill)  # so that the test reports a run that does not end
        hung.start()
        try:
            # not communicate(), which misses what readline() has already buffered
            rest = self.process.stdout.read()
            self.process.communicate()
        finally:
            hung.cancel()
        self.lines += [line for line in rest.splitlines() if line.endswith("}")]
        return self.process.returncode

    @property
    def announced(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines]
