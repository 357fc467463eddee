"""What is overdue at a department and what ends soon, for `compliance` and mails."""

from __future__ import annotations

from dataclasses import dataclass

from sync.department.desk import due
from sync.department.desk.context import DeskContext
from sync.department.desk.documents.own_entries import ANYONE, Onlooker
from sync.department.desk.endings import advice, soon
from sync.department.desk.owed import Ending, Overdue


@dataclass(frozen=True, slots=True, kw_only=True)
class DueWork:
    """What is overdue, and what ends soon."""

    overdue: tuple[Overdue, ...]
    ending: tuple[Ending, ...]

    def lines(self) -> list[str]:
        """Everything as text, one line each."""
        return [
            *(f"OVERDUE {one.kind:9} {one.clause:10} {one.what}" for one in self.overdue),
            *(f"SOON    {one.kind:9} {one.clause:10} {one.what} ({advice(one)})" for one in self.ending),
        ]


def standing(front: DeskContext, onlooker: Onlooker = ANYONE) -> DueWork:
    """The state of the department now, by its own time. `onlooker`: which covert entries may show."""
    desk = front.desk
    desk.refresh()
    desk.look_for_fork()  # another process's call may have met one
    now_us = desk.now_us()
    ending = soon(desk.policy, due.endings_now(front, now_us, onlooker=onlooker), now_us)
    late = due.overdue_now(front, now_us, onlooker=onlooker)
    return DueWork(overdue=tuple(late), ending=tuple(ending))
