"""What `reader run` shows: reads where they may be seen, and elsewhere only counts.

A service's output goes to a journal that no purge reaches. So plate, time, state and direction of a read
never go there: what is sealed in the store must not be in clear anywhere else.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Self, TextIO

from firmware.frames.pipeline import PipelineCounts, RunProgress
from storage.counts import counted
from storage.read_records import Read
from storage.times import utc_text

UNKNOWN = "-"
_ROWS = 24
_STAGES = {  # what a person wants to know, by the detector's steps
    "find": ("shrink", "find", "decode"),
    "rectify": ("rectify",),
    "read": ("read", "text"),
    "vote": ("track",),
}
_COLUMNS = ("record", "time (UTC)", "plate", "from", "sure", "way", "frames", *(f"{s} ms" for s in _STAGES))
_WIDTHS = (7, 12, 11, 7, 5, 8, 7, 8, 11, 8, 8)


class StageTimes:
    """Mean milliseconds per frame by stage, over the last frames."""

    def __init__(self, window: int = 200) -> None:
        self._frames: deque[Mapping[str, float]] = deque(maxlen=window)

    def add(self, ms: Mapping[str, float]) -> None:
        """Add one frame's times, by the detector's steps."""
        self._frames.append(ms)

    def means(self) -> dict[str, float]:
        """The means by stage; 0 before the first frame."""
        count = max(1, len(self._frames))
        return {
            stage: sum(ms.get(step, 0.0) for ms in list(self._frames) for step in steps) / count
            for stage, steps in _STAGES.items()
        }


class Repainted(io.TextIOBase):
    """Lines that are redrawn in place at the bottom of a terminal. Text that is written to it, such as
    events, goes above them, so that nothing is painted over.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal, self._painted, self._mid_line = terminal, 0, False
        self._lock = threading.RLock()

    def paint(self, lines: Sequence[str]) -> None:
        """Replace the painted lines, cut at the terminal's edge; if there are too many, drop the first."""
        columns, rows = shutil.get_terminal_size()
        with self._lock:
            if self._mid_line:  # the rest of an event comes first
                return
            shown = [line[: columns - 1] for line in lines[-(rows - 1) :]]
            self._wipe()
            self._terminal.write("".join(f"{line}\n" for line in shown))
            self._terminal.flush()
            self._painted = len(shown)

    def write(self, text: str) -> int:
        """Write text above the painted lines, which return at the next paint."""
        with self._lock:
            self._wipe()
            self._terminal.write(text)
            self._terminal.flush()
            self._mid_line = not text.endswith("\n")
        return len(text)

    def isatty(self) -> bool:
        """Return True: it writes to a terminal."""
        return True

    @contextlib.contextmanager
    def taking_events(self) -> Iterator[None]:
        """Redirect stderr here for the length of the `with`, if stderr is a terminal too."""
        if sys.stderr.isatty():
            with contextlib.redirect_stderr(self):
                yield
        else:
            yield

    def _wipe(self) -> None:
        if self._painted:
            self._terminal.write(f"\x1b[{self._painted}A\x1b[J")
            self._painted = 0


class LiveView:
    """On a terminal, a view that is redrawn in place; elsewhere a line per read, or nothing.

    reads: whether reads may be seen; otherwise there are only counts. as_json: one JSON object per read; if
    reads may not be seen, it contains only the record's number, and a journal, which would add the time, does
    not even get that.
    """

    def __init__(self, out: TextIO, *, reads: bool, as_json: bool) -> None:
        self._out = out
        self._reads = reads
        self._as_json = as_json
        self._silent = not reads and (not as_json or is_journal(out))
        self._times = StageTimes()
        self._rows: deque[tuple[str, ...]] = deque(maxlen=_ROWS)
        self._in_view = 0
        self._lock = threading.Lock()
        moves = out.isatty() and os.environ.get("TERM") not in {None, "", "dumb", "unknown"}
        self._live = Repainted(out) if moves and not as_json else None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._open.enter_context(self._live.taking_events())
        elif self._reads and not self._as_json:
            self._line(_COLUMNS)
        return self

    def __exit__(self, *_what: object) -> None:
        self._open.close()

    def progress(self, progress: RunProgress) -> None:
        """Note a frame that was read; called by the reading thread."""
        with self._lock:
            self._times.add(progress.ms)
            self._in_view = len(progress.live)

    def stored(self, number: int, read: Read) -> None:
        """Show a durable read; called by the storing thread."""
        if self._silent:
            return
        with self._lock:
            means = self._times.means()
            if self._as_json:
                facts = _facts(number, read, means) if self._reads else {"record": number}
                self._out.write(json.dumps(facts) + "\n")
                self._out.flush()
                return
            self._rows.append(_row(number, read, means))
            if self._live is None:
                self._line(self._rows[-1])

    def refresh(self, counts: PipelineCounts, blind_s: float) -> None:
        """Redraw the view on a terminal; called by the main thread."""
        if self._live is None:
            return
        with self._lock:
            lines = [_columns(row) for row in (_COLUMNS, *self._rows)] if self._reads else []
            self._live.paint([*lines, self._caption(counts, blind_s)])

    def summary(self, counts: PipelineCounts, blind_s: float, alerts: int = 0) -> str:
        """A line about the whole run. alerts: how many were raised."""
        stages = ", ".join(f"{stage} {mean:.1f}" for stage, mean in self._times.means().items())
        raised = f", {counted(alerts, 'alert')} (reader alerts)" if alerts else ""
        line = (
            f"{_flow(counts, blind_s)}; {counted(counts.stored, 'read')} stored{raised}, {counts.lost} lost"
        )
        return f"{line}; ms a frame: {stages}"

    def _caption(self, counts: PipelineCounts, blind_s: float) -> str:
        return f"{_flow(counts, blind_s)}, {self._in_view} in view, {counts.stored} stored"

    def _line(self, row: tuple[str, ...]) -> None:
        self._out.write(_columns(row) + "\n")
        self._out.flush()


def is_journal(stream: TextIO | IO[str]) -> bool:
    """Whether systemd connected this stream to its journal (systemd.exec(5), JOURNAL_STREAM)."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        about = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{about.st_dev}:{about.st_ino}"


def _columns(row: tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(row, _WIDTHS, strict=True)).rstrip()


def _row(number: int, read: Read, means: Mapping[str, float]) -> tuple[str, ...]:
    return (
        str(number),
        utc_text(read.first_us)[11:22],
        read.text,
        read.jurisdiction or UNKNOWN,
        f"{read.confidence:.2f}",
        read.direction,
        str(read.frames_voted),
        *(f"{mean:.1f}" for mean in means.values()),
    )


def _facts(number: int, read: Read, means: Mapping[str, float]) -> dict[str, object]:
    return {
        "record": number,
        "first_us": read.first_us,
        "last_us": read.last_us,
        "jurisdiction": read.jurisdiction,
        "confidence": round(read.confidence, 4),
        "direction": read.direction,
        "frames_voted": read.frames_voted,
        "ms": {stage: round(mean, 2) for stage, mean in means.items()},
        "plate": read.text,
    }


def _flow(counts: PipelineCounts, blind_s: float) -> str:
    frames = f"{counts.frames} frames, {counts.dropped} dropped, {counts.broken} broken"
    return f"{frames}, blind {blind_s:.1f} s"
