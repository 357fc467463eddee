"""A disk restored to an older copy: the department's, the key service's, a witness's, or two of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from desk_twins import GROUND, Department, open_department

from storage.times import DAY_US
from sync.department.content.opened_list import OpenedCheck, OpenedList
from sync.department.desk.due import overdue_now
from sync.department.desk.holds.calls import finish
from sync.department.desk.inquiry.forms import Answer, RunForm
from sync.department.desk.owed import Late
from sync.department.journal import check_log
from sync.department.journal.machine_entries import KeysListSeen
from sync.department.pages.foot import foot_of
from sync.department.policy.refusals import DeskRefusal
from sync.department.server import daily
from sync.department.server.due_work import standing


class Disks:
    """A department that is stopped, copied, set back and restarted."""

    def __init__(self, department: Department) -> None:
        self.now, self._first = department, department
        self._root = department.home.path.parent
        self._folders = {
            "department": department.home.path / "desk",
            "keys": department.home.keys,
            "witness": self._root / "witness",
        }

    def look(self) -> Answer:
        """Make a search and let the daily run enter the key service's list."""
        run = RunForm(query=self.now.plate("8XYZ123"), ground=GROUND)
        answer = self.now.call("inquiry/run", self.now.logon("comm1"), run)
        assert isinstance(answer, Answer)
        daily.enter_keys_list(self.now.front)
        return answer

    def copy(self) -> None:
        """Copy all three as a backup does."""
        self.stop()
        for name, folder in self._folders.items():
            shutil.copytree(folder, self._root / f"before-{name}")
        self.start()

    def set_back(self, *names: str) -> None:
        """Stop, restore the older copies of these, start."""
        self.stop()
        for name in names:
            shutil.rmtree(self._folders[name])
            (self._root / f"before-{name}").rename(self._folders[name])
        self.start()

    def stop(self) -> None:
        self.now.front.close()
        if self.now is not self._first:  # the first one's witness is closed by its fixture
            self.now.witness.close()

    def start(self) -> None:
        before = self.now
        self.now = open_department(self._root, before.clock, before.secrets)
        self.now.reads = before.reads

    def owed(self) -> list[str]:
        """What `compliance` says about the key service."""
        found = overdue_now(self.now.front, self.now.desk.now_us())
        return [one.what for one in found if one.kind is Late.KEYS]

    def entered(self) -> list[int]:
        """The number of lines that each entry about a restarted list gives."""
        log = self.now.desk.log
        notes = [one.note for one in log.entries(0) if isinstance(one.note, KeysListSeen)]
        return [one.lines for before, one in pairwise(notes) if one.lines <= before.lines]

    def problems(self) -> tuple[str, ...]:
        """What `department verify` says, given the witness's newest tree head and the key service's list."""
        desk = self.now.desk
        listed = OpenedList(self.now.home.keys)
        seen = OpenedCheck.of(listed.all_messages(), listed.public)
        listed.close()
        return check_log.check(
            desk.log.folder,
            desk.log.public,
            witnesses=desk.root.witnessing(),
            checkpoints=[self.now.witness.newest(desk.log.origin)],
            keys=desk.log.keys,
            opened=seen,
        ).problems


@pytest.fixture
def disks(department: Department) -> Iterator[Disks]:
    """Some history, its backup, and a later lookup."""
    made = Disks(department)
    made.look()
    made.copy()
    made.look()
    assert made.problems() == ()
    yield made
    made.stop()


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(DeskRefusal) as error:
        work()
    return error.value.code


def named(problems: tuple[str, ...], words: str) -> bool:
    return any(words in one for one in problems)


def test_the_key_services_disk_alone(disks: Disks) -> None:
    """It follows the log again and continues; its lost lines are named, even when it has new ones."""
    assert disks.owed() == []
    disks.set_back("keys")
    assert named(disks.problems(), "its disk was set back")
    for _ in range(3):
        assert not disks.look().unwitnessed
    assert named(disks.problems(), "its disk was set back")
    (line,) = disks.owed()
    assert "its disk was set back or replaced" in line
    assert disks.entered() == [0]
    disks.now.clock.step(31 * DAY_US)
    assert disks.owed() == []


def test_a_witnesss_disk_alone(disks: Disks) -> None:
    """It is shown what it lacks, and co-signs what follows: nothing is lost or changed."""
    disks.set_back("witness")
    assert not disks.look().unwitnessed
    assert disks.problems() == ()


def test_the_departments_disk_alone(disks: Disks) -> None:
    disks.set_back("department")
    assert refused(disks.look) == "forked"
    problems = disks.problems()
    assert named(problems, "removed")
    assert named(problems, "the key service opened content for another entry, now gone")


def test_compliance_names_the_fork_and_not_the_absence_before_it(department: Department) -> None:
    disks = Disks(department)
    disks.look()
    department.witness.away = True
    assert disks.look().unwitnessed
    disks.copy()
    assert not disks.look().unwitnessed
    disks.set_back("department")
    assert refused(disks.look) == "forked"
    disks.stop()
    disks.start()
    late = [one for one in standing(disks.now.front).overdue if one.kind in {Late.FORK, Late.WITNESS}]
    assert [one.kind for one in late] == [Late.FORK]
    assert "Stop the server" in late[0].what
    assert "answered" not in late[0].what
    assert foot_of(disks.now.front, 0).witness.startswith("has another log")
    disks.stop()


def test_the_departments_and_a_witnesss_disk(disks: Disks) -> None:
    """The witness would co-sign another history, but the key service remembers the first."""
    disks.set_back("department", "witness")
    assert refused(disks.look) == "forked"
    assert named(disks.problems(), "the key service opened content for another entry, now gone")


def test_the_departments_and_the_key_services_disk(disks: Disks) -> None:
    disks.set_back("department", "keys")
    assert refused(disks.look) == "forked"
    assert named(disks.problems(), "removed")


def test_the_key_services_and_a_witnesss_disk(disks: Disks) -> None:
    disks.set_back("keys", "witness")
    assert not disks.look().unwitnessed
    assert named(disks.problems(), "its disk was set back")


def test_the_copies_are_of_three_folders(disks: Disks) -> None:
    """The tests above would prove nothing if one disk were inside another."""
    folders = list(disks._folders.values())
    assert all(not one.is_relative_to(other) for one in folders for other in folders if one != other)


def test_a_log_that_was_set_back_destroys_no_held_content_that_it_does_not_name(disks: Disks) -> None:
    """People log in at the old log for two days, until its entries pass the number of the hold's access."""
    disks.now.held(disks.now.logon("super"))
    kept, vault = disks.now.front.vault.kept(), disks.now.home.path / "desk" / "holds"
    apart = shutil.copytree(vault, disks.now.home.path / "apart")  # the backup has only the log
    disks.set_back("department")
    shutil.copytree(apart, vault, dirs_exist_ok=True)
    while disks.now.desk.log.size() <= max(kept) + 1:
        disks.now.logon("officer1")
    disks.now.clock.step(2 * DAY_US)
    disks.now.logon("officer1")
    disks.now.desk.try_cover(disks.now.desk.log.size() - 1)
    finish(disks.now.front)
    assert kept
    assert disks.now.front.vault.kept() == kept
