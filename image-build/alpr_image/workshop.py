"""The folders of an image build, and how to run tools of the target's suite.

The tools are in their own Debian tree (`tools/`), because the host may have another suite: mmdebstrap without
emulation, RAUC, ukify and QEMU must be those of the target's suite.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PROJECT = HERE.parent
SUITE = "trixie"
# The time of everything that has one: 2026-01-01T00:00:00Z.
EPOCH = 1767225600
HOST_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")

_ENTER = r"""
set -e
tree=$1; work=$2; home=$3; shift 3
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /sys "$tree/sys"
mount --rbind /dev "$tree/dev"
mount -t tmpfs tmpfs "$tree/run"
mount -t tmpfs tmpfs "$tree/tmp"
mkdir -p "$tree$work" "$tree$home" "$tree/old"
mount --rbind "$work" "$tree$work"
mount --rbind "$home" "$tree$home"
for file in HOST_FILES; do
  [ -e "$file" ] || continue
  mkdir -p "$tree$(dirname "$file")"
  [ -e "$tree$file" ] || : > "$tree$file"
  mount --bind "$file" "$tree$file"
done
cd "$tree"
pivot_root . old
umount -l /old
cd "$work"
exec "$@"
""".replace("HOST_FILES", " ".join(HOST_FILES))


class BuildError(Exception):
    """A failed step: its name, and the end of its tool's output."""


def run(words: Sequence[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a tool of the host and return its standard output. Raises BuildError."""
    try:
        done = subprocess.run(  # noqa: S603 - words as they are, no shell
            [str(word) for word in words],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise BuildError(f"{words[0]}: {error.strerror}") from None
    if done.returncode:
        ending = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise BuildError(f"{words[0]}: exit status {done.returncode}\n{ending}")
    return done.stdout


def mirrors(sources: Path = Path("/etc/apt")) -> tuple[str, str]:
    """(archive, security archive): ALPR_MIRROR and ALPR_MIRROR_SECURITY, else what this machine's apt uses.

    Raises BuildError if neither names one.
    """
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in [sources / "sources.list", *sorted(sources.glob("sources.list.d/*"))]
        if path.is_file()
    ]
    found = re.findall(r"(?:^URIs:|^deb(?: \[[^]]*\])?)\s+(\S+)", "\n".join(texts), re.MULTILINE)
    debian = [url.rstrip("/") for url in found if re.search(r"/debian(-security)?/?$", url)]
    archive = os.environ.get("ALPR_MIRROR") or next((u for u in debian if u.endswith("/debian")), "")
    security = os.environ.get("ALPR_MIRROR_SECURITY") or next(
        (u for u in debian if u.endswith("/debian-security")), ""
    )
    if not archive or not security:
        raise BuildError(f"no Debian mirror in {sources}: set ALPR_MIRROR and ALPR_MIRROR_SECURITY")
    return archive, security


def version() -> str:
    """The project's version, from its pyproject.toml."""
    held = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(held["project"]["version"])


def python_of(minor: str) -> str:
    """A local Python of this minor version, for the target's bytecode and markers. Raises BuildError."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{minor}*/bin/python{minor}"))
    for name in (sys.executable, shutil.which(f"python{minor}"), *pyenv):
        if name and _minor_of(str(name)) == minor:
            return str(name)
    raise BuildError(f"no Python {minor} here: it compiles the modules of a tree with that version")


def _minor_of(python: str) -> str:
    """The minor version of this Python; empty for a shim that starts none."""
    try:
        return run([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
    except BuildError:
        return ""


def source_lines(arch: str) -> list[str]:
    """Lines of a sources.list for the suite; ALPR_RPI_MIRROR adds Raspberry Pi's own archive."""
    archive, security = mirrors()
    lines = [
        f"deb [arch={arch}] {archive} {SUITE} main non-free-firmware",
        f"deb [arch={arch}] {security} {SUITE}-security main non-free-firmware",
    ]
    board = os.environ.get("ALPR_RPI_MIRROR", "").rstrip("/")
    return [*lines, f"deb [arch={arch}] {board} {SUITE} main"] if board and arch == "arm64" else lines


def listed(name: str) -> list[str]:
    """The words of a list in `packages/`, without comments."""
    text = (HERE / "packages" / name).read_text(encoding="utf-8")
    return [line.split("#")[0].strip() for line in text.splitlines() if line.split("#")[0].strip()]


@dataclass(frozen=True, slots=True)
class Workshop:
    """The folder of a build. Everything in it can be deleted."""

    path: Path

    @classmethod
    def of_environment(cls) -> Workshop:
        """The workshop in ALPR_IMAGE_WORK, or in the project's run/image."""
        shop = cls(Path(os.environ.get("ALPR_IMAGE_WORK") or PROJECT / "run/image").resolve())
        shop.path.mkdir(parents=True, exist_ok=True)
        return shop

    @property
    def tools(self) -> Path:
        """The tree with the target suite's tools."""
        return self.path / "tools"

    def folder(self, name: str) -> Path:
        """A folder of the workshop, created if necessary."""
        made = self.path / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def entered(self, words: Sequence[str | Path]) -> list[str]:
        """The command line that runs `words` inside the tools tree."""
        return [
            "unshare",
            "--mount",
            "bash",
            "-c",
            _ENTER,
            "enter",
            str(self.tools),
            str(self.path),
            str(PROJECT),
            *(str(word) for word in words),
        ]

    def tool(self, *words: str | Path) -> str:
        """Run a tool of the target's suite. Raises BuildError."""
        clean = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "SOURCE_DATE_EPOCH": str(EPOCH),
        }
        kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        return run(self.entered(words), env=clean | kept)

    def make_tools(self) -> None:
        """Make the tools tree if it does not exist. Needs root and mmdebstrap on this machine."""
        wanted = ",".join(listed("tools.list"))
        stamp = self.tools / ".wanted"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        run(["rm", "-rf", self.tools])
        run(
            [
                "mmdebstrap",
                "--mode=root",
                "--variant=minbase",
                f"--include={wanted}",
                SUITE,
                self.tools,
                *source_lines("amd64"),
            ]
        )
        stamp.write_text(wanted)
