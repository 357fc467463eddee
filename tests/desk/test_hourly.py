"""The log of hourly heads: public witnesses see one leaf an hour, which reveals a rewritten access log."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from desk_twins import GROUND, Department, SwitchedWitness

from storage.times import DAY_US, HOUR_US
from sync.department.desk.due import OverdueForm
from sync.department.desk.inquiry.forms import NothingForm, RunForm
from sync.department.journal import check_hours as check_hours_module
from sync.department.journal.check_hours import HoursReport, check_hours
from sync.department.journal.check_log import tree_of
from sync.department.journal.hourly_heads import DATABASE, HourlyHeads, leaf_of
from sync.department.journal.reading import reading
from sync.department.journal.witness_link import FolderWitness
from sync.department.journal.witness_server import WitnessFolder
from sync.department.server.hourly import overdue, publish_hours
from sync.department.server.open_desk import adopt_root
from sync.errors import LinkError
from sync.root_file import RootWitness

Tokens = Callable[[str], str]


class Line(SwitchedWitness):
    """A line to a witness that stays open when an hour's link is closed."""

    def close(self) -> None:
        """Do nothing: the fixture closes the folder."""


class Public:
    """A public witness named in the department's root file."""

    def __init__(self, department: Department, folder: Path) -> None:
        self.department = department
        self.folder = WitnessFolder.create(folder, "public.example/1")
        self.hours = HourlyHeads(department.desk.log.folder, department.desk.log)
        self.folder.add_log(self.hours.note_key)
        named = RootWitness(keys=tuple(one.text() for one in self.folder.keys), url="https://public.example")
        root = department.new_root(public_witnesses=(named,))
        adopt_root(department.home, department.desk, root, department.desk.policy_document)
        self.link = Line(folder, department.clock)

    def publish(self) -> int:
        return publish_hours(self.department.desk, lambda _one: self.link)

    def newest(self) -> str:
        return FolderWitness(self.folder).newest(self.hours.origin)

    def close(self) -> None:
        for one in (self.hours, self.folder, self.link.folder):
            one.close()


@pytest.fixture
def public(department: Department, tmp_path: Path) -> Iterator[Public]:
    made = Public(department, tmp_path / "public")
    yield made
    made.close()


def report(
    public: Public,
    checkpoints: list[str],
    folder: Path | None = None,
    *,
    at_home: bool = True,
    keys: bool = True,
) -> HoursReport:
    log = public.department.desk.log
    named = public.department.desk.root.public_witnessing() if keys else None
    tree, where = partial(tree_of, log.folder), folder or log.folder
    return check_hours(where, log.log_id, public.hours.note_key, tree, named, checkpoints, at_home=at_home)


def problems(public: Public, checkpoints: list[str], folder: Path | None = None) -> list[str]:
    return report(public, checkpoints, folder).problems


def test_the_tree_grows_by_the_hour_with_or_without_look_ups(
    department: Department, public: Public, tokens: Tokens
) -> None:
    token = tokens("comm1")
    assert public.publish() == 1
    department.clock.step(HOUR_US)
    assert public.publish() == 2  # no lookup was made
    token = department.logon("comm1")
    for _ in range(5):
        department.call("inquiry/run", token, RunForm(query=department.plate("8XYZ123"), ground=GROUND))
    assert public.publish() == 2  # the hour is not over
    department.clock.step(HOUR_US)
    assert public.publish() == 3
    department.clock.step(7 * HOUR_US)  # the server was down
    assert public.publish() == 10
    assert problems(public, [public.newest()]) == []


