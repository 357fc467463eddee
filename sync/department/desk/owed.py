"""Records of one thing that is overdue and of one thing that ends. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from storage.times import DAY_US, MINUTE_US, iso_text

NOTICE_DAYS = {"hot-list": 0, "list-entry": 3, "unit-certificate": 14}
"""Shorter notice than the policy's, of what is renewed within days: a list daily, a unit its certificate."""


class Late(StrEnum):
    """Kinds of work that can be overdue."""

    ALERT = "alert"
    APPROVER = "approver"
    AUDIT = "audit"
    CLETS = "clets"
    CLOCK = "clock"
    EMERGENCY = "emergency"
    ENROLLMENT = "enrollment"
    FILING = "filing"
    FINDING = "finding"
    FORK = "fork"
    GRANT = "grant"
    HOLD = "hold"
    INCIDENT = "incident"
    KEYS = "keys"
    PASSWORD = "password"  # noqa: S105 - a kind of work
    PURGE = "purge"
    REDRESS = "redress"
    REVIEWER = "reviewer"
    ROSTER = "roster"
    SERVICE = "service"
    SHARE = "share"
    SOURCE = "source"
    STORE = "store"
    TRAINING = "training"
    UNIT = "unit"
    UNOPENED = "unopened"
    WITNESS = "witness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """One thing that should have been done by now."""

    kind: Late
    clause: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One thing that ends, or that a newer policy has superseded (`ends_us` 0).

    `kind`: one of `endings.SEEN_WITH`; `about`: the user whose it is, or what it is; `name`: that person's
    name, if they are on the roster; `what`: a line that says what ends when; `cure`, `command`: what to do,
    and with which command; `lasts_min`: for how long a grant or the certificate of another office's server
    was given, 0 for all else.
    """

    kind: str
    clause: str
    about: str
    name: str = ""
    ends_us: int
    what: str
    cure: str
    command: str = ""
    lasts_min: int = 0

    def is_soon(self, now_us: int, days: int) -> bool:
        """Whether it ends within so many days, or within its kind's own notice.

        For what lasts less than four times that, the notice is its last quarter.
        """
        notice_us = min(days, NOTICE_DAYS.get(self.kind, days)) * DAY_US
        if self.lasts_min:
            notice_us = min(notice_us, self.lasts_min * MINUTE_US // 4)
        return now_us <= self.ends_us < now_us + notice_us


def ending_at(  # noqa: PLR0917 - the columns of a table
    kind: str, clause: str, about: str, ends_us: int, name: str, cure: str, command: str = ""
) -> Ending:
    """Make the record of what ends at `ends_us`, with a line that uses this name."""
    what = f"{name} ends {iso_text(ends_us, to='second')}"
    return Ending(
        kind=kind, clause=clause, about=about, ends_us=ends_us, what=what, cure=cure, command=command
    )
