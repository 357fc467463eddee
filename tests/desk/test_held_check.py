"""Held evidence outlives the day of its reads; `verify` compares it with the hold's entries."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest
from desk_root import Root, covered_by
from desk_twins import GROUND, Department
from flipped import flip

from storage.codec import from_bytes, to_bytes
from sync.department.content.key_service import LocalKeyService
from sync.department.content.vault import HOLDS, FolderVault, Held
from sync.department.desk import due
from sync.department.desk.holds.calls import AskReleaseForm, ExportForm
from sync.department.desk.log_state import FOLDER
from sync.department.journal import check_log
from sync.department.journal.change_entries import HoldRests
from sync.department.journal.hold_entries import HoldPlaced
from sync.errors import HomeError


def problems(department: Department) -> list[str]:
    log, covered = department.desk.log, covered_by(department)
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    keys = LocalKeyService(department.home.keys, department.clock)
    try:
        vault = FolderVault(department.home.path / FOLDER / HOLDS)
        return list(covered.holds.problems(vault, keys, log.log_id))
    finally:
        keys.close()


def changed(path: Path, **changes: object) -> None:
    held = from_bytes(Held, path.read_bytes(), limit=1 << 28)
    path.write_bytes(to_bytes(replace(held, **changes)))  # type: ignore[arg-type]


def the_folder_removed(_department: Department, folder: Path) -> str:
    shutil.rmtree(folder)
    return "the held content is not here: released, or lost"


def one_read_removed(_department: Department, folder: Path) -> str:
    (folder / "1.held").unlink()
    return "the held reads are not those that its entry names"


def a_file_damaged(_department: Department, folder: Path) -> str:
    (folder / "0.held").write_bytes(flip((folder / "0.held").read_bytes()))
    return "read 1: not the file that was sealed"


def a_file_cut_short(_department: Department, folder: Path) -> str:
    (folder / "0.held").write_bytes((folder / "0.held").read_bytes()[:-9])
    return "the held content is damaged"


def the_reads_swapped(_department: Department, folder: Path) -> str:
    first, second = ((folder / f"{number}.held").read_bytes() for number in (0, 1))
    (folder / "0.held").write_bytes(second)
    (folder / "1.held").write_bytes(first)
    return "the held reads are not those that its entry names"


def a_picture_left_out(_department: Department, folder: Path) -> str:
    held = from_bytes(Held, (folder / "1.held").read_bytes(), limit=1 << 28)
    changed(folder / "1.held", elements=tuple(one for one in held.elements if one[0] != "overview"))
    return "read 2: not the file that was sealed"


def the_digests_entered_again(department: Department, folder: Path) -> str:
    """Root also enters the digest of its own file, but the first entry of a hold counts."""
    words, root = a_picture_left_out(department, folder), Root(department)
    digests = FolderVault(folder.parent).digests(int(folder.name))
    note = HoldRests(access=int(folder.name), searches=(), approval=-1, content=digests)
    root.write(note, root.stamp("super"))
    return words


def the_key_removed(department: Department, _folder: Path) -> str:
    for key in (department.home.keys / "hold").glob("*.key"):
        key.unlink()
    return "read 1: the key of this hold is not here: released, or lost"


ATTACKS = (
    the_folder_removed,
    one_read_removed,
    a_file_damaged,
    a_file_cut_short,
    the_reads_swapped,
    a_picture_left_out,
    the_digests_entered_again,
    the_key_removed,
)


def placed(department: Department) -> tuple[int, Path]:
    """Place a hold on two reads. Returns (its entry, its folder)."""
    hold = department.held(department.logon("super"), department.reads[:2])
    note = department.desk.log.entry(hold).note
    assert isinstance(note, HoldPlaced)
    return hold, department.home.path / FOLDER / HOLDS / f"{note.access}"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_held_evidence_that_is_gone_or_changed_is_named(
    department: Department, attack: Callable[[Department, Path], str]
) -> None:
    hold, folder = placed(department)
    assert problems(department) == []
    words = attack(department, folder)
    assert any(words in one and one.startswith(f"hold {hold}: ") for one in problems(department))


OLDER: dict[str, tuple[dict[str, object], str]] = {
    "another record's leaf": ({"read": "{other}"}, "not those that its entry names"),
    "no proof of its place": ({"proof": "c2sp.org/tlog-proof@v1\n"}, "read 1: "),
    "another element": ({"elements": (("text", b"x" * 200),)}, "read 1: "),
}


@pytest.mark.parametrize("case", OLDER)
def test_a_hold_from_before_its_files_were_entered_is_checked_by_leaf_and_key(
    department: Department, case: str
) -> None:
    _hold, folder = placed(department)
    changes, words = OLDER[case]
    other = department.reads[5]
    changed(folder / "0.held", **{name: other if one == "{other}" else one for name, one in changes.items()})
    log, covered = department.desk.log, covered_by(department)
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    covered.holds.contents.clear()
    keys = LocalKeyService(department.home.keys, department.clock)
    found = list(covered.holds.problems(FolderVault(folder.parent), keys, log.log_id))
    keys.close()
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize("attack", [one_read_removed, a_picture_left_out], ids=lambda one: one.__name__)
def test_no_export_of_a_hold_leaves_without_what_its_entries_name(
    department: Department, attack: Callable[[Department, Path], str]
) -> None:
    """Otherwise a package would claim to be complete, whether it verifies or not."""
    hold, folder = placed(department)
    attack(department, folder)
    form = ExportForm(hold=hold, medium="USB 1", ground=GROUND)
    with pytest.raises(HomeError) as refused:
        department.call("hold/export", department.logon("super"), form)
    assert str(folder) in refused.value.where
    assert "holds from its backup" in refused.value.cure


def test_compliance_names_a_hold_whose_content_is_not_here(department: Department) -> None:
    hold, folder = placed(department)
    assert not [one for one in due.overdue_now(department.front, department.clock.us) if one.kind == "hold"]
    shutil.rmtree(folder)
    said = [one.what for one in due.overdue_now(department.front, department.clock.us) if one.kind == "hold"]
    assert said == [
        f"hold {hold}: 0 of its 2 reads are here; restore the folder of holds from its backup, then: "
        "department verify"
    ]


def test_other_files_in_the_folders_of_holds_hide_no_held_content(department: Department) -> None:
    """Such files come from a separate volume, a file manager or a backup program."""
    _hold, folder = placed(department)
    vault, access = FolderVault(folder.parent), int(folder.name)
    (folder.parent / "lost+found").mkdir()
    (folder.parent / "12.bak").write_bytes(b"x")
    (folder.parent / ".DS_Store").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "old").mkdir()
    (folder / "old" / "0.held").write_bytes(b"x")
    assert vault.kept() == [access]
    assert (vault.count(access), len(vault.stored(access)), len(vault.digests(access))) == (2, 2, 2)
    assert problems(department) == []
    vault.destroy(access)
    assert vault.kept() == []


LOST = {
    "keys/*.sqlite": "tests/faults/test_gone_files.py",
    "desk/holds/*": "above: verify and compliance name the hold",
    "evidence/ca.*": "tests/desk/test_evidence_sheet.py: made again with an event, or exports refuse",
    "keys/hold/*.gone": "a key that is not there is then said to be released, or lost",
    "keys/hold/*.key": "above: verify names the hold",
    "keys/service.log": "an account of uses, for people; nothing reads it",
    "*.lock": "held while something is written; holds nothing",
}
"""What holds and exports leave in a department's home, and where its loss is tested or what comes of it."""


def test_of_every_file_that_holds_and_exports_make_it_is_decided_what_its_loss_does(
    department: Department,
) -> None:
    def files() -> set[str]:
        home = department.home.path
        found = {str(one.relative_to(home)) for one in home.rglob("*") if one.is_file()}
        return {name for name in found if not name.endswith(("-wal", "-shm"))}

    before = files()
    supervisor = department.logon("super")
    for number in range(2):
        hold = department.held(supervisor, department.reads[number : number + 1])
        form = ExportForm(hold=hold, medium=f"USB {number}", ground=GROUND)
        department.call("hold/export", supervisor, form)
    book = AskReleaseForm(hold=hold, evidence_item="E-26-0042")
    for call, user in (("hold/book", "super"), ("hold/ask-release", "super"), ("hold/release", "chief")):
        department.call(call, department.logon(user), book)
    made = files() - before
    assert sorted(one for one in made if not any(fnmatch(one, known) for known in LOST)) == []
    for folder in ("desk/holds/", "evidence/", "keys/hold/"):
        assert any(one.startswith(folder) for one in made)
