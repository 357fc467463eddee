"""Two people's word that the store was restored from a backup, with what it lacks of what the log counted."""

from __future__ import annotations

from dataclasses import dataclass

from storage.counts import counted
from storage.times import DAY_US
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.forms import Entered, first_entered
from sync.department.desk.machine.calls import day_of
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.machine_entries import StoreRestored
from sync.department.policy.refusals import FormError, NotYetError
from sync.department.policy.roles import Call

CLAUSE = "463.8"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreForm:
    """That the store was restored from the backup of a day (YYYY-MM-DD, UTC), and why.

    `propose` asks for a second person; `approval` is the approved proposal.
    """

    backup: str
    reason: str
    propose: bool = False
    approval: int = -1


def enter_restore(front: DeskContext, token: str, form: RestoreForm) -> Entered:
    """Enter what the store lacks, by two people's word: `verify` names just that as lost, and no more."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        if day_of(form.backup, "backup") > caller.at_us // DAY_US:
            raise FormError("backup: that day is to come", code="form", clause=CLAUSE)
        demand_words(form.reason, "say why it was restored", code="reason", clause=CLAUSE)
        lost = front.lacking()
        if not lost:
            what = "the store lacks nothing that the log counted"
            raise NotYetError(what, code="nothing-lost", clause=CLAUSE)
        losses = counted(len(lost), "loss", "losses")
        summary = f"the store was restored from the backup of {form.backup}: {losses}"
        second = desk.second_person(caller, "restore/enter", form, about=form.backup, summary=summary)
        if isinstance(second, ChangeProposed):
            return [second], first_entered
        return [StoreRestored(backup=form.backup, reason=form.reason, lost=lost), *second], first_entered

    return desk.act(token, Call.CHANGE_APPROVE, plan)