def test_an_hour_that_is_entered_while_the_logs_are_read_is_of_this_log(
    department: Department, public: Public, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long log takes seconds to read, and each full hour has a head of what it has then."""
    assert public.publish() == 1
    entered = []

    @contextmanager
    def reading_later(path: Path, *, at_home: bool) -> Iterator[sqlite3.Connection]:
        department.logon("comm1")
        department.desk.covered(department.desk.log.size() - 1)
        department.clock.step(HOUR_US)
        entered.append(public.publish())
        with reading(path, at_home=at_home) as db:
            yield db

    monkeypatch.setattr(check_hours_module, "reading", reading_later)
    assert problems(public, [public.newest()]) == []
    assert entered == [2]


def test_a_leaf_says_nothing_of_the_logs_size() -> None:
    log_id, root = bytes(32), bytes(32)
    small, large = (leaf_of(log_id, 497_000, bytes(32), size, root) for size in (3, 1_000_000))
    assert len(small) == len(large)
    assert leaf_of(log_id, 497_000, bytes(32), 3, root) != leaf_of(log_id, 497_000, b"\x01" * 32, 3, root)


def test_a_log_that_was_rewritten_with_its_witness_shows_in_public(
    department: Department, public: Public, tmp_path: Path
) -> None:
    """The office that runs the local witness helps; only the public witness remembers."""
    department.call("training/list", department.logon("comm1"), NothingForm())
    public.publish()
    department.clock.step(HOUR_US)
    public.publish()
    newest = public.newest()
    assert problems(public, [newest]) == []
    copy = tmp_path / "rewritten"
    shutil.copytree(department.desk.log.folder, copy)
    db = sqlite3.connect(copy / DATABASE)
    db.execute("UPDATE leaves SET root = ? WHERE at = 1", (bytes(32),))  # the heads of the new log
    db.commit()
    db.close()
    found = problems(public, [newest], copy)
    assert any(one.endswith("has a head that is not one of this access log") for one in found)
    assert "hourly heads: a public witness saw another log: entries were changed or removed" in found
    (copy / DATABASE).unlink()
    assert problems(public, [newest], copy) == ["hourly heads: public witnesses saw a log that is not here"]


def test_compliance_says_that_no_public_witness_was_reached(department: Department, public: Public) -> None:
    desk = department.desk
    public.publish()
    assert overdue(desk, desk.now_us()) == []
    department.clock.step(2 * DAY_US)
    public.link.away = True
    with pytest.raises(LinkError):
        public.publish()
    (late,) = overdue(desk, desk.now_us())
    assert (late.kind, late.clause) == ("witness", desk.policy.witness.clause)
    assert late.what.startswith("no public witness co-signed the hourly heads since ")
    public.link.away = False
    assert public.publish() == 49
    assert overdue(desk, desk.now_us()) == []


def test_compliance_says_that_the_root_file_names_no_witness(department: Department) -> None:
    desk = department.desk
    assert overdue(desk, desk.now_us()) == []
    root = department.new_root(witnesses=(), quorum=0)
    adopt_root(department.home, desk, root, desk.policy_document)
    rows = department.call("compliance/overdue", department.logon("chief"), OverdueForm())
    assert isinstance(rows, tuple)
    assert "the root file names no witness" in " ".join(row.what for row in rows if row.kind == "witness")


def change(copy: Path, *statements: str) -> None:
    db = sqlite3.connect(copy / DATABASE)
    for one in statements:
        db.execute(one)
    db.commit()
    db.close()


HEAD_BY_ANOTHER = (
    "UPDATE heads SET note = replace(note, char(10) || '2' || char(10), char(10) || '3' || char(10))"
)
ATTACKS = {
    "an hour in the middle removed": (["DELETE FROM leaves WHERE at = 2"], "an hour was removed"),
    "an hour removed, the others moved up": (
        ["DELETE FROM leaves WHERE at = 2", "UPDATE leaves SET at = at - 1 WHERE at > 2"],
        "1 hour before the hour",
    ),
    "the last hours removed": (["DELETE FROM leaves WHERE at > 1"], "were changed or removed"),
    "all hours removed": (["DELETE FROM leaves", "DELETE FROM nodes"], "were changed or removed"),
    "an hour dated anew": (["UPDATE leaves SET hour = hour + 9 WHERE at = 3"], "hours before the hour"),
    "hours swapped": (
        [
            "UPDATE leaves SET at = 99 WHERE at = 1",
            "UPDATE leaves SET at = 1 WHERE at = 2",
            "UPDATE leaves SET at = 2 WHERE at = 99",
        ],
        "is out of order",
    ),
    "another salt": (["UPDATE leaves SET salt = zeroblob(32) WHERE at = 0"], "the cached tree differs"),
    "fewer entries in a later hour": (["UPDATE leaves SET size = 1 WHERE at = 3"], "has fewer entries"),
    "a tree head that the log did not sign": ([HEAD_BY_ANOTHER], "a stored tree head: "),
    "a tree head beside another size": (
        ["UPDATE heads SET size = size + 1 WHERE size = 4"],
        "is written beside it",
    ),
    "no database": (["DROP TABLE leaves"], "cannot be read"),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("keys", [True, False], ids=["with the public witness's keys", "without"])
def test_a_stranger_finds_what_was_done_to_the_hours_of_a_copy(
    department: Department, public: Public, tmp_path: Path, attack: str, *, keys: bool
) -> None:
    for _ in range(4):
        department.call("training/list", department.logon("comm1"), NothingForm())
        public.publish()
        department.clock.step(HOUR_US)
    copy = tmp_path / "shown"
    shutil.copytree(department.desk.log.folder, copy)
    newest = [public.newest()] if keys else []
    clean = report(public, newest, copy, at_home=False, keys=keys)
    assert (clean.problems, clean.hours, clean.witnessed) == ([], 4, 4 if keys else 0)
    statements, words = ATTACKS[attack]
    change(copy, *statements)
    found = report(public, newest, copy, at_home=False, keys=keys).problems
    assert any(words in one for one in found), found


def test_what_a_stranger_does_not_have_is_not_wrong(
    department: Department, public: Public, tmp_path: Path
) -> None:
    public.publish()
    empty = tmp_path / "empty"
    empty.mkdir()
    absent = report(public, [public.newest()], empty, at_home=False)
    assert (absent.problems, absent.unchecked) == ([], [f"hourly heads: {DATABASE} is not here"])
    no_keys = report(public, [], at_home=False, keys=False)
    assert (no_keys.problems, no_keys.unchecked) == (
        [],
        ["hourly heads: co-signatures (no key of a public witness)"],
    )
    no_head = report(public, [], at_home=False)
    assert (no_head.problems, no_head.witnessed) == ([], 1)
    assert "removed at the end" in no_head.unchecked[0]


def test_an_hour_that_a_public_witness_saw_before_it_began_is_dated_falsely(
    department: Department, public: Public
) -> None:
    public.publish()
    department.clock.step(5 * HOUR_US)  # only the department's clock
    public.hours.add_hours(department.desk.now_us())
    head = public.hours.signed_head(public.hours.size())
    department.clock.step(-5 * HOUR_US)
    signed = public.link.cosign(1, public.hours.consistency(1, public.hours.size()), head)
    found = report(public, [head + signed])
    assert any(one.endswith("is dated after public.example/1 saw it") for one in found.problems)
