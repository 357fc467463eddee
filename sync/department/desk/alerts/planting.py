"""Planted mismatches: a picture confirmed before, with an entry that differs in one character. No I/O.

Which alert gets one follows from the log's entry number alone, so that nobody at the desk can choose.
"""

from __future__ import annotations

import hashlib

from storage.alert_life import Answer, Step
from sync.department.desk.alerts.rules import Alerts
from sync.department.journal.alert_entries import AlertKnown

LOOK_ALIKES = {
    "0": "8", "1": "7", "2": "7", "3": "8", "4": "A", "5": "6", "6": "8", "7": "2", "8": "3", "9": "8",
    "A": "4", "B": "8", "C": "G", "D": "B", "E": "F", "F": "E", "G": "C", "H": "N", "I": "7", "J": "U",
    "K": "X", "L": "E", "M": "N", "N": "M", "O": "Q", "P": "R", "Q": "G", "R": "P", "S": "5", "T": "7",
    "U": "V", "V": "U", "W": "V", "X": "K", "Y": "V", "Z": "2",
}  # fmt: skip


def falls_due(number: int, per_thousand: int) -> bool:
    """Whether the alert that became known with this entry is followed by a planted one."""
    digest = hashlib.sha256(b"alpr-reader/planted/v1" + number.to_bytes(8, "big")).digest()
    return int.from_bytes(digest[:4], "big") % 1000 < per_thousand


def plant(alerts: Alerts, number: int, at_us: int) -> AlertKnown | None:
    """A planted mismatch on the newest confirmed picture; None where there is none yet."""
    confirmed = [
        row
        for row in alerts.rows.values()
        if not row.planted and not row.known.recipients and row.state.answer is Answer.CONFIRMED
    ]
    if not confirmed:
        return None
    row = max(confirmed, key=lambda one: one.known.raised_us)
    typed = row.state.last(Step.TRANSCRIBED)
    if typed is None:
        return None
    plate = altered(typed.plate.upper().replace(" ", "").replace("-", ""), number)
    return AlertKnown(
        alert=f"planted/{number}",
        read=row.known.read,
        unit=row.known.unit,
        raised_us=at_us,
        list_id=row.known.list_id,
        source=row.known.source,
        category=row.known.category,
        entry=hashlib.sha256(f"planted {number}".encode()).digest(),
        silent=row.known.silent,
        stale=False,
        requester="",
        recipients=(),
        planted_plate=plate,
        planted_state=typed.state,
    )


def altered(plate: str, number: int) -> str:
    """The plate with one character changed to one that looks like it."""
    at = number % len(plate)
    other = LOOK_ALIKES.get(plate[at], "X")
    return f"{plate[:at]}{other}{plate[at + 1 :]}"
