"""Installs a package for your own system in an arm64 tree of that system, and runs it there with qemu-user.

Raspberry Pi's own packages are not in Debian: empty packages replace them, so the camera is not tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alpr_image.deb import System
from alpr_image.workshop import BuildError, Workshop, mirrors, run

STAND_INS = ("python3-picamera2", "python3-gpiozero", "python3-lgpio")
INCLUDED = ("python3", "python3-numpy", "systemd", "polkitd", "udev", "libstdc++6")
BINFMT = Path("/proc/sys/fs/binfmt_misc")
HOME = "/var/lib/alpr-reader"


def try_deb(shop: Workshop, system: System, deb: Path, picture: Path, text: str) -> list[str]:
    """Try a package; returns a line for each result. picture, text: a plate that must be read.

    Raises BuildError if the package cannot be installed, or a command gives a wrong result.
    """
    tree = _fresh_root(shop, system)
    stage = tree / "opt"
    for name, source in (("one.deb", deb), ("one.jpg", picture)):
        run(["cp", source, stage / name])
    _stand_in(stage)
    _inside(tree, ["dpkg", "--install", "/opt/stand-ins.deb", "/opt/one.deb"])
    done = [f"installed {deb.name} under Python {_inside(tree, ['python3', '--version']).split()[-1]}"]
    _expected(_inside(tree, ["reader", "--help"]), "Usage: reader", done, "reader --help")
    # as the units' StateDirectory= does
    _inside(tree, ["install", "-d", "-o", "alpr-reader", "-g", "alpr-reader", "-m", "700", HOME])
    as_reader = ["runuser", "-u", "alpr-reader", "--", "reader", "--home", HOME]
    _expected(_inside(tree, [*as_reader, "init"]), "key slot", done, "reader init, as its own account")
    checked = _inside(tree, [*as_reader, "selftest"], allowed=(0, 3))  # 3: the camera is missing
    _expected(checked, "ok       log", done, "reader selftest")
    if "WRONG" in checked:
        raise BuildError(f"reader selftest:\n{checked}")
    _expected(_inside(tree, ["reader", "--json", "read", "/opt/one.jpg"]), text, done, "reader read")
    numpy = _inside(tree, ["python3", "-c", "import numpy; print(numpy.__version__, numpy.__file__)"])
    done.append(f"numpy of the system: {numpy.strip()}")
    run(["rm", "-rf", tree])
    return done


def _expected(said: str, words: str, done: list[str], what: str) -> None:
    if words not in said:
        raise BuildError(f"{what}: no {words!r} in\n{said[-1000:]}")
    line = next(line.strip() for line in said.splitlines() if words in line)
    done.append(f"{what}: {line[:80]}")


def _fresh_root(shop: Workshop, system: System) -> Path:
    """A copy of the release's arm64 root, which is made only once, since its scripts run under emulation."""
    _emulated()
    kept, tree = shop.path / f"try-{system.name}", shop.path / f"try-{system.name}-now"
    if not (kept / "etc/debian_version").exists():
        run(["rm", "-rf", kept])
        archive, security = mirrors()
        run(
            [
                "mmdebstrap",
                "--mode=root",
                "--variant=minbase",
                "--architectures=arm64",
                f"--include={','.join(INCLUDED)}",
                system.name,
                kept,
                f"deb {archive} {system.name} main",
                f"deb {security} {system.name}-security main",
            ]
        )
    run(["rm", "-rf", tree])
    run(["cp", "-a", kept, tree])
    return tree


def _emulated() -> None:
    """Check that qemu-user runs arm64 programs here. Raises BuildError."""
    if not (BINFMT / "register").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT])
    if not (BINFMT / "qemu-aarch64").exists():
        run(["/usr/lib/systemd/systemd-binfmt"])
    if not (BINFMT / "qemu-aarch64").exists():
        raise BuildError("no qemu-aarch64 in binfmt_misc: install qemu-user-static")


def _stand_in(folder: Path) -> None:
    """Make an empty package that provides those of Raspberry Pi's archive."""
    stage = folder / "stand-ins"
    (stage / "DEBIAN").mkdir(parents=True)
    (stage / "DEBIAN/control").write_text(
        "Package: stand-ins\nVersion: 1\nArchitecture: all\nMaintainer: bench <bench@alpr-reader.example>\n"
        f"Provides: {', '.join(STAND_INS)}\nDescription: of packages that are not in Debian\n",
        encoding="utf-8",
    )
    run(["dpkg-deb", "--root-owner-group", "--build", stage, folder / "stand-ins.deb"])


def _inside(tree: Path, words: Sequence[str], *, allowed: Sequence[int] = (0,)) -> str:
    """Run a program inside the tree, in its own namespaces; returns its output. Raises BuildError."""
    good = " ".join(map(str, allowed))
    script = f'exec 2>&1; "$@"; status=$?; case " {good} " in *" $status "*) exit 0;; esac; exit 1'
    mounts = f"mount -t proc proc {tree}/proc && mount --rbind /dev {tree}/dev"
    enter = (
        f"{mounts} && mount -t tmpfs tmpfs {tree}/run && exec chroot {tree} /bin/sh -c '{script}' run \"$@\""
    )
    clean = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "QEMU_CPU": "cortex-a72",  # that of a Pi 4; with `max`, numpy's vector code gives NaN under emulation
    }
    return run(["unshare", "--mount", "--pid", "--fork", "sh", "-c", enter, "enter", *words], env=clean)
