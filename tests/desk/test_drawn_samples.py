"""`verify` draws the sample of each audit again and names what root left out, added or drew twice."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_asking import look_up
from desk_root import covered_by, samples_of
from desk_twins import Department

from storage.checkpoint import open_checkpoint
from storage.times import DAY_US, MINUTE_US
from sync.department.desk.audit.calls import AuditReport, PeriodForm
from sync.department.desk.audit.detectors import drawn, seed_of
from sync.department.journal.check_log import heads_of
from sync.department.journal.entries import (
    SEEN_BY_TWO,
    AuditBegun,
    AuditDone,
    CredentialSet,
    Entry,
    FindingOpened,
)
from sync.department.journal.inquiry_entries import Access
from sync.department.server.unit_reports import Reported

OTHER = "its signed call draws another sample"
Entries = list[Entry]


@pytest.fixture
def audited(department: Department) -> Department:
    """A department after an audit without lookups and one with twelve."""
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
    samples = samples_of(department)
    for entry in entries:
        samples.apply(entry)
    return samples.problems


def note_at(entries: Entries, kind: type[Any]) -> int:
    """The index of the newest entry of a kind."""
    return max(at for at, one in enumerate(entries) if isinstance(one.note, kind))


def changed(entries: Entries, kind: type[Any], **change: Any) -> Entries:
    """The entries with the newest one of this kind changed."""
    at = note_at(entries, kind)
    return [*entries[:at], replace(entries[at], note=replace(entries[at].note, **change)), *entries[at + 1 :]]


def is_sample(entry: Entry) -> bool:
    return isinstance(entry.note, FindingOpened) and entry.note.detector == "sample"


def left_out(entries: Entries) -> Entries:
    return [one for one in entries if not is_sample(one)]


def another_one_named(entries: Entries) -> Entries:
    """Name a colleague's lookup instead of the drawn one."""
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


def with_nothing_named(entries: Entries) -> Entries:
    """An audit as the first version wrote it, after one in today's form."""
    return changed(entries, AuditDone, begun=-1)


def by_a_tree_head(entries: Entries) -> Entries:
    return changed(entries, AuditDone, head="of any kind")


def begun_by_no_person(entries: Entries) -> Entries:
    at = note_at(entries, AuditBegun)
    return [*entries[:at], replace(entries[at], signed=b""), *entries[at + 1 :]]


def begun_twice(entries: Entries) -> Entries:
    at = note_at(entries, AuditBegun)
    return [*entries[:at], entries[at], *entries[at:]]


def of_a_period(entries: Entries, **change: int) -> Entries:
    return changed(changed(entries, AuditBegun, **change), AuditDone, **change)


def not_ended(entries: Entries) -> Entries:
    """Lookups until then are in no sample, and the next audit begins after them."""
    return of_a_period(entries, to_us=entries[-1].stamp.at_us + DAY_US)


def from_the_first_day_on(entries: Entries) -> Entries:
    """The person named no beginning. Over a longer period, the minimum sample is a different one."""
    return of_a_period(entries, from_us=entries[0].stamp.at_us)


def to_before_the_last_look_up(entries: Entries) -> Entries:
    return of_a_period(entries, to_us=entries[note_at(entries, Access)].stamp.at_us - 1)


def with_a_gap(entries: Entries) -> Entries:
    return of_a_period(entries, from_us=entries[note_at(entries, AuditBegun)].note.from_us + 1)  # type: ignore[attr-defined]


ATTACKS: tuple[tuple[Callable[[Entries], Entries], str], ...] = (
    (left_out, OTHER),
    (another_one_named, OTHER),
    (cut_short, OTHER),
    (never_begun, "it did not begin with the entry that it names"),
    (another_period, "it did not begin with the entry that it names"),
    (with_nothing_named, "it did not begin with the entry that it names"),
    (by_a_tree_head, "a tree head drew its sample, which this log no longer allows"),
    (begun_by_no_person, "no person signed its beginning"),
    (begun_twice, "the one that began with entry "),
    (not_ended, "its period had not ended when it began"),
    (with_a_gap, "lookups from "),
    (from_the_first_day_on, "its person asked for another period"),
    (to_before_the_last_look_up, "its person asked for another period"),
)


