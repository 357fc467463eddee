"""Writes an event when an alarm is raised and when it clears, once each, over any number of reports.

An alarm that comes and goes, such as for a voltage at its limit, counts as one: it clears only after a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from firmware.health.report import HealthReport
from sync.health import Alarm

OVER_S = 60.0


class AlarmEvents:
    """Takes every report and returns it. why: gives the cause of an alarm, "" if unknown."""

    def __init__(
        self,
        log: structlog.typing.FilteringBoundLogger,
        *,
        why: Callable[[Alarm], str] = lambda _alarm: "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._why, self._monotonic = log, why, monotonic
        self._raised: dict[Alarm, float] = {}  # when it was last seen

    def noted(self, report: HealthReport) -> HealthReport:
        """Write the events of a report, and return the report."""
        now_s = self._monotonic()
        for alarm in sorted(report.alarms):
            if alarm not in self._raised:
                why = self._why(alarm)
                self._log.warning("alarm_raised", alarm=str(alarm), **({"why": why} if why else {}))
            self._raised[alarm] = now_s
        for alarm in sorted(self._raised):
            if now_s - self._raised[alarm] >= OVER_S:
                self._log.info("alarm_over", alarm=str(alarm))
                del self._raised[alarm]
        return report
