"""What a test file reaches, kept in run/mutants: measured again once it, or what it tests, has changed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.tools.mutation.bench import Reach
from tests.tools.mutation.rooms import Room


class KeptReach:
    """One room's measurements, a file for each of its test files."""

    def __init__(self, folder: Path, root: Path, room: Room) -> None:
        self._folder, self._root = folder, root
        shared = [
            *(root / one for one in room.module_paths(root)),
            *sorted((root / "tests").rglob("conftest.py")),
            *sorted((root / "tests/twins").rglob("*.py")),
            root / "tests/tools/mutation/reach.py",
            root / "pyproject.toml",
        ]
        self._shared = _digest(shared, str(sys.version_info[:2]).encode())

    def _path(self, file: str) -> Path:
        return self._folder / f"{_digest([self._root / file], self._shared + file.encode()).hex()}.json"

    def get(self, file: str) -> Reach | None:
        """What is kept of a test file as it is now; None if nothing is."""
        path = self._path(file)
        return Reach.from_json(path.read_text(encoding="utf-8")) if path.is_file() else None

    def put(self, files: Iterable[str], reach: Reach) -> None:
        """Keep what one run of these test files reached."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            self._path(file).write_text(reach.of_file(file).to_json(), encoding="utf-8")


def _digest(paths: Iterable[Path], start: bytes) -> bytes:
    made = hashlib.sha256(start)
    for path in paths:
        made.update(hashlib.sha256(path.read_bytes()).digest())
    return made.digest()
