"""Who is shown an alert: everybody on duty, or for a covert entry only its recipients.

If none of the recipients may verify any longer, the two people who made the entry are shown it, so that it
can be ended.
"""

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
    """The open alerts that a person is shown: first those that sounded, each group with the oldest first."""
    return [row for row in desk.book.alerts.open() if sees(desk, row, user, at_us)]
