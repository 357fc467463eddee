"""A package written to a medium is whole and durable there, or not there at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import files
from storage.errors import PackageError
from storage.portable import write_package


def test_every_folder_of_a_package_and_the_one_that_it_is_in_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(files, "sync_dir", lambda path: synced.append(path.name))
    (tmp_path / "stick").mkdir()
    write_package(tmp_path / "stick" / "E-1", {"records/1/leaf.cose": b"leaf"})
    assert sorted(synced[:-1]) == ["1", "E-1.unfinished", "records"]
    assert synced[-1] == "stick"


def test_a_medium_that_fails_leaves_no_folder_that_looks_whole(tmp_path: Path) -> None:
    target = tmp_path / "stick" / "E-1"
    target.parent.mkdir()
    write_package(target, {"records/1/leaf.cose": b"leaf", "cover.txt": b"text"})
    assert (target / "records/1/leaf.cose").read_bytes() == b"leaf"
    with pytest.raises(PackageError, match="there already"):
        write_package(target, {})
    broken = tmp_path / "stick" / "E-2"
    with pytest.raises(PackageError, match="another medium"):
        write_package(broken, {"cover.txt": b"text", "x" * 300: b"a name that no file system takes"})
    assert [path.name for path in broken.parent.iterdir()] == ["E-1"]


def test_a_stick_that_went_meanwhile_puts_no_content_on_the_disk_of_this_machine(tmp_path: Path) -> None:
    """The mount's folder disappears with the stick; once, it was made again on the card."""
    with pytest.raises(PackageError, match=r"stick: is not a folder \(plug the medium in"):
        write_package(tmp_path / "stick" / "E-1", {"cover.txt": b"text"})
    assert list(tmp_path.iterdir()) == []
