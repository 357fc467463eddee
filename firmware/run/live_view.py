"""What `reader run` shows: reads where they may be seen, and counts alone everywhere else.

A service's output ends up in a journal that no purge reaches. So plate, time, state and direction of a read
stay away from it: what is sealed in the store is in clear nowhere else.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from firmware.frames.pipeline import PipelineCounts, RunProgress
from storage.counts import counted
from storage.read_records import Read
from storage.times import utc_text

UNKNOWN = "-"
_ROWS = 24
_STAGES = {  # what a person wants to know, from the detector's own steps
    "find": ("shrink", "find", "decode"),
    "rectify": ("rectify",),
    "read": ("read", "text"),
    "vote": ("track",),
}
_COLUMNS = ("record", "time (UTC)", "plate", "from", "sure", "way", "frames", *(f"{s} ms" for s in _STAGES))


class StageTimes:
    """Mean milliseconds a frame by stage, over the last frames."""

    def __init__(self, window: int = 200) -> None:
        self._frames: deque[Mapping[str, float]] = deque(maxlen=window)

    def add(self, ms: Mapping[str, float]) -> None:
        """One frame's times by the detector's step."""
        self._frames.append(ms)

    def means(self) -> dict[str, float]:
        """By stage; 0 before the first frame."""
        count = max(1, len(self._frames))
        return {
            stage: sum(ms.get(step, 0.0) for ms in list(self._frames) for step in steps) / count
            for stage, steps in _STAGES.items()
        }


class LiveView:
    """On a terminal a view that is redrawn in place; elsewhere a line a read, or nothing.

    reads: whether reads may be seen; else there are counts alone. as_json: one JSON object a read; where
    reads may not be seen it holds the record's number and nothing else, and a journal, which would add the
    time, gets not even that.
    """

    def __init__(self, console: Console, *, reads: bool, as_json: bool) -> None:
        self._console = console
        self._reads = reads
        self._as_json = as_json
        self._silent = not reads and (not as_json or is_journal(console.file))
        self._times = StageTimes()
        self._rows: deque[tuple[str, ...]] = deque(maxlen=_ROWS)
        self._in_view = 0
        self._lock = threading.Lock()
        self._live: Live | None = None
        if console.is_terminal and not as_json:
            self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        elif self._reads and not self._as_json:
            self._line(_COLUMNS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def progress(self, progress: RunProgress) -> None:
        """A frame was read; called from the reading thread."""
        with self._lock:
            self._times.add(progress.ms)
            self._in_view = len(progress.live)

    def stored(self, number: int, read: Read) -> None:
        """A read is durable; called from the storing thread."""
        if self._silent:
            return
        with self._lock:
            means = self._times.means()
            if self._as_json:
                facts = _facts(number, read, means) if self._reads else {"record": number}
                self._console.file.write(json.dumps(facts) + "\n")
                self._console.file.flush()
                return
            self._rows.append(_row(number, read, means))
            if self._live is None:
                self._line(self._rows[-1])

    def refresh(self, counts: PipelineCounts, blind_s: float) -> None:
        """Redraw, on a terminal; called from the main thread."""
        if self._live is None:
            return
        with self._lock:
            columns = _COLUMNS if self._reads else ()
            table = Table(*columns, caption=self._caption(counts, blind_s), caption_justify="left")
            for row in self._rows:
                table.add_row(*row)
        self._live.update(table, refresh=True)

    def summary(self, counts: PipelineCounts, blind_s: float, alerts: int = 0) -> str:
        """One line about the whole run. alerts: how many were raised."""
        stages = ", ".join(f"{stage} {mean:.1f}" for stage, mean in self._times.means().items())
        lost = counts.lost_passes + counts.without_frame
        raised = f", {counted(alerts, 'alert')} (reader alerts)" if alerts else ""
        line = f"{_flow(counts, blind_s)}; {counted(counts.stored, 'read')} stored{raised}, {lost} lost"
        return f"{line}; ms a frame: {stages}"

    def _caption(self, counts: PipelineCounts, blind_s: float) -> str:
        return f"{_flow(counts, blind_s)}, {self._in_view} in view, {counts.stored} stored"

    def _line(self, row: tuple[str, ...]) -> None:
        widths = (7, 12, 11, 7, 5, 8, 7, 8, 11, 8, 8)
        text = " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        self._console.file.write(text.rstrip() + "\n")
        self._console.file.flush()


def is_journal(stream: TextIO | IO[str]) -> bool:
    """Whether systemd connected this stream to its journal (systemd.exec(5), JOURNAL_STREAM)."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        about = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{about.st_dev}:{about.st_ino}"


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
