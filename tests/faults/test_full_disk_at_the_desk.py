"""With a full disk at the department, every command says so, and none calls the access log damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sync_twins import bare_home

from storage import files
from sync.department.cli import main
from sync.department.commands import out_files
from sync.department.server import open_desk
from sync.department.server.open_desk import first_administrator
from sync.errors import PART_LACKING, LackingError


def no_room(*_words: object, **_more: object) -> None:
    """SQLite's error when the index beside its log finds no room, which does not mention a full disk."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    raise error


def test_a_command_does_not_take_a_full_disk_for_a_damaged_access_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person who then restored the log from a backup would lose every later entry."""
    home = bare_home(tmp_path / "home")
    first_administrator(home, "chief", "Chief Example")
    monkeypatch.setattr(open_desk, "Desk", no_room)
    assert main(["--home", str(home.path), "witness", "log-key"]) == PART_LACKING
    said = capsys.readouterr().err
    assert "the disk is full" in said
    assert "restore" not in said


def test_a_file_that_no_entry_names_is_written_again_without_a_word_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    with pytest.raises(LackingError) as refused:
        out_files.write_new(tmp_path / "next.root", b"x")
    assert "log" not in refused.value.cure
    assert not (tmp_path / "next.root").exists()
