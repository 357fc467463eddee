"""Two people's statement that the store was restored from a backup, with what it lacks of what the log
counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.counts import counted
from storage.times import DAY_US, day_number
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.forms import Entered, first_entered
from sync.department.desk.machine.calls import day_of
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.machine_entries import LostRows, StoreRestored, digest_of_losses
from sync.department.policy.refusals import FormError, NotYetError
from sync.department.policy.roles import Call
from sync.department.store.received import READ

CLAUSE = "463.8"
MOST_DAYS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreForm:
    """A statement that the store was restored from the backup of a day (YYYY-MM-DD, UTC), and why.

    `lost`: the digest of the losses. Without it, the refusal names them; with it, two people sign for exactly
    these losses.

    `propose` asks for a second person; `approval` is the approved proposal.
    """

    backup: str
    reason: str
    lost: str = ""
    propose: bool = False
    approval: int = -1


def enter_restore(front: DeskContext, token: str, form: RestoreForm) -> Entered:
    """Enter what the store lacks, by two people's statement. `verify` then accepts exactly these losses."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        backup = day_of(form.backup, "RestoreForm.backup")
        if backup > caller.at_us // DAY_US:
            raise FormError("backup: that day is in the future", code="form", clause=CLAUSE)
        demand_words(form.reason, "say why it was restored", code="reason", clause=CLAUSE)
        lost = front.lacking()
        if not lost:
            what = "the store lacks nothing that the log counted"
            raise NotYetError(what, code="nothing-lost", clause=CLAUSE)
        if any(-1 < _day_of_loss(one) < backup for one in lost):
            what = "the store lacks what was counted before that day: no restore from its backup explains it"
            raise FormError(what, code="before-backup", clause=CLAUSE, cure="find out who removed it")
        digest, words = digest_of_losses(lost), _in_words(lost)
        if form.lost != digest:
            raise NotYetError(
                f"what is lost now: {words}; its digest is {digest}",
                code="other-losses",
                clause=CLAUSE,
                cure="once the units sent again what they hold, give this digest as lost",
            )
        summary = f"the store was restored from the backup of {form.backup}; lost: {words}"
        second = desk.second_person(caller, "restore/enter", form, about=form.backup, summary=summary)
        if isinstance(second, ChangeProposed):
            return [second], first_entered
        return [StoreRestored(backup=form.backup, reason=form.reason, lost=lost), *second], first_entered

    return desk.act(token, Call.CHANGE_APPROVE, plan)


def _day_of_loss(one: LostRows) -> int:
    """The day (since 1970) of a loss, for rows the last day; -1 for a log, which has no day."""
    what, of, *_ = one
    if what == "rows":
        return int(of.rpartition(" ")[2])
    return -1 if what == "log" else day_number(of[:10])


def _in_words(lost: Sequence[LostRows]) -> str:
    """Describe losses: how many reads of which days, how many rows, how many records of logs."""
    missing = {what: sum(many - here for one, _, many, here, _ in lost if one == what) for what, *_ in lost}
    elements = [(of[:10], of[11:], many - here) for what, of, many, here, _ in lost if what == "elements"]
    days = sorted({day for day, _, _ in elements})
    words = [counted(sum(many for _, name, many in elements if name == READ), "read")] if days else []
    words += [f"{counted(missing['elements'], 'element')} of {', '.join(days[:MOST_DAYS])}"] if days else []
    words += [f"and {counted(len(days) - MOST_DAYS, 'more day')}"] if len(days) > MOST_DAYS else []
    words += [f"{missing['given up']:,} given up"] if missing.get("given up") else []
    words += [counted(missing["rows"], "row")] if missing.get("rows") else []
    words += [f"{counted(missing['log'], 'record')} of logs"] if missing.get("log") else []
    return ", ".join(words)
