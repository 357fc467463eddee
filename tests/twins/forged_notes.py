"""Entries that root writes in a person's name, with no proof of that person, for attacks on the log."""

from __future__ import annotations

from desk_root import VICTIM
from desk_twins import COURSE, TOPICS

from sync.department.journal.alert_entries import AlertKnown
from sync.department.journal.change_entries import (
    DocumentSigned,
)
from sync.department.journal.entries import (
    TrainingDone,
)
from sync.department.journal.inquiry_entries import Query
from sync.department.journal.office_entries import GrantIssued

READ = "00" * 32 + "/7"
NO_QUERY = Query(plate="8XYZ123", since_us=0, until_us=1, area=None, unit="")


def training(user: str = VICTIM, at_us: int = 1) -> TrainingDone:
    return TrainingDone(
        user=user, trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=at_us
    )


def known(alert: str = "11" * 32 + "/3", read: str = "11" * 32 + "/2") -> AlertKnown:
    return AlertKnown(
        alert=alert,
        read=read,
        unit="car-8",
        raised_us=1,
        list_id="doj",
        source="SVS",
        category="stolen-vehicle",
        entry=bytes(32),
        silent=(),
        stale=False,
        requester="",
        recipients=(),
        planted_plate="",
        planted_state="",
    )


def signed_document(name: str = "update/9.9") -> DocumentSigned:
    return DocumentSigned(name=name, digest=bytes(32), size=1, unit="", expires_us=-1)


def grant(person: str = "vendor1") -> GrantIssued:
    return GrantIssued(
        grant_id="ab" * 16,
        person=person,
        organisation="ACME",
        role="vendor",
        holder="SHA256:x",
        purpose="repair: camera",
        work_order="W-1",
        units=("unit",),
        commands=(),
        from_us=0,
        to_us=1,
        digest=bytes(32),
        signer="command",
    )
