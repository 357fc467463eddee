"""Builds packages for your own system: `alpr-reader` (arm64), `alpr-department` (any machine).

They are built reproducibly with dpkg-deb. The unit's package has its libraries in its own folder, so that it
shadows nothing of the system; the camera's library is the system's (Raspberry Pi's python3-picamera2).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from alpr_image import sbom, wheels
from alpr_image.workshop import EPOCH, HERE, PROJECT, Workshop, run, version

READER_CONTROL = """\
Package: alpr-reader
Version: {version}
Architecture: arm64
Maintainer: ALPR reader maintainers <maintainers@alpr-reader.example>
Depends: python3 (>= {python}), python3 (<< {next_python}), python3-picamera2, python3-gpiozero,
 python3-lgpio, {more}systemd, polkitd, udev, libstdc++6
Recommends: chrony, network-manager, nftables
Suggests: gpsd, tpm2-tools
Section: science
Priority: optional
Homepage: https://alpr-reader.example
Description: license plate reader that enforces the department's ALPR policy
 Reads plates from the camera, stores one signed and sealed record a vehicle pass, delivers them to the
 department. This package is for a system of your own ({system}, 64-bit, Raspberry Pi 4 or 5): it has no
 verified root, no encrypted data partition and no A/B update; the flashable image has.
"""
OFFICE_CONTROL = """\
Package: alpr-department
Version: {version}
Architecture: all
Maintainer: ALPR reader maintainers <maintainers@alpr-reader.example>
Depends: systemd, python3 (>= 3.11)
Recommends: chrony, nftables
Section: science
Priority: optional
Homepage: https://alpr-reader.example
Description: services of an ALPR department: receiver and desk, key service, witness
 systemd units, accounts and folders. The program comes as a Python package (pip install alpr-department into
 /usr/lib/alpr-department); run the key service and the witness on machines of their own.
"""
_POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  systemd-sysusers {sysusers}
  {tmpfiles}
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    {udev}
  fi
  {next_step}
fi
"""
_PRERM = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl --no-block stop {units} || true
fi
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A release of Raspberry Pi OS. without: libraries that come with the system; more: its packages for
    them.

    bookworm's camera library is compiled for its own numpy 1.24, and its import fails with another major
    version of numpy; trixie's works with the lock's.
    """

    name: str
    title: str
    python: str
    mark: str = ""  # after the version, so that a system upgrade also upgrades the package
    without: tuple[str, ...] = ()
    more: str = ""

    @property
    def next_python(self) -> str:
        """The first Python version that its libraries do not support."""
        major, minor = self.python.split(".")
        return f"{major}.{int(minor) + 1}"


SYSTEMS = (
    System(name="trixie", title="Debian 13", python="3.13"),
    System(
        name="bookworm",
        title="Debian 12",
        python="3.11",
        mark="~deb12",
        without=("numpy", "numpy-*", "numpy.libs"),
        more="python3-numpy, ",
    ),
)


def build_debs(shop: Workshop) -> list[Path]:
    """Build the packages in the workshop's `debs-out`."""
    return [*(build_reader(shop, system) for system in SYSTEMS), build_office(shop)]