def test_an_audit_whose_sample_is_another_one_is_named(audited: Department) -> None:
    entries = list(audited.desk.log.entries())
    assert judged(audited, entries) == []
    for attack, words in ATTACKS:
        kind = AuditBegun if attack is begun_twice else AuditDone
        named = f"entry {entries[note_at(entries, kind)].sequence}: audit: {words}"
        assert any(one.startswith(named) for one in judged(audited, attack(entries))), attack.__name__


def drawn_by_a_head(department: Department, entries: Entries, head: str) -> Entries:
    """The newest audit as an earlier version made it, with a sample drawn by this tree head."""
    at = note_at(entries, AuditDone)
    note = entries[at].note
    assert isinstance(note, AuditDone)
    looks = [one.sequence for one in entries[: note.tree_size] if isinstance(one.note, Access)]
    rate = department.desk.policy.audit.sample_per_thousand
    accesses = tuple(drawn(looks, rate, hashlib.sha256(head.encode()).digest()))
    first, *others = [number for number in note.findings if is_sample(entries[number])]
    older = changed(entries, AuditDone, head=head)
    for number, some in ((first, accesses), *((one, accesses[:0]) for one in others)):
        older[number] = replace(older[number], note=replace(older[number].note, accesses=some))  # type: ignore[call-arg]
    return older


def of_an_older_log(entries: Entries) -> Entries:
    """A log from before audits by signed calls, whose first audit is by the version that named nothing."""
    opened = entries[0]
    first = min(at for at, one in enumerate(entries) if isinstance(one.note, AuditDone))
    older = [replace(opened, note=replace(opened.note, signs=SEEN_BY_TWO)), *entries[1:]]  # type: ignore[call-arg]
    older[first] = replace(older[first], note=replace(older[first].note, begun=-1))  # type: ignore[call-arg]
    return older


def test_of_an_earlier_versions_audit_the_first_co_signed_head_over_the_beginning_draws(
    audited: Department,
) -> None:
    entries, log = of_an_older_log(list(audited.desk.log.entries())), audited.desk.log
    done = entries[note_at(entries, AuditDone)]
    assert isinstance(done.note, AuditDone)
    over = (one for one in heads_of(log.folder) if open_checkpoint(one, log.note_key).size > done.note.begun)
    first = next(over)
    assert judged(audited, drawn_by_a_head(audited, entries, first)) == []
    head, signatures = first.split("\n\n")
    bare = "\n\n".join((head, signatures.splitlines()[0] + "\n"))
    before = log.cosigned(done.note.begun)[1]
    later = log.cosigned()[1]
    ground = f"{first}— x {base64.b64encode(bytes(8)).decode()}\n"
    for note, words in (
        (bare, "no quorum of witnesses co-signed the tree head that drew its sample"),
        (ground, "the tree head that drew its sample has signatures that no witness made"),
        (before, "the tree head that drew its sample is older than its beginning"),
        (later, "its sample was not drawn by the first tree head over its beginning"),
        ("a head", "the tree head that drew its sample: "),
    ):
        (wrong,) = judged(audited, changed(entries, AuditDone, head=note))
        assert wrong.startswith(f"entry {done.sequence}: audit: {words}")


def test_an_audit_of_the_first_version_named_nothing_and_is_judged_in_a_new_log_alone(
    audited: Department,
) -> None:
    older = of_an_older_log(list(audited.desk.log.entries()))
    assert judged(audited, older) == []
    (wrong,) = judged(audited, [audited.desk.log.entry(0), *older[1:]])
    assert wrong.endswith("audit: it did not begin with the entry that it names")


def test_whatever_root_puts_before_an_audit_draws_no_other_sample(audited: Department) -> None:
    """Root controls the tree, its heads and their times, so none of them determines the sample."""
    entries, desk = list(audited.desk.log.entries()), audited.desk
    begun = entries[note_at(entries, AuditBegun)]
    salt = desk.log.first_salt(CredentialSet.KIND)
    assert len(salt) == 32
    elsewhere = replace(begun, sequence=begun.sequence + 7, stamp=replace(begun.stamp, at_us=0))
    assert seed_of(elsewhere, salt) == seed_of(begun, salt)


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
