"""Whose an alert is: everybody's on duty; of a covert entry its recipients'; where none of these may verify
any more, that of the two who made the entry, so that it can be ended."""

from __future__ import annotations

from sync.department.desk.alerts.rules import AlertRow
from sync.department.desk.desk import Desk
from sync.department.desk.documents.covert import is_heard


def sees(desk: Desk, row: AlertRow, user: str, at_us: int) -> bool:
    """Whether a person is shown an alert."""
    makers = desk.book.covert.makers.get(row.known.entry, ())
    return row.visible_to(user) or (
        user in makers and not is_heard(desk.policy, desk.book.roster, row.known.recipients, makers, at_us)
    )


def open_for(desk: Desk, user: str, at_us: int) -> list[AlertRow]:
    """The open alerts that a person is shown: those that sounded first, the oldest first."""
    return [row for row in desk.book.alerts.open() if sees(desk, row, user, at_us)]
