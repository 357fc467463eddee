"""Tells the event log when an alarm is raised and when it is over, once each; any number of looks between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from firmware.health import Alarm, HealthReport


class AlarmEvents:
    """Feed it every report; it hands the report on. troubles: what stands behind `sensor_failed`."""

    def __init__(
        self, log: structlog.typing.FilteringBoundLogger, *, troubles: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self._log, self._troubles = log, troubles
        self._raised: frozenset[Alarm] = frozenset()

    def noted(self, report: HealthReport) -> HealthReport:
        """The same report, once its news is in the log."""
        now = frozenset(report.alarms)
        for alarm in sorted(now - self._raised):
            why = "; ".join(self._troubles()) if alarm is Alarm.SENSOR_FAILED else ""
            self._log.warning("alarm_raised", alarm=str(alarm), **({"why": why} if why else {}))
        for alarm in sorted(self._raised - now):
            self._log.info("alarm_over", alarm=str(alarm))
        self._raised = now
        return report
