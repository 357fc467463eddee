"""The options of a run, and its result."""

from __future__ import annotations

from dataclasses import dataclass

from firmware.frames.pipeline import PipelineCounts
from firmware.run.live_view import LiveView


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of `reader run`. None: by the configuration or the kind of source."""

    source: str | None = None
    once: bool = False
    at_source_pace: bool | None = None
    plates: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended. `unread`: why a run that was to end with its source ended earlier; else empty."""

    frames: int
    broken: int
    dropped: int
    stored: int
    lost: int
    blind_s: float
    summary: str
    unread: str = ""

    def after(self, before: RunResult | None) -> RunResult:
        """The sum of both runs, with the texts of the later one."""
        if before is None:
            return self
        return RunResult(
            frames=before.frames + self.frames,
            broken=before.broken + self.broken,
            dropped=before.dropped + self.dropped,
            stored=before.stored + self.stored,
            lost=before.lost + self.lost,
            blind_s=before.blind_s + self.blind_s,
            summary=self.summary,
            unread=self.unread,
        )


def result_of(counts: PipelineCounts, blind_s: float, view: LiveView, alerts: int = 0) -> RunResult:
    """The result of a run with these counts. alerts: how many were raised."""
    return RunResult(
        frames=counts.frames,
        broken=counts.broken,
        dropped=counts.dropped,
        stored=counts.stored,
        lost=counts.lost,
        blind_s=blind_s,
        summary=view.summary(counts, blind_s, alerts),
    )
