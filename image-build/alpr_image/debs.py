"""The Debian packages of an image: fetched with the suite's own apt, and compared with a lock.

A board's lock (`packages/debs-BOARD.lock`) has a line per package: name, version, architecture, SHA-256. Any
difference fails the build and lists the changes; `make image-lock` rewrites the locks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from alpr_image.workshop import HERE, SUITE, BuildError, Workshop, run, source_lines


def lock_of(board: str) -> Path:
    """The lock of a board's images."""
    return HERE / "packages" / f"debs-{board}.lock"


def apt_folder(shop: Workshop, sources: Iterable[str]) -> Path:
    """Make a private apt for arm64, with its lists; no package counts as installed."""
    root = shop.folder("apt")
    for folder in ("etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg", "debs/partial"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").write_text("")
    wanted, held = "\n".join([*sources, ""]), root / "etc/apt/sources.list"
    if not held.exists() or held.read_text() != wanted:
        held.write_text(wanted)
        _apt(shop, root, "update")
    return root


def fetch(shop: Workshop, names: list[str]) -> list[Path]:
    """Fetch the .deb files of exactly these packages, for arm64; existing files are used."""
    root = apt_folder(shop, source_lines("arm64"))
    lines = _apt(shop, root, "download", "--print-uris", *names).splitlines()
    wanted = [line.split()[1] for line in lines if line.startswith("'")]
    if len(wanted) != len(names):
        raise BuildError(f"{SUITE} has not all of: {', '.join(names)}")
    missing = [name for name in wanted if not (root / "debs" / name).exists()]
    if missing:
        shop.tool(
            "sh",
            "-c",
            f"cd {root}/debs && exec apt-get {_options(root)} --quiet=2 download {' '.join(names)}",
        )
    return [root / "debs" / name for name in wanted]


def available(shop: Workshop, names: Sequence[str]) -> set[str]:
    """Which of these packages the mirror has."""
    root = apt_folder(shop, source_lines("arm64"))
    text = shop.tool("apt-cache", *_options(root).split(), "policy", *names)
    return set(re.findall(r"^(\S+):\n(?:.*\n)??  Candidate: (?!\(none\))", text, re.MULTILINE))


def _options(root: Path) -> str:
    settings = (
        f"Dir={root}",
        f"Dir::State::status={root}/var/lib/dpkg/status",
        "APT::Architecture=arm64",
        "APT::Architectures=arm64",
        "Dir::Etc::trustedparts=/usr/share/keyrings",
        "APT::Sandbox::User=root",
        "Acquire::Check-Valid-Until=false",
        "Acquire::Languages=none",
        f"Dir::Cache::archives={root}/debs",
    )
    return " ".join(f"-o {setting}" for setting in settings)


def _apt(shop: Workshop, root: Path, *words: str) -> str:
    return shop.tool("apt-get", *_options(root).split(), "--quiet=2", *words)


def lock_line(deb: Path) -> str:
    """A package's line in a lock; its file name has name, version and architecture."""
    name, version, arch = deb.stem.split("_")
    return f"{name} {version.replace('%3a', ':')} {arch} {hashlib.sha256(deb.read_bytes()).hexdigest()}"


def write_lock(debs: Iterable[Path], lock: Path) -> None:
    """Rewrite the lock."""
    lock.write_text(
        "".join(f"{line}\n" for line in sorted({lock_line(deb) for deb in debs})), encoding="utf-8"
    )


def check_lock(debs: Iterable[Path], lock: Path) -> None:
    """Compare packages with a lock. Raises BuildError, which lists the changes."""
    held = set(lock.read_text(encoding="utf-8").splitlines())
    found = {lock_line(deb) for deb in debs}
    if held == found:
        return
    moved = [f"- {line}" for line in held - found] + [f"+ {line}" for line in found - held]
    changes = "\n".join(line[:100] for line in sorted(moved, key=lambda line: line[2:])[:40])
    raise BuildError(
        f"{lock.name}: the suite has changed; read the list, then run: make image-lock\n{changes}"
    )


def unpack(shop: Workshop, debs: Iterable[Path], root: Path) -> None:
    """Unpack packages into a tree without their scripts, and list them in dpkg's database (inventory)."""
    status, info = root / "var/lib/dpkg/status", root / "var/lib/dpkg/info"
    for deb in debs:
        control = shop.tool("dpkg-deb", "--field", deb)
        shop.tool("dpkg-deb", "--extract", deb, root)
        name = next(line.split()[1] for line in control.splitlines() if line.startswith("Package:"))
        body = control.rstrip("\n").replace(
            f"Package: {name}", f"Package: {name}\nStatus: install ok installed", 1
        )
        with status.open("a", encoding="utf-8") as file:
            file.write(f"{body}\n\n")
        (info / f"{name}.list").write_text("/.\n")


def compiled(root: Path, python: str, folders: Iterable[str]) -> None:
    """Compile bytecode without times, for a read-only root. python: the host's, of the same minor version."""
    for folder in folders:
        run(
            [
                python,
                "-m",
                "compileall",
                "-q",
                "-j",
                "2",
                "--invalidation-mode",
                "unchecked-hash",
                "-s",
                root,
                "-p",
                "/",
                root / folder,
            ]
        )
