"""What `department verify` prints of a check. Not a command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from storage.counts import counted
from storage.times import SECOND_US, iso_text
from sync.command_frame import Common
from sync.department.journal.check_hours import HoursReport
from sync.errors import DONE, FOUND_WRONG

MOST = 1000  # characters of a line


def report_hours(common: Common, report: HoursReport) -> int:
    """Print the result of the check of the hourly heads, and return the exit status."""
    if common.json:
        print(json.dumps({"hourly_heads": asdict(report)}))
        return FOUND_WRONG if report.problems else DONE
    if report.hours:
        seen = f"{report.witnessed} co-signed by public witnesses"
        if report.witnessed:
            seen += f" at {iso_text(report.witnessed_at_s * SECOND_US, to='second')}"
        print(f"hourly heads: {counted(report.hours, 'hour')}, {seen}")
    say(report.problems, report.unchecked)
    return FOUND_WRONG if report.problems else DONE


def say(problems: Sequence[str], unchecked: Sequence[str]) -> None:
    """Print each problem, and what could not be checked."""
    for problem in problems[:100]:
        print(f"WRONG {shown(problem)}")
    for what in unchecked:
        print(f"not checked: {shown(what)}")


def shown(text: str) -> str:
    """A text for the terminal, with what a forged entry says in it: no control characters, at most MOST."""
    text = text if len(text) <= MOST else f"{text[:MOST]}..."
    return text if text.isprintable() else ascii(text)[1:-1]
