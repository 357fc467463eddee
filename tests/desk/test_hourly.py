"""The log of hourly heads: public witnesses see one leaf an hour, and a rewritten access log shows."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from desk_twins import GROUND, Department, SwitchedWitness

from storage import merkle
from storage.times import DAY_US, HOUR_US
from sync.department.desk.inquiry.forms import NothingForm, RunForm
from sync.department.journal.check_log import Tree
from sync.department.journal.hourly_heads import DATABASE, HourlyHeads, check_hours, leaf_of
from sync.department.journal.witness_link import FolderWitness
from sync.department.journal.witness_server import WitnessFolder
from sync.department.server.hourly import overdue, publish_hours
from sync.department.server.open_desk import adopt_root
from sync.errors import LinkError
from sync.root_file import RootWitness

Tokens = Callable[[str], str]


class Line(SwitchedWitness):
    """A line to a witness that goes on when one hour's link is closed."""

    def close(self) -> None:
        """The fixture closes the folder."""


class Public:
    """A public witness that the department's root file names."""

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


def problems(public: Public, checkpoints: list[str], folder: Path | None = None) -> list[str]:
    log = public.department.desk.log
    named = public.department.desk.root.public_witnessing()
    assert named is not None
    hashes = [merkle.leaf_hash(leaf) for leaf in log.leaves(log.size())]
    found: list[str] = []
    where = folder or log.folder
    check_hours(where, log.log_id, public.hours.note_key, Tree(hashes), named, checkpoints, found)
    return found


def test_the_tree_grows_by_the_hour_whether_or_not_anybody_looked_up(
    department: Department, public: Public, tokens: Tokens
) -> None:
    token = tokens("comm1")
    assert public.publish() == 1
    department.clock.step(HOUR_US)
    assert public.publish() == 2  # nobody looked up
    token = department.logon("comm1")
    for _ in range(5):
        department.call("inquiry/run", token, RunForm(query=department.plate("8XYZ123"), ground=GROUND))
    assert public.publish() == 2  # the hour is not over
    department.clock.step(HOUR_US)
    assert public.publish() == 3
    department.clock.step(7 * HOUR_US)  # the server stood still
    assert public.publish() == 10
    assert problems(public, [public.newest()]) == []


def test_a_leaf_says_nothing_of_the_logs_size() -> None:
    log_id, root = bytes(32), bytes(32)
    small, large = (leaf_of(log_id, 497_000, bytes(32), size, root) for size in (3, 1_000_000))
    assert len(small) == len(large)
    assert leaf_of(log_id, 497_000, bytes(32), 3, root) != leaf_of(log_id, 497_000, b"\x01" * 32, 3, root)


def test_a_log_that_was_rewritten_with_its_witness_shows_in_public(
    department: Department, public: Public, tmp_path: Path
) -> None:
    """The office that runs the witness helps: only the public one remembers."""
    department.call("training/list", department.logon("comm1"), NothingForm())
    public.publish()
    department.clock.step(HOUR_US)
    public.publish()
    newest = public.newest()
    assert problems(public, [newest]) == []
    copy = tmp_path / "rewritten"
    shutil.copytree(department.desk.log.folder, copy)
    db = sqlite3.connect(copy / DATABASE)
    db.execute("UPDATE leaves SET root = ? WHERE at = 1", (bytes(32),))  # heads of the new log
    db.commit()
    db.close()
    found = problems(public, [newest], copy)
    assert "hourly heads, hour 1: its head is not one of this access log" in found
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
    ((kind, clause, what),) = overdue(desk, desk.now_us())
    assert (kind, clause) == ("witness", desk.policy.witness.clause)
    assert what.startswith("no public witness co-signed the hourly heads since ")
    public.link.away = False
    assert public.publish() == 49
    assert overdue(desk, desk.now_us()) == []


def test_compliance_says_that_the_root_file_names_no_witness(department: Department) -> None:
    desk = department.desk
    assert overdue(desk, desk.now_us()) == []
    root = department.new_root(witnesses=(), quorum=0)
    adopt_root(department.home, desk, root, desk.policy_document)
    rows = department.call("compliance/overdue", department.logon("chief"), NothingForm())
    assert isinstance(rows, tuple)
    assert "the root file names no witness" in " ".join(row.what for row in rows if row.kind == "witness")
