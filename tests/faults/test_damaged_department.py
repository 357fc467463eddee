"""A file of a department's home that is gone, empty, cut, changed, or a folder: one line says which, and what
to do; nothing takes its place.

Every command that needs the file refuses. None makes a new log, store or key where one was: what is gone
would look as if it had never been.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sync.department.cli import main
from sync.department.ground.settings import load_settings, settings_text

Damage = Callable[[Path], object]
AT_DESK = ("witness log-key", "compliance", "controls", "user first chief2", "keys administrator m.lopez")
AT_ROOT = ("keys root", "keys policy", "keys draft", "verify")
AT_STORE = ("verify", "health", "enroll --list")
NEEDS: dict[str, tuple[str, ...]] = {
    "department.toml": (*AT_DESK, *AT_ROOT, *AT_STORE),
    "root.cbor": AT_ROOT,
    "policy.toml": ("keys policy", "keys draft"),
    "log.key": (*AT_DESK, "verify"),
    "command.key": AT_DESK,
    "authority/ca.key": (*AT_DESK, "verify", "enroll --list"),
    "authority/ca.pem": (*AT_DESK, "verify", "enroll --list"),
    "desk/access-log.sqlite": (*AT_DESK, "verify"),
    "desk/audit-keys": AT_DESK,
    "store.db": AT_STORE,
}
"""The commands that must not go through without each file."""


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def flipped_within(path: Path) -> None:
    """Flip a byte in the middle, as a power cut or a worn disk may."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Damage] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "flipped": flipped_within,
    "a folder": folder_instead,
    "unreadable": lambda path: path.chmod(0),
}
HARMLESS = {
    ("command.key", "missing"),  # it may be elsewhere, on the administrator's token
    ("department.toml", "flipped"),  # in a comment, or in a value that stays valid
    ("desk/access-log.sqlite", "flipped"),  # only `verify` looks at every page: test_attack_log.py
    ("store.db", "flipped"),
    ("authority/ca.pem", "flipped"),  # the root file names the key in it
}
TRIED = [one for one in DAMAGES if one != "unreadable" or os.geteuid()]  # root reads every file
CASES = [(name, how) for name in NEEDS for how in TRIED if (name, how) not in HARMLESS]
REPORTS = {"verify"}  # may print more than one line about what is wrong
SPARED = {"compliance"}  # its status is 1 anyway


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("founded") / "home"
    assert main(["init", "--home", str(home), "--host", "localhost"]) == 0
    settings = home / "department.toml"
    settings.write_text(settings_text(load_settings(settings)))
    for key in (home / "keys" / "day").glob("*.key"):
        key.unlink()  # there are hundreds, and no test here needs one
    assert main(["--home", str(home), "user", "first", "chief"]) == 0
    return home


@pytest.fixture
def home(founded: Path, tmp_path: Path) -> Iterator[Path]:
    copy = tmp_path / "home"
    shutil.copytree(founded, copy)
    yield copy
    for path in copy.rglob("*"):
        with contextlib.suppress(OSError):
            path.chmod(0o700)


def of(home: Path, name: str) -> Path:
    """The file with this name; of the audit keys, this year's."""
    path = home / name
    return max(path.iterdir()) if name == "desk/audit-keys" else path


def state_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else None


@pytest.mark.thorough_rows(
    "root.cbor-flipped", "root.cbor-a folder", "policy.toml-a folder", "desk/access-log.sqlite-cut", every=6
)
@pytest.mark.parametrize(("name", "how"), CASES)
def test_a_damaged_file_is_named_with_what_to_do_and_nothing_takes_its_place(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, how: str
) -> None:
    path = of(home, name)
    DAMAGES[how](path)
    before = state_of(path)
    wrong = {}
    for command in NEEDS[name]:
        words = [*command.split(), *(["--out", str(tmp_path / "out")] if "draft" in command else [])]
        words += ["--out", str(tmp_path / "out")] if "administrator" in command else []
        capsys.readouterr()
        status = main(["--home", str(home), *words])
        said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("{", "20"))]
        if status not in {1, 2, 3}:
            wrong[command] = f"status {status}"
        elif command not in REPORTS | SPARED or status == 2:
            line = said[0] if len(said) == 1 else ""
            names_it = path.name in line or name.partition("/")[0] in line
            has_cure = "(" in line or "restore" in line
            if not (line.startswith("department: ") and names_it and has_cure):
                wrong[command] = "\n".join(said) or "nothing said"
    assert wrong == {}
    assert state_of(path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["root.cbor", "policy.toml"])
@pytest.mark.parametrize("how", ["missing", "empty", "cut"])
def test_no_desk_begins_with_a_damaged_root_or_policy_file(
    home: Path, capsys: pytest.CaptureFixture[str], name: str, how: str
) -> None:
    shutil.rmtree(home / "desk")
    DAMAGES[how](home / name)
    capsys.readouterr()
    assert main(["--home", str(home), "user", "first", "chief"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line
    assert "restore" in line
    assert not (home / "desk" / "access-log.sqlite").exists()
