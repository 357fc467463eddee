"""An older root file of the same offices replaces the home's: nothing continues under its keys."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sync_twins import bare_home, verified

from sync import root_file
from sync.department.cli import main
from sync.department.commands.serve import started
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.server.founding import OFFICES
from sync.department.server.open_desk import adopt_root, first_administrator, open_front
from sync.errors import HomeError

SAID = "root file is version 2, and the log adopted version 3"


def _signed(home: DepartmentHome, root: root_file.Root) -> bytes:
    keys = [load_ed25519(home.path / "root-keys" / f"{name}.key") for name in OFFICES]
    return root_file.assemble(root, [root_file.sign(root, key) for key in keys])


@pytest.fixture(name="home")
def adopted_home(tmp_path: Path) -> DepartmentHome:
    """A home whose log adopted versions 2 and 3; `older` is version 2, which its offices signed too."""
    home = bare_home(tmp_path / "home")
    first_administrator(home, "chief", "Chief Example")
    with closing(open_front(home)) as front:
        for version in (2, 3):
            signed = _signed(home, replace(front.desk.root, version=version))
            adopt_root(home, front.desk, signed, front.desk.policy_document)
            (tmp_path / f"{version}.root").write_bytes(signed)
    with started(home) as (department, _):
        department.retain()
    return home


def _put_back(home: DepartmentHome) -> None:
    home.root_file.write_bytes((home.path.parent / "2.root").read_bytes())


def test_verify_names_a_root_file_that_is_older_than_the_adopted_one(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = verified(home, capsys)
    assert (status, "WRONG" in said) == (0, False), said
    _put_back(home)
    status, said = verified(home, capsys)
    assert (status, SAID in said, "department keys adopt" in said) == (1, True, True), said


def test_verify_names_another_root_file_of_the_adopted_version(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str]
) -> None:
    root = root_file.describe(home.root_file.read_bytes())[0]
    home.root_file.write_bytes(_signed(home, replace(root, created_us=root.created_us + 1)))
    status, said = verified(home, capsys)
    assert (status, "is another version 3 than the one that the log adopted" in said) == (1, True), said


def test_no_server_and_no_desk_starts_with_an_older_root_file_until_the_adopted_one_is_back(
    home: DepartmentHome, capsys: pytest.CaptureFixture[str]
) -> None:
    _put_back(home)
    with pytest.raises(HomeError, match=SAID) as refusal, started(home):
        pass
    assert (refusal.value.where, "department keys adopt" in refusal.value.cure) == (str(home.root_file), True)
    with pytest.raises(HomeError, match=SAID):
        open_front(home)
    adopted = home.path.parent / "3.root"
    assert main(["keys", "adopt", "--home", str(home.path), str(adopted)]) == 0
    assert home.root_file.read_bytes() == adopted.read_bytes()
    with started(home) as (_, front):
        assert front is not None
    assert verified(home, capsys)[0] == 0


def test_a_running_server_purges_nothing_by_an_older_root_file_and_compliance_names_it(
    home: DepartmentHome,
) -> None:
    with started(home) as (department, front):
        assert front is not None

        def named() -> list[str]:
            lines = front.overdue_from_store(front.desk.now_us())
            return [one.what for one in lines if str(home.root_file) in one.what]

        assert named() == []
        _put_back(home)
        (line,) = named()
        assert SAID in line
        assert "department keys adopt" in line
        with pytest.raises(HomeError, match=SAID):
            department.retain()
        home.root_file.unlink()
        assert "not there" in named()[0]
