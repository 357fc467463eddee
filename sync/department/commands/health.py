"""`department health`: the units' health, from their newest reports; exit 1 if one needs a person."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from storage.times import now_us, utc_text
from sync.command_frame import Common, verb
from sync.department.ground.home import DepartmentHome
from sync.department.store.opening import open_store_of
from sync.department.store.unit_health import UnitState, off_text, states
from sync.errors import DONE, FOUND_WRONG
from sync.health import Alarm, clock_text


@verb("health", example="department health --home /srv/alpr")
def health(common: Common) -> int:
    """Show each unit's newest health report, which every sync delivers.

    Camera, reads against the site's habit, clock, disk, board, alarms. The exit status is 1 if a unit reports
    an alarm, is silent for days, or has a wrong clock or a certificate that ended. Shows no plate: units
    report numbers and fixed words.
    """
    store = open_store_of(DepartmentHome.read_only(common.home), migrate=False)
    try:
        with store.listing() as connection:
            found = states(connection)
    finally:
        store.close()
    at_us = now_us()
    for state in found:
        print(json.dumps(_facts(state, at_us)) if common.json else "\n".join(_lines(state, at_us)))
    if not found and not common.json:
        print("no unit is enrolled")
    wrong = any(
        state.is_silent(at_us)
        or state.ended(at_us)
        or state.alarms
        or state.clock_off_us
        or state.reset_us is not None
        for state in found
    )
    return FOUND_WRONG if wrong else DONE


def _facts(state: UnitState, at_us: int) -> dict[str, Any]:
    report = None
    if state.report is not None:
        report = {
            name: value for name, value in asdict(state.report).items() if name not in {"log_id", "version"}
        }
    return {
        "unit": state.unit_id, "name": state.name, "seen_us": state.seen_us,
        "received_us": state.received_us, "silent": state.is_silent(at_us), "reset_us": state.reset_us,
        "clock_off_us": state.clock_off_us, "certificate_ends_us": state.certificate_ends_us,
        "report": report,
    }  # fmt: skip


def _lines(state: UnitState, at_us: int) -> list[str]:
    seen = "SILENT since" if state.is_silent(at_us) else "seen"
    head = f"{state.name}  {seen} {_moment(state.seen_us)}"
    if state.reset_us is not None:
        return [f"{head}  RESET, by its receipt of {_moment(state.reset_us)}: take it out of service"]
    report, ended = state.report, state.ended(at_us)
    cut_off = [f"  CERTIFICATE {ended}"] if ended else []
    if report is None:
        return [f"{head}  no report yet", *cut_off]
    free = report.disk_free_bytes / (1 << 30)
    usual = "-" if report.reads_usual_hour is None else f"{report.reads_usual_hour:.0f}"
    return [
        f"{head}  {report.software}  report of {_moment(report.at_us)}",
        *cut_off,
        f"  camera {report.frames_per_s:.1f} frames/s, {report.frames_dropped} lost; reads "
        f"{report.reads_this_hour} this hour (usual {usual}); {report.unacknowledged} not acknowledged",
        *([f"  CLOCK {off_text(state.clock_off_us)}: set it right"] if state.clock_off_us else []),
        f"  clock {clock_text(report.clock_state, report.clock_error_us)}; {free:.1f} GB free; "
        f"board {_known(report.temperature_c, ' C')}, card wear {_known(report.card_wear_percent, ' %')}",
        f"  alarms {', '.join(report.alarms) or 'none'}",
        *(f"    {name}: {Alarm(name).words}" for name in report.alarms),
    ]


def _known(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.0f}{unit}"


def _moment(us: int | None) -> str:
    return "never" if us is None else utc_text(us, to="minute")
