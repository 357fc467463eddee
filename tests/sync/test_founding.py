"""A failed founding leaves nothing behind; a database that cannot be reached is named as such."""

from __future__ import annotations

import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres_twin import binaries, postgres_cluster

from sync.department.cli import main
from sync.department.ground.home import DepartmentHome
from sync.department.ground.settings import Settings, with_database
from sync.department.server import founding
from sync.department.server.founding import found
from sync.department.store.opening import open_store_of
from sync.department.store.tables import units
from sync.errors import HomeError, StoreAwayError, StoreError

AWAY = "postgresql+psycopg://alpr@/alpr?host=/nonexistent"


def test_a_database_that_is_away_leaves_no_half_made_home(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    home, keys = tmp_path / "home", tmp_path / "keys"
    with pytest.raises(StoreAwayError):
        found(home, Settings(database=AWAY, keys_folder=str(keys)))
    assert not home.exists()
    assert not keys.exists()
    found(home, Settings(keys_folder=str(keys)))


def test_what_was_in_the_folders_before_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, keys = tmp_path / "home", tmp_path / "keys"
    for folder in (home, keys):
        folder.mkdir()
        (folder / "mine.txt").write_text("kept")

    def fail(_path: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(founding, "LocalKeyService", fail)
    with pytest.raises(OSError, match="No space"):
        found(home, Settings(keys_folder=str(keys)))
    for folder in (home, keys):
        assert [one.name for one in folder.iterdir()] == ["mine.txt"]
    monkeypatch.undo()
    found(home, Settings(keys_folder=str(keys)))
    assert (home / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("step", "what"),
    [("LocalKeyService", "remove the folder and run it again"), ("open_store", "department user first")],
)
def test_a_founding_that_was_cut_off_says_how_to_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, what: str
) -> None:
    def cut(*_: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(founding, step, cut)
        patch.setattr(founding, "_clear", lambda *_: None)  # as in a power cut
        with pytest.raises(KeyboardInterrupt):
            found(tmp_path / "home", Settings())
    with pytest.raises(HomeError) as refused:
        found(tmp_path / "home", Settings())
    assert what in refused.value.cure


def test_a_home_that_was_served_is_not_an_interrupted_init(tmp_path: Path) -> None:
    """With PostgreSQL, there is no file of the store; the server's lock file is the trace."""
    home, database = tmp_path / "home", f"sqlite:///{tmp_path}/elsewhere.db"
    found(home, Settings(database=database))
    settings = home / "department.toml"
    for served, cure in ((False, "remove the folder and run it again"), (True, "^restore department.toml")):
        settings.unlink(missing_ok=True)
        if served:
            (home / "serve.lock").touch()
        with pytest.raises(HomeError) as refused:
            found(home, Settings(database=database))
        assert re.search(cure, refused.value.cure)


def test_the_database_of_a_department_is_refused_to_a_second_one(tmp_path: Path) -> None:
    settings = Settings(database=f"sqlite:///{tmp_path}/elsewhere.db")
    found(tmp_path / "first", settings)
    row = {"unit_id": "0" * 32, "name": "Car 12", "identity": b"", "enrolled_us": 1}
    store = open_store_of(DepartmentHome.open(tmp_path / "first"))
    with closing(store), store.write() as connection:
        connection.execute(sa.insert(units).values(row))
    with pytest.raises(HomeError, match="the store of a department is in this database"):
        found(tmp_path / "second", settings)
    assert not (tmp_path / "second").exists()


def test_verify_without_its_database_says_that_nothing_was_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psycopg")
    home = tmp_path / "home"
    found(home, Settings())
    settings = home / "department.toml"
    settings.write_bytes(with_database(settings, AWAY))
    (home / "store.db").rename(home / "another.db")
    assert main(["--home", str(home), "verify"]) == 3
    assert "is the database running?" in capsys.readouterr().err


def test_a_setting_that_spells_out_the_store_here_names_no_other(tmp_path: Path) -> None:
    home = tmp_path / "home"
    found(home, Settings())
    settings = home / "department.toml"
    settings.write_bytes(with_database(settings, f"sqlite:///{home}/store.db"))
    open_store_of(DepartmentHome.open(home)).close()
    settings.write_bytes(with_database(settings, f"sqlite:///{tmp_path}/elsewhere.db"))
    with pytest.raises(HomeError, match="if that database is the store and this file was left behind"):
        open_store_of(DepartmentHome.open(home))
    settings.write_bytes(with_database(settings, f"sqlite:///{home}/store.db"))
    (home / "store.db").unlink()
    with pytest.raises(HomeError, match="the store is gone, or empty"):
        open_store_of(DepartmentHome.open(home))


@pytest.mark.thorough
@pytest.mark.one_python
def test_postgresql_is_set_up_from_nothing_as_the_page_says(tmp_path: Path) -> None:
    """createuser, createdb -O, init; and for a database that the role does not own, a cure is named."""
    with postgres_cluster() as url:
        folder = binaries()
        assert folder is not None
        host = url.partition("host=")[2]

        def typed(*words: str) -> None:
            subprocess.run(
                [str(folder / words[0]), "-h", host, "-U", "alpr", *words[1:]],
                check=True,
                capture_output=True,
            )

        typed("createuser", "office")
        typed("createdb", "foreign")
        with pytest.raises(StoreError, match="createdb -O"):
            found(
                tmp_path / "foreign", Settings(database=f"postgresql+psycopg://office@/foreign?host={host}")
            )
        assert not (tmp_path / "foreign").exists()
        typed("createdb", "-O", "office", "office")
        found(tmp_path / "home", Settings(database=f"postgresql+psycopg://office@/office?host={host}"))
