"""A unit whose alerts reach the department's store."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import Department
from desk_units import Pass, UnitTwin

from storage.alert_life import AlertStep
from storage.read_records import Alert, AlertStepped
from storage.times import MINUTE_US
from sync.hot_lists.entry import ListEntry

PLATE = "7XKR219"


class Car:
    """A unit that raises alerts."""

    def __init__(self, department: Department, name: str = "car-8") -> None:
        self.department = department
        self.unit = UnitTwin(department.home, Ed25519PrivateKey.generate(), name)
        self.reads = 0

    def raises(
        self,
        plate: str = PLATE,
        *,
        silent: tuple[str, ...] = (),
        at_us: int | None = None,
        list_id: str = "doj",
        **fields: Any,
    ) -> str:
        """Deliver one read and its alert now. Returns the alert's name. `at_us`: by the unit's clock."""
        now_us = self.department.clock.us
        said_us = now_us - MINUTE_US if at_us is None else at_us
        read = self.unit.deliver([Pass(plate=plate, at_us=said_us)], received_us=now_us)[0]
        facts: dict[str, Any] = {
            "plate": plate,
            "category": "stolen-vehicle",
            "state": "US-CA",
            "make": "KIA",
        }
        entry = ListEntry(**facts | {"reason": "VICTIM armed", "case": "26-1042"} | fields)
        record = Alert(
            read=int(read.partition("/")[2]),
            list_id=list_id,
            list_version=3,
            source="SVS",
            entry=entry.to_bytes(),
            category=entry.category,
            score=0.97,
            twin=False,
            disagrees=(),
            silent=silent,
            stale=False,
            at_us=said_us,
        )
        return self.unit.deliver_records([record], received_us=now_us)[0]

    def passes(self, plate: str) -> str:
        """Deliver one read without an alert now. Returns its name."""
        now_us = self.department.clock.us
        return self.unit.deliver([Pass(plate=plate, at_us=now_us - MINUTE_US)], received_us=now_us)[0]

    def steps(self, alert: str, *steps: AlertStep) -> None:
        """Deliver the steps that an officer took in the car."""
        number = int(alert.partition("/")[2])
        self.unit.deliver_records(
            [AlertStepped(alert=number, step=one) for one in steps], received_us=self.department.clock.us
        )
