"""The project's wheel and its libraries for aarch64, from `packages/device.lock` with its hashes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from alpr_image.workshop import EPOCH, HERE, PROJECT, Workshop, python_of, run

LOCK = HERE / "packages" / "device.lock"
PLATFORMS = (*(f"manylinux_2_{minor}_aarch64" for minor in range(17, 40)), "manylinux2014_aarch64")
# Not for a unit: the package installer, and code for training, tests and the department.
DROPPED = ("pip", "pip-*", "bin", "detector/training", "sync/department", "*/tests")

FOLDER = "usr/lib/alpr-reader/python"
_ENTRY = """\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/{folder}")
from firmware.cli import main  # noqa: E402

sys.exit(main())
"""


def project_wheel(shop: Workshop) -> Path:
    """Build the project's wheel, reproducibly."""
    folder = shop.path / "wheel"
    run(["rm", "-rf", folder, PROJECT / "build"])
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            folder,
            PROJECT,
        ],
        env=env,
    )
    run(["rm", "-rf", PROJECT / "build"])
    return next(folder.glob("*.whl"))


def libraries(shop: Workshop, python: str = "3.13") -> Path:
    """Install everything in the lock for aarch64; reused while the lock does not change."""
    folder, stamp = shop.path / f"libraries-{python}", shop.path / f"libraries-{python}.lock"
    if stamp.exists() and stamp.read_bytes() == LOCK.read_bytes():
        return folder
    run(["rm", "-rf", folder])
    abi = "cp" + python.replace(".", "")
    run(
        [
            python_of(python),  # pip evaluates markers for the Python that runs it
            "-m",
            "pip",
            "install",
            "--quiet",
            "--target",
            folder,
            "--only-binary=:all:",
            "--no-deps",
            "--no-compile",
            "--require-hashes",
            *(word for name in PLATFORMS for word in ("--platform", name)),
            "--python-version",
            python,
            "--implementation",
            "cp",
            "--abi",
            abi,
            "--abi",
            "abi3",
            "--abi",
            "none",
            "-r",
            LOCK,
        ]
    )
    shutil.copyfile(LOCK, stamp)
    return folder


def lay_in(shop: Workshop, target: Path, *, python: str = "3.13", without: Sequence[str] = ()) -> None:
    """Copy libraries and project into one folder. without: patterns of what the system already has."""
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "-a", "--no-preserve=ownership", libraries(shop, python), target])
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-compile",
            "--target",
            shop.path / "own",
            "--upgrade",
            project_wheel(shop),
        ]
    )
    run(["cp", "-a", "--no-preserve=ownership", f"{shop.path / 'own'}/.", target])
    for pattern in (*DROPPED, *without):
        for path in sorted(target.glob(pattern)):
            run(["rm", "-rf", path])
    for record in target.glob("*.dist-info"):  # it contains this machine's paths
        for name in ("direct_url.json", "RECORD", "REQUESTED", "INSTALLER"):
            (record / name).unlink(missing_ok=True)


def entries(tree: Path) -> None:
    """Put `reader` in the path. Its libraries stay in their own folder, invisible to other programs."""
    program = tree / "usr/bin/reader"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(_ENTRY.format(folder=FOLDER), encoding="ascii")
    program.chmod(0o755)
