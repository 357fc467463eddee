"""Entries about alerts (463.7): that one became known, and each step that a person took. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from storage.alert_life import AlertStep
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import Ground

RAISED = "alerts that units raised"  # the data elements of an access to what waits
ALERT_GROUND = Ground(
    purpose="enforcement",
    basis="criminal-investigation",
    number="ALERT-4637",
    number_kind="alert",
    justification="verification of an alert (463.7)",
)
"""The ground of every access to an alert: the verification that 463.7 asks for."""
PLANTED = "planted/"
BEFORE_ENROLLMENT = "before enrollment"  # two people of this department never approved its list


def planted_name(token: str, record: str) -> str:
    """The name of a planted mismatch that shows the picture of the alert in `record`."""
    return f"{PLANTED}{token}~{record}"


def alert_words(action: str, number: int) -> str:
    """The data elements of an access to one alert: to its record, or to its picture."""
    return f"images of alert {number}" if action == "alert-image" else f"alert {number}"


def record_of(alert: str) -> str:
    """LOG/number of the unit's record in an alert's name; empty for a planted alert without one."""
    return alert if not alert.startswith(PLANTED) else alert.partition("~")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertKnown(Note):
    """A unit's alert was opened at the desk for the first time, or a planted mismatch was made.

    `alert`, `read`: LOG/number; `planted_name` gives the name of a planted mismatch. `entry`: SHA-256 of the
    list's entry. `silent`: why it did not sound. `recipients`: of a covert entry. `planted_plate`: the plate
    in a planted mismatch's entry; empty for a real alert.
    """

    KIND: ClassVar[str] = "alert_known"
    alert: str
    read: str
    unit: str
    raised_us: int
    list_id: str
    source: str
    category: str
    entry: bytes
    silent: tuple[str, ...]
    stale: bool
    requester: str
    recipients: tuple[str, ...]
    planted_plate: str = field(repr=False)
    planted_state: str

    @property
    def record(self) -> str:
        """LOG/number of the unit's record; for a planted mismatch, that of its picture's alert.

        Empty for a planted mismatch in an older log, which named none.
        """
        return record_of(self.alert)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStepTaken(Note):
    """A step with an alert. `unit`: where it was taken, empty for the desk."""

    KIND: ClassVar[str] = "alert_step"
    alert: str
    unit: str
    step: AlertStep


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecordsOpened(Note):
    """The desk knows these steps, recorded by units: `records`, each LOG/number, are not opened again."""

    KIND: ClassVar[str] = "alert_records_opened"
    records: tuple[str, ...]
