"""The effect of losing each file of a remote key service, file by file."""

from __future__ import annotations

import shutil
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path

import pytest
from desk_keys import TOKEN
from desk_twins import Department

from sync.department.content.key_server import key_app
from sync.department.content.key_service import LocalKeyService
from sync.department.content.opened_list import OpenedList
from sync.errors import KeyServiceError

DECIDED = {
    "day/*.key": "units keep their reads, and compliance names the day",
    "found.sqlite": "people search again",
    "followed.sqlite": "the log is followed again",
    "list.key": "",
    "opened.sqlite": "",
    "received.sqlite": "reads that come again are of the day on which they come",
    "service.log": "an account of uses, for people",
    "store/*.key": "verify names what does not open",
}
"""Why the service starts without it; empty where it refuses."""


@pytest.fixture
def folder(department: Department, tmp_path: Path) -> Path:
    """The folder of a key service that has served."""
    made = Path(shutil.copytree(department.home.keys, tmp_path / "keys"))
    serve(made, department)
    return made


def serve(folder: Path, department: Department) -> None:
    """Start as `department keys serve` does, without opening a port. Raises KeyServiceError."""
    with closing(OpenedList(folder)) as opened, closing(LocalKeyService(folder, department.clock)) as keys:
        key_app(keys, opened, department.home.root_file.read_bytes(), TOKEN, department.clock)


def files_of(folder: Path) -> list[str]:
    found = (str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
    return sorted(one for one in found if not one.endswith(("-wal", "-shm")))


def test_a_gone_file_of_a_key_service_has_the_result_that_was_decided_for_it(
    folder: Path, department: Department, tmp_path: Path
) -> None:
    there = files_of(folder)
    assert [one for one in there if not any(fnmatch(one, pattern) for pattern in DECIDED)] == []
    for number, (pattern, why) in enumerate(DECIDED.items()):
        copy = Path(shutil.copytree(folder, tmp_path / str(number)))
        gone = [one for one in there if fnmatch(one, pattern)]
        assert gone, pattern
        for one in gone:
            for end in ("", "-wal", "-shm"):
                (copy / f"{one}{end}").unlink(missing_ok=True)
        if why:
            serve(copy, department)
            back = set(files_of(copy)).intersection(gone)
            assert back == (set() if pattern.endswith(".key") else set(gone)), pattern
            continue
        with pytest.raises(KeyServiceError, match=pattern) as refused:
            serve(copy, department)
        assert refused.value.cure
        assert set(files_of(copy)).isdisjoint(gone), pattern
