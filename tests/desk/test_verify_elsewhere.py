"""`department verify` on a full disk or a read-only medium: the same verdict, and no second copy of a key."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from sync_twins import Unit, bare_home, issue_code, running

from sync.department.cli import main
from sync.department.ground.home import DepartmentHome, examined

DATABASES = (".db", ".db-wal", ".db-shm", ".sqlite", ".sqlite-wal", ".sqlite-shm")


def content(path: Path) -> dict[str, bytes]:
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}


def fill(monkeypatch: pytest.MonkeyPatch, full: Path, elsewhere: Path) -> None:
    """From now on, the disk of `full` has no room, and TMPDIR is `elsewhere`."""
    real = shutil.disk_usage

    def usage(path: Path | str) -> object:
        return SimpleNamespace(free=0) if Path(path).is_relative_to(full) else real(path)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    elsewhere.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))


@pytest.fixture(params=["keys in the home", "keys on another disk"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> DepartmentHome:
    """A department with reads; its keys here or there."""
    made = bare_home(tmp_path / "home")
    if "another" in request.param:
        shutil.move(made.path / "keys", tmp_path / "other")
        settings = made.path / "department.toml"
        line = f'keys_folder = "{tmp_path / "other"}"'
        settings.write_text(re.sub(r"(?m)^#? ?keys_folder = .*$", line, settings.read_text()))
        made = DepartmentHome.open(made.path)
    with running(made):
        unit = Unit(tmp_path / "unit")
        unit.enroll(issue_code(made, "car-1"))
        unit.add(2)
        assert unit.attempt().outcome == "done"
        unit.close()
    return made


def test_no_byte_of_a_key_leaves_its_place(
    home: DepartmentHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["verify", "--home", str(home.path)]
    status = main(words)
    said = capsys.readouterr().out
    before = content(tmp_path)
    secrets = {data for name, data in before.items() if name.endswith(".key") and "/unit/" not in f"/{name}"}
    assert len(secrets) > 5
    fill(monkeypatch, home.path, tmp_path / "tmpdir")
    with examined(home.path) as private:
        assert not private.path.is_relative_to(home.path)
        copied = [one for one in (tmp_path / "tmpdir").rglob("*") if one.is_file() and not one.is_symlink()]
        assert {one.name for one in copied} >= {"store.db"}
        for one in copied:
            assert one.name.endswith(DATABASES), one
            assert not any(secret in one.read_bytes() for secret in secrets)
    assert (main(words), capsys.readouterr().out) == (status, said)
    assert "the store verifies" in said
    assert {**content(tmp_path)} == before
