"""`verify` draws the sample of each audit again: what root leaves out, adds or draws twice is named."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_asking import look_up
from desk_root import covered_by
from desk_twins import Department

from storage.times import MINUTE_US
from sync.department.desk.audit.calls import AuditReport, PeriodForm
from sync.department.desk.audit.detectors import drawn
from sync.department.journal.check_log import heads_of
from sync.department.journal.entries import AuditBegun, AuditDone, Entry, FindingOpened
from sync.department.server.drawn_samples import DrawnSamples
from sync.department.server.unit_reports import Reported

OTHER = "its tree head draws another sample"
Entries = list[Entry]


@pytest.fixture
def audited(department: Department) -> Department:
    """One audit without look-ups, then one of twelve."""
    run(department)
    for number in range(12):
        look_up(department, department.logon("comm1"), f"26-0{number:02}234")
        department.clock.step(MINUTE_US)
    run(department)
    return department


def run(department: Department) -> None:
    made = department.call("audit/run", department.logon("super"), PeriodForm())
    assert isinstance(made, AuditReport)
    department.clock.step(MINUTE_US)


def judged(department: Department, entries: Entries) -> list[str]:
    samples = DrawnSamples(heads_of(department.desk.log.folder))
    for entry in entries:
        samples.apply(entry)
    return samples.problems


def note_at(entries: Entries, kind: type[Any]) -> int:
    """Where the newest of a kind is."""
    return max(at for at, one in enumerate(entries) if isinstance(one.note, kind))


def changed(entries: Entries, kind: type[Any], **change: Any) -> Entries:
    """With the newest entry of this kind changed."""
    at = note_at(entries, kind)
    return [*entries[:at], replace(entries[at], note=replace(entries[at].note, **change)), *entries[at + 1 :]]


def is_sample(entry: Entry) -> bool:
    return isinstance(entry.note, FindingOpened) and entry.note.detector == "sample"


def left_out(entries: Entries) -> Entries:
    return [one for one in entries if not is_sample(one)]


def another_one_named(entries: Entries) -> Entries:
    """A colleague's look-up instead of the one that was drawn."""
    at = max(at for at, one in enumerate(entries) if is_sample(one))
    note = entries[at].note
    assert isinstance(note, FindingOpened)
    other = replace(note, accesses=(note.accesses[0] + 1,))
    return [*entries[:at], replace(entries[at], note=other), *entries[at + 1 :]]


def cut_short(entries: Entries) -> Entries:
    return changed(entries, AuditDone, tree_size=1)


def never_begun(entries: Entries) -> Entries:
    return [one for one in entries if not isinstance(one.note, AuditBegun)]


def another_period(entries: Entries) -> Entries:
    return changed(entries, AuditDone, to_us=1)


def without_a_head(entries: Entries) -> Entries:
    """As an earlier version wrote it, after an audit of today's form."""
    return changed(entries, AuditDone, head="", begun=-1)


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (left_out, OTHER),
        (another_one_named, OTHER),
        (cut_short, OTHER),
        (never_begun, "it did not begin with the entry that it names"),
        (another_period, "it did not begin with the entry that it names"),
        (without_a_head, "it did not begin with the entry that it names"),
    ],
)
def test_an_audit_whose_sample_is_another_one_is_named(
    audited: Department, attack: Callable[[Entries], Entries], words: str
) -> None:
    entries = list(audited.desk.log.entries())
    done = entries[note_at(entries, AuditDone)].sequence
    assert judged(audited, entries) == []
    assert f"entry {done}: audit: {words}" in judged(audited, attack(entries))


def test_the_head_that_draws_is_the_first_that_the_witnesses_co_signed_over_the_beginning(
    audited: Department,
) -> None:
    entries, log = list(audited.desk.log.entries()), audited.desk.log
    done = entries[note_at(entries, AuditDone)]
    assert isinstance(done.note, AuditDone)
    head, signatures = done.note.head.split("\n\n")
    bare = "\n\n".join((head, signatures.splitlines()[0] + "\n"))
    before = log.cosigned(done.note.begun)[1]
    later = log.cosigned()[1]
    for note, words in (
        (bare, "no quorum of witnesses co-signed the tree head that drew its sample"),
        (before, "the tree head that drew its sample is older than its beginning"),
        (later, "its sample was drawn by another tree head than the first over its beginning"),
        ("a head", "the tree head that drew its sample: "),
    ):
        (wrong,) = judged(audited, changed(entries, AuditDone, head=note))
        assert wrong.startswith(f"entry {done.sequence}: audit: {words}")


def test_an_audit_of_an_earlier_version_named_no_head_and_is_not_judged(audited: Department) -> None:
    entries = list(audited.desk.log.entries())
    first = min(at for at, one in enumerate(entries) if isinstance(one.note, AuditDone))
    note = entries[first].note
    assert isinstance(note, AuditDone)
    older = replace(entries[first], note=replace(note, head="", begun=-1))
    assert judged(audited, [*entries[:first], older, *entries[first + 1 :]]) == []


def test_verify_names_it(audited: Department) -> None:
    entries = list(audited.desk.log.entries())
    for shown, expected in ((entries, []), (left_out(entries), [OTHER])):
        covered = covered_by(audited)
        for entry in shown:
            covered.judge(entry, holds=True)
        wrong, _unchecked = covered.compare(Reported())
        assert [one.partition(": audit: ")[2] for one in wrong if ": audit: " in one] == expected


@pytest.mark.parametrize("per_thousand", [0, 10, 1000])
def test_a_sample_has_one_at_least_and_all_at_most(per_thousand: int) -> None:
    chosen = drawn(range(50), per_thousand, bytes(32))
    assert set(chosen) <= set(range(50))
    assert len(chosen) == 50 if per_thousand == 1000 else chosen
    assert drawn((), per_thousand, bytes(32)) == []


def test_no_one_chooses_the_sample_by_how_the_witnesses_answers_are_written(audited: Department) -> None:
    """A line by an unknown key, or the same line twice, draws the same: root cannot write heads until a
    draw spares a friend."""
    entries = list(audited.desk.log.entries())
    done = entries[note_at(entries, AuditDone)].note
    assert isinstance(done, AuditDone)
    line = done.head.splitlines(keepends=True)[-1]
    for number in range(20):
        added = f"— a.friend {base64.b64encode(number.to_bytes(8, 'big')).decode()}\n"
        for head in (done.head + added, done.head + added + line):
            rewritten = changed(entries, AuditDone, head=head)
            assert judged(audited, rewritten) == []
            assert judged(audited, another_one_named(rewritten)) != []
