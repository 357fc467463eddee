"""The health report in the form that the department receives."""

from __future__ import annotations

from dataclasses import fields

from firmware.health.report import HealthReport
from firmware.settings.software import software_version
from sync.health import HealthMessage

_KNOWN = {field.name: "float" in str(field.type) for field in fields(HealthMessage)}  # name: a float or None


def health_message(report: HealthReport, log_id: bytes) -> HealthMessage:
    """The message for one report: the fields of the same name, without those that only the unit shows."""
    facts = {name: value for name, value in report.plain().items() if name in _KNOWN}
    alarms = tuple(facts.pop("alarms"))
    for name, value in facts.items():
        facts[name] = float(value) if _KNOWN[name] and value is not None else value
    return HealthMessage(log_id=log_id, software=software_version()[:64], alarms=alarms, **facts)
