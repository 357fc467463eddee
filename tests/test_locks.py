"""Each lock file pins all that its environment needs, including the backend that builds the project."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]["extras"]
BUILD = [*PROJECT["build-system"]["requires"], "editables"]  # editables: what an editable install imports


def of_extra(name: str) -> Iterator[str]:
    """The requirements of an extra, including those of the extras that it names."""
    for line in EXTRAS[name]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["project"]["name"]:
            for other in sorted(requirement.extras):
                yield from of_extra(other)
        else:
            yield line


def pins(path: Path) -> dict[str, list[Requirement]]:
    """The pinned requirements of a lock file by name; a name may have one for each version of Python."""
    found: dict[str, list[Requirement]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith((" ", "#")):
            pin = Requirement(line.removesuffix("\\").strip())
            found.setdefault(pin.name.lower(), []).append(pin)
    return found


def unpinned(lock: Path, needs: list[str]) -> list[str]:
    """The requirements that no pin in the lock file satisfies."""
    pinned = pins(lock)
    return [
        need
        for need, wanted in ((need, Requirement(need)) for need in needs)
        if not any(
            wanted.specifier.contains(next(iter(pin.specifier)).version, prereleases=True)
            for pin in pinned.get(wanted.name.lower(), [])
        )
    ]


@pytest.mark.parametrize(
    ("lock", "extras", "built"),
    [
        ("requirements.lock", ["dev"], True),
        (".ci/requirements.lock", ["dev", "services"], True),
        ("detector/training/requirements.lock", ["train"], True),
        ("image-build/packages/device.lock", [], False),
    ],
)
def test_a_lock_pins_all_that_its_environment_needs(lock: str, extras: list[str], built: bool) -> None:
    needs = list(PROJECT["project"]["dependencies"]) + (BUILD if built else [])
    for extra in extras:
        needs += of_extra(extra)
    assert unpinned(ROOT / lock, needs) == []


def test_a_need_that_no_pin_satisfies_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text('numpy==1.26 ; python_version < "3.12" \\\n    --hash=sha256:00\nclick==8.2 \\\n')
    assert unpinned(lock, ["numpy>=1.24", "click>=8.3", "hatchling"]) == ["click>=8.3", "hatchling"]
