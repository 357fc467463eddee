"""The rules of audits, each alone and at its limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from log_entries import GROUND, NOW_US, account, accounts, code_of, entry, refused

from sync.department.desk.audit import rules as audit
from sync.department.desk.audit.look_up_detectors import Flag
from sync.department.desk.audit.rules import AuditFilter, Findings
from sync.department.journal.change_entries import (
    ChangeDecided,
    GlassJudged,
)
from sync.department.journal.entries import (
    AuditDone,
    Entry,
    Filed,
    FindingClosed,
    FindingOpened,
)
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import Access, AccessEnded, SearchApproved
from sync.department.policy.roles import Role


def access(at: int, user: str, **changed: Any) -> Any:
    note: dict[str, Any] = {
        "action": "search", "elements": "plate=8X", "plate": "8X", "ground": GROUND, "on_behalf_of": "",
        "request": -1, "approval": -1, "reads": (),
    }  # fmt: skip
    return entry(at, user, Access(**note | changed), NOW_US + at)


def requests_of(entries: list[Entry]) -> list[audit.AlprRequest]:
    """The ALPR Requests of these entries, in order."""
    fold = audit.RequestFold()
    for one in entries:
        fold.apply(one)
    return list(fold.requests.values())


def test_what_was_searched_for_is_in_no_words_of_a_row_for_a_log() -> None:
    (row,) = requests_of([access(4, "ann", plate="7XKR219", elements="plate=7XKR219")])
    assert (row.plate, row.data_elements) == ("7XKR219", "plate=7XKR219")
    assert "7XKR219" not in repr(row)


def test_an_access_is_shown_with_its_result_its_filing_and_its_second_person() -> None:
    rows = requests_of(
        [
            entry(1, "ben", SearchApproved(proposal=9, granted=True, reason="")),
            entry(2, "cat", ChangeDecided(proposal=8, granted=False, reason="")),
            entry(3, "dan", ChangeDecided(proposal=7, granted=True, reason="")),
            access(4, "ann", approval=9),
            access(5, "ann", approval=8),
            access(6, "ann", approval=7),
            access(7, "ann"),
            entry(8, "", AccessEnded(access=4, count=3, reads=(), unwitnessed=True)),
            entry(9, "", AccessEnded(access=99, count=3, reads=(), unwitnessed=True)),
            entry(10, "ann", Filed(access=5, rms_number="RMS-1")),
            entry(11, "eve", GlassJudged(access=7, justified=True, reason="")),
        ]
    )
    assert [(one.entry, one.results, one.unwitnessed, one.rms_number, one.second_person) for one in rows] == [
        (4, 3, True, "not filed", "ben"),
        (5, None, False, "RMS-1", ""),
        (6, None, False, "not filed", "dan"),
        (7, None, False, "not filed", "eve"),
    ]


WANTED = AuditFilter(since_us=0, until_us=NOW_US * 2, user="", purpose="", plate="")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [1, 2]),
        ({"since_us": NOW_US + 2}, [2]),
        ({"until_us": NOW_US + 2}, [1]),
        ({"user": "ann"}, [1]),
        ({"user": "off"}, [2]),
        ({"purpose": "investigation"}, [1, 2]),
        ({"purpose": "crime-analysis"}, []),
        ({"plate": "8X"}, [1]),
        *(({"plate": one}, [1]) for one in ("BX", "8*", "*X")),
        ({"plate": "??"}, [1, 2]),
        ({"plate": "9X"}, []),
        ({"entries": frozenset({1})}, [1]),
        ({"entries": frozenset({7})}, [2]),
        ({"entries": frozenset()}, []),
    ],
)
def test_accesses_are_picked_by_time_person_purpose_plate_and_number(
    wanted: dict[str, Any], found: list[int]
) -> None:
    other = access(2, "ben", on_behalf_of="off", plate="7A", request=7)
    rows = requests_of([other, access(1, "ann")])
    assert sorted(one.entry for one in audit.pick(rows, replace(WANTED, **wanted))) == found
    assert [one.sequence for one in audit.look_ups_of(rows)] == [1, 2]


@pytest.mark.parametrize(
    ("searched", "listed"),
    [
        ("8XYZ12*", True),
        ("?XYZ123", True),
        ("8XYZ4*", False),
        ("BXYZI23", True),
        ("8XYZ12", False),
        ("", False),
    ],
)
def test_an_audit_of_a_plate_finds_each_search_that_lists_it(searched: str, listed: bool) -> None:
    """The question who looked for a vehicle covers searches by wildcards or by a misread plate."""
    rows = requests_of([access(1, "ann", plate=searched)])
    assert bool(audit.pick(rows, replace(WANTED, plate="8XYZ123"))) is listed


@pytest.mark.parametrize(("searched", "listed"), [("8XY*", True), ("BXYZI23", True), ("8XY?", False)])
def test_an_audit_by_wildcards_finds_each_search_that_some_plate_of_theirs_answers(
    searched: str, listed: bool
) -> None:
    rows = requests_of([access(1, "ann", plate=searched)])
    assert bool(audit.pick(rows, replace(WANTED, plate="8XYZ1??"))) is listed


def found(*accesses: int, about: str = "ann", detector: str = "burst") -> FindingOpened:
    return FindingOpened(
        detector=detector, about=about, accesses=accesses, reviewer="rae", due_us=1, detail="d"
    )


def findings(*notes: Note) -> Findings:
    made = Findings()
    for at, note in enumerate(notes):
        made.apply(entry(at, "rae", note))
    return made


def flag(*entries: int, about: str = "ann", detector: str = "burst") -> Flag:
    return Flag(detector=detector, about=about, entries=entries, detail="25 plates")


CLOSED = FindingClosed(finding=0, verdict="justified", note="")


@pytest.mark.parametrize(
    ("notes", "flags", "fresh"),
    [
        ((), [flag(1, 2)], [((1, 2), "25 plates")]),
        ((found(1, 2),), [flag(1, 2)], []),
        ((found(1, 2),), [flag(1, 2, 3)], []),
        ((found(1, 2), CLOSED), [flag(1, 2)], []),
        ((found(1, 2), CLOSED), [flag(1, 2, 3)], [((3,), "25 plates; again")]),
        ((found(1, 2),), [flag(1, 2, about="ben")], [((1, 2), "25 plates")]),
        ((found(1, 2),), [flag(1, 2, detector="sample")], [((1, 2), "25 plates")]),
        ((), [flag(1, 2), flag(2, 3)], [((1, 2), "25 plates"), ((3,), "25 plates; again")]),
        ((found(1),), [flag(2)], [((2,), "25 plates")]),
    ],
)
def test_a_pattern_is_found_once_and_what_came_since_is_found_again(
    notes: tuple[Note, ...], flags: list[Flag], fresh: list[tuple[tuple[int, ...], str]]
) -> None:
    assert [(one.entries, one.detail) for one in audit.new_findings(findings(*notes), flags)] == fresh


@pytest.mark.parametrize(
    ("notes", "disputes", "fresh"),
    [
        pytest.param((), [(5, 1)], [((1,), "25 plates")], id="new"),
        pytest.param((), [(5, 1), (6, 1), (7, 2)], [((1,), "25 plates"), ((2,), "25 plates")], id="one-each"),
        pytest.param((found(1, detector="disputed"),), [(5, 1), (6, 1)], [], id="a-reviewer-has-it"),
        pytest.param((found(1, detector="disputed"), CLOSED), [(0, 1)], [], id="settled"),
        pytest.param(
            (found(1, detector="disputed"), CLOSED),
            [(0, 1), (2, 1), (3, 1)],
            [((1,), "25 plates; again")],
            id="later",
        ),
        pytest.param((found(1), CLOSED), [(0, 1)], [((1,), "25 plates")], id="another-detector"),
    ],
)  # fmt: skip
def test_a_dispute_is_covered_by_a_finding_that_its_reviewer_closes_after_it(
    notes: tuple[Note, ...], disputes: list[tuple[int, int]], fresh: list[tuple[tuple[int, ...], str]]
) -> None:
    made = audit.new_disputes(findings(*notes), [(at, flag(about)) for at, about in disputes])
    assert [(one.entries, one.detail) for one in made] == fresh


def test_the_least_busy_reviewer_who_did_not_search_reviews() -> None:
    chief = ("c", account("chief", Role.ADMINISTRATOR))
    roster = accounts(*(("c", account(user, Role.REVIEWER)) for user in ("rae", "roy", "abe")), chief)
    assert audit.reviewer_for(roster, {"abe": 1, "rae": 1}, set()) == "roy"
    assert audit.reviewer_for(roster, {"abe": 1, "rae": 1, "roy": 1}, {"abe"}) == "rae"
    assert audit.reviewer_for(roster, {}, {"abe", "rae", "roy"}) == "chief"
    refused("no-reviewer", audit.reviewer_for, roster, {}, {"abe", "rae", "roy", "chief"})


@pytest.mark.parametrize(
    ("number", "reviewer", "verdict", "note", "code"),
    [
        (1, "rae", "unclear", "asked the officer", ""),
        (1, "rae", "unclear", "asked him .", "note"),
        (1, "rae", "fine", "asked the officer", "verdict"),
        (1, "ann", "unclear", "asked the officer", "own-finding"),
        (0, "rae", "unclear", "asked the officer", "closed"),
        (2, "rae", "unclear", "asked the officer", "no-finding"),
    ],
)
def test_a_finding_is_closed_once_with_a_verdict_by_another_person(
    number: int, reviewer: str, verdict: str, note: str, code: str
) -> None:
    done = AuditDone(from_us=0, to_us=1, accesses=0, findings=(), tree_size=0)
    made = findings(found(1), found(2, 3), CLOSED, done)
    assert code_of(audit.to_close, made, number, reviewer, verdict, note) == code
    assert [one.sequence for one in made.open_findings()] == [1]
    assert [one.sequence for one in made.audits] == [3]
    assert audit.entries_of(made, 1) == (2, 3)
    assert made.covered()["burst", "ann"] == ({1, 2, 3}, {2, 3})
    refused("no-finding", audit.entries_of, made, 2)
