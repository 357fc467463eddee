"""`verify` runs the detectors again: a finding that root drops or makes up, and a run left out, are named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from desk_twins import CAD, GROUND, Department

from storage.errors import RecordError
from storage.times import DAY_US, HOUR_US, day_text
from sync.department.commands.verify_words import MOST, say
from sync.department.desk.audit.calls import PeriodForm, look_daily
from sync.department.desk.audit.detectors import RULES
from sync.department.desk.audit.look_up_detectors import Burst, LookUp
from sync.department.desk.break_glass.calls import GlassForm
from sync.department.desk.desk import Desk
from sync.department.desk.inquiry.forms import RunForm
from sync.department.desk.log_state import Deciding
from sync.department.journal.access_log import DATABASE
from sync.department.journal.change_entries import CasesCompared, DayCounted, GlassBroken
from sync.department.journal.entries import (
    JUDGED_WHOLE,
    NEWEST_FORM,
    AccessLogOpened,
    AuditDone,
    Entry,
    EntryOf,
    FindingOpened,
    is_of,
)
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.machine_entries import DetectorsRan
from sync.department.server import detector_runs
from sync.department.server.detector_runs import USED_DAYS
from sync.department.server.folded_log import FoldedLog

Entries = list[Entry]


def judged(entries: Entries, form: int = NEWEST_FORM) -> tuple[list[str], list[str]]:
    """(what is wrong, what was not checked) by `verify`, in a log of that form."""
    folded, first = FoldedLog(()), entries[0]
    assert isinstance(first.note, AccessLogOpened)
    for entry in (replace(first, note=replace(first.note, signs=form)), *entries[1:]):
        folded.judge(entry)
    folded.end()
    return folded.problems, folded.unchecked


def numbered(entries: Entries) -> Entries:
    return [replace(one, sequence=at) for at, one in enumerate(entries)]


def search(department: Department, times: int = 5, user: str = "comm1") -> None:
    """Each user looks at a plate of their own: two people with one number are a team."""
    token, plate = department.logon(user), "8XYZ123" if user == "comm1" else "7ABC001"
    for _ in range(times):
        department.call("inquiry/run", token, RunForm(query=department.plate(plate), ground=GROUND))


@pytest.fixture
def looked(department: Department) -> Department:
    """Five lookups of one plate, and the daily run that flags them."""
    search(department)
    (number,) = look_daily(department.front)
    assert is_of(department.desk.log.entry(number + 1), DetectorsRan)
    return department


def test_an_honest_department_is_named_nothing_over_days_disputes_audits_and_closings(
    looked: Department,
) -> None:
    for _ in range(2 * USED_DAYS):
        looked.clock.step(DAY_US)
        search(looked, 1)
        look_daily(looked.front)
    looked.call("audit/run", looked.logon("super"), PeriodForm())
    search(looked, 1, "super")
    assert judged(list(looked.desk.log.entries())) == ([], [])


def test_a_run_without_look_ups_or_findings_leaves_no_entry(looked: Department) -> None:
    size = looked.desk.log.size()
    assert look_daily(looked.front) == []
    assert looked.desk.log.size() == size


def at_of(entries: Entries, kind: type) -> int:
    return max(at for at, one in enumerate(entries) if isinstance(one.note, kind))


def changed(**change: object) -> Callable[[Entries], Entries]:
    """The newest finding says something else."""

    def attack(entries: Entries) -> Entries:
        at = at_of(entries, FindingOpened)
        note = replace(entries[at].note, **change)
        return [*entries[:at], replace(entries[at], note=note), *entries[at + 1 :]]

    return attack


def dropped(entries: Entries) -> Entries:
    at = at_of(entries, FindingOpened)
    return numbered([*entries[:at], *entries[at + 1 :]])


def twice(entries: Entries) -> Entries:
    at = at_of(entries, FindingOpened)
    return numbered([*entries[:at], entries[at], *entries[at:]])


def after_its_run(entries: Entries) -> Entries:
    at = at_of(entries, FindingOpened)
    return numbered([*entries[:at], *entries[at + 1 :], entries[at]])


def by_rules_of_none(entries: Entries) -> Entries:
    at = at_of(entries, DetectorsRan)
    return [*entries[:at], replace(entries[at], note=DetectorsRan(rules=0, opened=1)), *entries[at + 1 :]]


def entered_early(entries: Entries) -> Entries:
    """A true finding before its run, with a lookup between them."""
    at, look = at_of(entries, FindingOpened), at_of(entries, Access)
    return numbered([*entries[:look], entries[at], *entries[look:at], *entries[at + 1 :]])


ATTACKS: dict[str, tuple[Callable[[Entries], Entries], str]] = {
    "dropped": (dropped, "there is no finding about comm1: same_plate"),
    "about another": (changed(about="super"), "no detector opens one about super"),
    "of other entries": (changed(accesses=(3,)), "no detector opens one about comm1"),
    "in other words": (changed(detail="one plate or read 2 times"), "no detector opens one about comm1"),
    "by another detector": (changed(detector="off_shift"), "no detector opens one about comm1: off_shift"),
    "as if drawn": (changed(detector="sample"), "no detector opens one about comm1: sample"),
    "as an emergency": (changed(detector="break_glass"), "it is about no emergency search"),
    "twice": (twice, "no detector opens one about comm1"),
    "before its run": (entered_early, "no detector opens one about comm1"),
    "after its run": (after_its_run, "no detector opens one about comm1"),
    "by other rules": (by_rules_of_none, "by older rules"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_finding_that_root_drops_or_changes_is_named(looked: Department, attack: str) -> None:
    forge, words = ATTACKS[attack]
    entries = list(looked.desk.log.entries())
    assert judged(entries) == ([], [])
    wrong, _ = judged(forge(entries))
    assert any(words in one for one in wrong), wrong


def test_a_finding_that_an_audit_leaves_out_is_named_even_in_the_name_of_its_person(
    looked: Department,
) -> None:
    looked.clock.step(DAY_US)
    search(looked, 5, "super")
    looked.call("audit/run", looked.logon("super"), PeriodForm())
    entries = list(looked.desk.log.entries())
    assert judged(entries) == ([], [])
    (at,) = [
        at
        for at, one in enumerate(entries)
        if is_of(one, FindingOpened) and one.note.about == "super" and one.note.detector == "same_plate"
    ]
    wrong, _ = judged(numbered([*entries[:at], *entries[at + 1 :]]))
    assert any("audit: there is no finding about super: same_plate" in one for one in wrong), wrong


def test_an_audit_before_the_first_run_is_judged_as_well(department: Department) -> None:
    search(department, 5, "super")
    department.call("audit/run", department.logon("super"), PeriodForm())
    audited = AuditDone(from_us=0, to_us=1, accesses=0, findings=(), tree_size=0, begun=0)
    entries = [
        replace(one, note=audited) if isinstance(one.note, DetectorsRan) else one
        for one in department.desk.log.entries()
    ]
    assert judged(entries) == ([], [])
    at = at_of(entries, FindingOpened)
    while is_of(found := entries[at], FindingOpened) and found.note.detector == "sample":
        at -= 1
    wrong, _ = judged(numbered([*entries[:at], *entries[at + 1 :]]))
    assert any("audit: there is no finding about super" in one for one in wrong), wrong


def test_what_root_writes_into_a_finding_does_not_reach_the_terminal_as_it_is(
    looked: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = changed(detail="\x1b[2K\x1b[1A" + "x" * 5000)(list(looked.desk.log.entries()))
    say(*judged(forged))
    said = capsys.readouterr().out
    assert "no detector opens one about comm1: same_plate, \\x1b[2K" in said
    assert said.isascii()
    assert all(one.isprintable() and len(one) < 4 * MOST for one in said.splitlines())


def unrun(entries: Entries) -> Entries:
    """The entries without any run of the detectors, and without findings."""
    runs = (DetectorsRan, FindingOpened)
    return numbered([one for one in entries if not isinstance(one.note, runs)])


def test_days_that_no_run_judged_are_named_with_what_a_run_would_find(looked: Department) -> None:
    for _ in range(USED_DAYS + 2):
        looked.clock.step(DAY_US)
        search(looked, 1)
    wrong, unchecked = judged(unrun(list(looked.desk.log.entries())))
    assert any("no run of the detectors judged the lookups" in one for one in wrong)
    assert any("would open a finding about comm1: same_plate" in one for one in wrong)
    assert unchecked == []
    look_daily(looked.front)  # too late
    wrong, _ = judged(list(looked.desk.log.entries()))
    assert [("detectors_ran: no run of the detectors judged" in one) for one in wrong] == [True]


def test_an_outage_in_which_no_one_used_the_desk_is_not_a_fault_and_is_shown(looked: Department) -> None:
    looked.clock.step(HOUR_US)
    search(looked, 1)
    looked.clock.step(30 * DAY_US)
    search(looked, 1)
    wrong, unchecked = judged(list(looked.desk.log.entries()))
    assert wrong == []
    assert any("no run of the detectors judged the lookups" in one for one in unchecked)
    look_daily(looked.front)
    wrong, unchecked = judged(list(looked.desk.log.entries()))
    assert wrong == []
    assert len(unchecked) == 1


def test_an_outage_in_which_people_only_repaired_the_server_is_no_fault(looked: Department) -> None:
    """They log in and change what is wrong; none of it says that a server ran which could run them."""
    looked.clock.step(HOUR_US)
    search(looked, 1)
    for _ in range(USED_DAYS + 3):
        looked.clock.step(DAY_US)
        looked.logon("chief")
    search(looked, 1)
    look_daily(looked.front)
    wrong, unchecked = judged(list(looked.desk.log.entries()))
    assert wrong == []
    assert ["no run of the detectors judged the lookups" in one for one in unchecked] == [True]


def test_a_server_that_counted_days_and_ran_no_detectors_is_named(looked: Department) -> None:
    looked.clock.step(HOUR_US)
    search(looked, 1)
    for _ in range(USED_DAYS + 2):
        looked.clock.step(DAY_US)
        looked.desk.system(
            DayCounted(day=day_text(looked.clock.us // DAY_US - 1), reads=0, elements=(), given_up=0)
        )
    wrong, unchecked = judged(list(looked.desk.log.entries()))
    assert ["no run of the detectors judged the lookups" in one for one in wrong] == [True]
    assert unchecked == []


def test_an_older_log_is_judged_from_its_first_run_on(looked: Department) -> None:
    entries = list(looked.desk.log.entries())
    first = replace(entries[-1], note=DetectorsRan(rules=RULES, opened=0))
    assert judged([*unrun(entries[:-1]), first], JUDGED_WHOLE) == ([], [])
    wrong, unchecked = judged(unrun(entries), JUDGED_WHOLE)
    assert wrong == []
    assert any("the log names no run of them yet" in one for one in unchecked)
    looked.clock.step(DAY_US)
    search(looked, 5, "super")
    look_daily(looked.front)
    wrong, _ = judged(dropped(list(looked.desk.log.entries())), JUDGED_WHOLE)
    assert any("there is no finding about super" in one for one in wrong)


def test_lookups_of_long_before_a_first_run_are_not_late(looked: Department) -> None:
    """An older program ran the detectors each day without an entry of it."""
    for _ in range(2 * USED_DAYS):
        looked.clock.step(DAY_US)
        search(looked, 1)
        look_daily(looked.front)
    entries = list(looked.desk.log.entries())
    assert is_of(entries[-1], DetectorsRan)
    assert judged([*unrun(entries[:-1]), entries[-1]], JUDGED_WHOLE) == ([], [])


def test_findings_of_another_version_are_not_judged_by_the_rules_of_this_one(
    looked: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = list(looked.desk.log.entries())
    at = at_of(entries, DetectorsRan)
    later = replace(entries[at], note=DetectorsRan(rules=RULES + 1, opened=0))
    wrong, _ = judged(dropped([*entries[:at], later, *entries[at + 1 :]]))
    assert len(wrong) == 1
    assert "update this program" in wrong[0]
    monkeypatch.setattr(detector_runs, "RULES", RULES + 1)
    assert judged(entries)[0] == []
    wrong, unchecked = judged(dropped(entries))
    assert ["it says that it opened 1 finding, and 0 precede it" in one for one in wrong] == [True]
    assert any("an earlier version opened them" in one for one in unchecked)


def test_an_emergency_search_without_its_finding_is_named(department: Department) -> None:
    query = replace(department.plate("8XYZ*"), since_us=department.clock.us - HOUR_US)
    form = GlassForm(query=query, ground=CAD, danger="a child is in the car")
    department.call("inquiry/break-glass", department.logon("disp1"), form)
    entries = list(department.desk.log.entries())
    assert judged(entries)[0] == []
    wrong, _ = judged(dropped(entries))
    assert wrong == [f"entry {at_of(entries, GlassBroken)}: glass_broken: no finding was opened about it"]


def test_a_look_up_without_a_case_that_root_puts_on_another_person_is_named(looked: Department) -> None:
    """The detectors take from the comparison whom such a lookup is about."""
    entries = list(looked.desk.log.entries())
    access = next(one.sequence for one in entries if isinstance(one.note, Access))
    stamp = entries[at_of(entries, DetectorsRan)].stamp
    for user, named in (("comm1", 0), ("super", 1)):
        note = CasesCompared(
            from_us=0, to_us=1, accesses=1, known=0, unknown=(access,), users=(user,), source=bytes(32)
        )
        wrong, _ = judged([*entries, EntryOf(len(entries), stamp, note)])
        assert [f"is not an access in the name of {user}" in one for one in wrong] == [True] * named
    with pytest.raises(RecordError, match="names one person for each"):
        replace(note, users=()).check()


@pytest.mark.parametrize("name", ["daily", "audit/run"])
def test_running_the_detectors_over_a_long_log_delays_no_other_call(
    department: Department, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Only what came since the log was read is examined while no other can write; that counts as well."""
    search(department, 4)
    token, path = department.logon("super"), department.home.path / "desk" / DATABASE
    examined: dict[int, bool] = {}
    examine, deciding = Burst.add, Desk.deciding

    def watched(detector: Burst, one: LookUp) -> None:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
                examined[one.sequence] = True
            except sqlite3.OperationalError:
                examined[one.sequence] = False
        examine(detector, one)

    def after_a_lookup(desk: Desk) -> Deciding:
        if examined:
            monkeypatch.setattr(Desk, "deciding", deciding)
            with ThreadPoolExecutor(1) as other:
                other.submit(search, department, 1).result()
        return deciding(desk)

    monkeypatch.setattr(Burst, "add", watched)
    monkeypatch.setattr(Desk, "deciding", after_a_lookup)
    if name == "daily":
        look_daily(department.front)
    else:
        department.call(name, token, PeriodForm())
    assert list(examined.values()) == [True] * 4 + [False]
    entries = list(department.desk.log.entries())
    found = [one.note for one in entries if is_of(one, FindingOpened)]
    assert [len(one.accesses) for one in found if one.detector == "same_plate"] == [5]
    assert judged(entries) == ([], [])
