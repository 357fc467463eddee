"""The health report as the department takes it."""

from __future__ import annotations

from dataclasses import fields

from firmware.frames.record import software_version
from firmware.health.report import HealthReport
from sync.health import Health

_FLOATS = frozenset(field.name for field in fields(Health) if "float" in str(field.type))


def health_message(report: HealthReport, log_id: bytes) -> Health:
    """The message of one report; the same fields under the same names."""
    facts = report.plain()
    for name in _FLOATS:
        facts[name] = None if facts[name] is None else float(facts[name])
    alarms = tuple(facts.pop("alarms"))
    return Health(log_id=log_id, software=software_version()[:64], alarms=alarms, **facts)