def build_reader(shop: Workshop, system: System) -> Path:
    """Build alpr-reader_VERSION_arm64.deb for one system."""
    tree = _fresh(shop, f"deb-reader-{system.name}")
    _lay_in(HERE / "unit", tree)
    folder = tree / wheels.FOLDER
    wheels.lay_in(shop, folder, python=system.python, without=system.without)
    run(["cp", "-a", "--no-preserve=ownership", HERE / "device" / "alpr_device", folder])
    wheels.entries(tree)
    for name in (
        "alpr-update@",
        "alpr-commit",
        "alpr-fall-back",
        "alpr-selfcheck",
        "alpr-trial",
    ):  # only for the image
        (tree / f"usr/lib/systemd/system/{name}.service").unlink()
    (tree / "usr/bin/alpr-install-update").unlink()
    (tree / "usr/share/man/man8/alpr-install-update.8").unlink()
    manuals(tree)
    share = tree / "usr/share/doc/alpr-reader"
    share.mkdir(parents=True)
    components = [*sbom.python(folder), *sbom.models(folder)]
    sbom.write(components, name="alpr-reader", version=version(), out=share)
    run(["cp", PROJECT / "LICENSE", share / "copyright"])
    script = _POSTINST.format(
        sysusers="alpr.conf",
        tmpfiles="systemd-tmpfiles --create alpr.conf",
        udev="udevadm control --reload || true; udevadm trigger --subsystem-match=tty || true",
        next_step='echo "next: systemctl enable --now alpr-reader.service alpr-console@ttyGS0.service"',
    )
    units = "alpr-reader.service 'alpr-console@*.service'"
    number = version() + system.mark
    control = READER_CONTROL.format(
        version=number,
        python=system.python,
        next_python=system.next_python,
        more=system.more,
        system=system.title,
    )
    return _package(
        tree,
        control,
        postinst=script,
        prerm=_PRERM.format(units=units),
        out=reader_path(shop, system),
    )


def reader_path(shop: Workshop, system: System) -> Path:
    """The path of the unit's package for this system."""
    return shop.folder("debs-out") / f"alpr-reader_{version()}{system.mark}_arm64.deb"


def build_office(shop: Workshop) -> Path:
    """Build alpr-department_VERSION_all.deb."""
    tree = _fresh(shop, "deb-department")
    _lay_in(HERE / "office", tree)
    share = tree / "usr/share/doc/alpr-department"
    share.mkdir(parents=True)
    run(["cp", PROJECT / "LICENSE", share / "copyright"])
    script = _POSTINST.format(
        sysusers="alpr-department.conf",
        tmpfiles=":",
        udev=":",
        next_step='echo "next: department --home /var/lib/alpr-department init, as the user alpr-department"',
    )
    units = "alpr-department.service alpr-keys.service alpr-witness.service"
    return _package(
        tree,
        OFFICE_CONTROL.format(version=version()),
        postinst=script,
        prerm=_PRERM.format(units=units),
        out=shop.folder("debs-out") / f"alpr-department_{version()}_all.deb",
    )


def manuals(tree: Path) -> None:
    """Make manual pages and shell completion of `reader` from its commands."""
    folder = tree / "usr/share/man/man1"
    folder.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    run([sys.executable, "-m", "sync.command_pages", "reader", folder], cwd=PROJECT, env=env)
    completion = tree / "usr/share/bash-completion/completions/reader"
    completion.parent.mkdir(parents=True, exist_ok=True)
    program = "from firmware.cli import main; main()"
    text = run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'reader'; {program}"],
        cwd=PROJECT,
        env={**env, "_READER_COMPLETE": "bash_source"},
    )
    completion.write_text(text, encoding="utf-8")


def _fresh(shop: Workshop, name: str) -> Path:
    tree = shop.path / name
    run(["rm", "-rf", tree])
    tree.mkdir()
    return tree


def _lay_in(source: Path, tree: Path) -> None:
    run(["cp", "-a", "--no-preserve=ownership", f"{source}/.", tree])


def _package(tree: Path, control: str, *, postinst: str, prerm: str, out: Path) -> Path:
    for cache in tree.rglob("__pycache__"):
        run(["rm", "-rf", cache])
    about = tree / "DEBIAN"
    about.mkdir()
    (about / "control").write_text(control, encoding="utf-8")
    for script, text in (("postinst", postinst), ("prerm", prerm)):
        (about / script).write_text(text, encoding="ascii")
        (about / script).chmod(0o755)
    run(["chmod", "-R", "u+rwX,go+rX,go-w", tree])
    run(
        ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z9", "--build", tree, out],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)},
    )
    return out
