"""Case numbers compared with CAD and RMS, by a person or daily from the drop folder (463.5 (a))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sync.department.desk.audit import cases
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.policy.roles import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareForm:
    """The export of CAD or RMS, a CSV file."""

    export: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCompared:
    """A comparison: its entry, how many lookups it compared, how many of them have a number that exists."""

    entry: int
    accesses: int
    known: int
    unknown: tuple[int, ...]


def compare_cases(front: DeskContext, token: str, form: CompareForm) -> AuditCompared:
    """Compare the lookups since the last comparison with an export. The next audit assigns those it lacks.

    Your own lookups wait for the next comparison, by another person or the system.
    """
    desk = front.desk
    numbers = cases.read_export(form.export)
    desk.demand(token, Call.AUDIT_RUN)
    requests = front.requests.of(desk.log)

    def plan(caller: Caller) -> Plan[AuditCompared]:
        note = cases.compare(
            requests,
            numbers,
            form.export,
            before=desk.book.cases,
            since_us=compared_to(desk),
            now_us=caller.at_us,
            by=caller.user,
        )
        return [note], lambda made: AuditCompared(
            entry=made[0].sequence, accesses=note.accesses, known=note.known, unknown=note.unknown
        )

    return desk.act(token, Call.AUDIT_RUN, plan)


def compared_to(desk: Desk) -> int:
    """The time up to which lookups have been compared with CAD and RMS."""
    last = desk.book.cases.last
    return last.note.to_us if last is not None else desk.book.opened_us


def compare_daily(front: DeskContext, exports: Sequence[bytes]) -> int:
    """Compare as the system, with every CAD and RMS export in the drop folder, and count the compared
    lookups."""
    desk = front.desk
    numbers = frozenset[str]().union(*(cases.read_export(export) for export in exports))
    requests, source = front.requests.of(desk.log), b"".join(exports)
    with desk.log.writing():
        desk.refresh()
        note = cases.compare(
            requests,
            numbers,
            source,
            before=desk.book.cases,
            since_us=compared_to(desk),
            now_us=desk.now_us(),
        )
        desk.system(note)
    return note.accesses
