"""What a department owes, and what ends soon: what `compliance` prints and mails say."""

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
        """The same for people, a line each."""
        return [
            *(f"OVERDUE {one.kind:9} {one.clause:10} {one.what}" for one in self.overdue),
            *(f"SOON    {one.kind:9} {one.clause:10} {one.what} ({advice(one)})" for one in self.ending),
        ]


def standing(front: DeskContext, onlooker: Onlooker = ANYONE) -> DueWork:
    """The state of the department now, by its own time: of covert entries, as far as the onlooker knows."""
    desk = front.desk
    desk.refresh()
    desk.look_for_fork()  # the call that met one may have been another process's
    now_us = desk.now_us()
    ending = soon(desk.policy, due.endings_now(front, now_us, onlooker=onlooker), now_us)
    late = due.overdue_now(front, now_us, onlooker=onlooker)
    return DueWork(overdue=tuple(late), ending=tuple(ending))
