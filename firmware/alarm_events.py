"""Tells the event log when an alarm is raised and when it is over, once each; any number of looks between."""

from __future__ import annotations

import structlog

from firmware.health import Alarm, HealthReport


class AlarmEvents:
    """Feed it every report; it hands the report on."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        self._log = log
        self._raised: frozenset[Alarm] = frozenset()

    def noted(self, report: HealthReport) -> HealthReport:
        """The same report, once its news is in the log."""
        now = frozenset(report.alarms)
        for alarm in sorted(now - self._raised):
            self._log.warning("alarm_raised", alarm=str(alarm))
        for alarm in sorted(self._raised - now):
            self._log.info("alarm_over", alarm=str(alarm))
        self._raised = now
        return report
