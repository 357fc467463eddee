"""A health report as lines for a person. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from firmware.health.report import HealthReport
from storage.counts import counted
from storage.ledger import KEEP_FREE
from storage.reserve import SHORT_BYTES
from sync.health import clock_text


def report_lines(report: HealthReport) -> Iterable[str]:
    """The report's lines for a person."""

    def known(value: object, unit: str = "") -> str:
        return "-" if value is None else f"{value}{unit}"

    free = report.disk_free_bytes / (1 << 30)
    yield f"clock        {clock_text(report.clock_state, report.clock_error_us)}"
    yield f"machine      up {_duration(report.running_s)}"
    yield f"camera       {report.frames_per_s} frames/s, {report.frames} seen, {report.frames_dropped} lost"
    yield f"picture      sharpness {known(report.sharpness)}, brightness {known(report.brightness)}"
    usual = known(None if report.reads_usual_hour is None else round(report.reads_usual_hour))
    yield f"reads        {report.reads} since start, {report.reads_this_hour} this hour (usual {usual})"
    waiting = f"{counted(report.unacknowledged, 'record')} of reads and alerts not acknowledged"
    newer = f"{counted(report.newer_than_anchors, 'record')} newer than every anchor"
    if not report.synced:
        yield f"sync         never; {waiting}"
        yield f"log          {newer}"
    else:  # as of that sync: newer counts would reveal a hit
        since_s = report.since_sync_s
        ago = "at a time ahead of this clock" if since_s is None else f"{_duration(max(1.0, since_s))} ago"
        yield f"sync         {ago}; it left {waiting}"
        yield f"log          {newer} after that sync"
    wear = known(report.card_wear_percent, " %")
    yield f"disk         {free:.1f} GB free of {report.disk_total_bytes / (1 << 30):.1f}, card wear {wear}"
    if report.disk_free_bytes < KEEP_FREE:
        yield f"             FULL: no read is stored below {KEEP_FREE >> 20} MB; sync, or remove other files"
    if report.disk_free_bytes < SHORT_BYTES:
        yield "             its reserve is spent: make room before a restart, or nothing opens"
    yield f"card         {_written(report)}"
    if report.card_years is not None:
        yield f"             at this rate a new card lasts {_years(report.card_years)}"
    if report.swaps_to_card:
        yield "swap         ON THE CARD: plates in memory may be written there (sudo swapoff -a)"
    yield f"board        {known(report.temperature_c, ' C')}, throttled {_word(report.throttled)}, " \
          f"undervoltage {_word(report.undervoltage)}"  # fmt: skip
    yield "alarms       " + (", ".join(report.alarms) or "none")


def _written(report: HealthReport) -> str:
    if report.card_bytes_an_hour is None:
        return "writes are not counted here"
    flushes = "-" if report.card_flushes_an_hour is None else f"{report.card_flushes_an_hour:.0f}"
    return (
        f"up to {report.card_bytes_an_hour / 1e6:.0f} MB and {flushes} flushes an hour, by the whole machine"
    )


def _years(years: float) -> str:
    """Years, with a decimal for a short life: 0 years would mean nothing."""
    if years < 0.1:
        return "less than 0.1 years"
    return f"{years:.1f} years" if years < 10 else f"{min(years, 99):.0f} years"


def _word(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "no"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
