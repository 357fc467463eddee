"""Makes the root file system as a tree: Debian's packages, the project's wheel, the image's own files."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alpr_image import debs, wheels
from alpr_image.workshop import EPOCH, HERE, PROJECT, SUITE, BuildError, Workshop, listed, run, source_lines

# The self-check's picture: a frame of the drive-by clip, which the project rendered, and the text in it.
KNOWN_PICTURE, KNOWN_TEXT = PROJECT / "tests/replay/drive_by/frame_0036.jpg", "9VRM202"
# Never in an image: a compiler, a way to fetch packages, a shell on a port, files that differ in each build.
DROPPED = (
    "var/cache/*",
    "var/log/*",
    "var/lib/apt",
    "usr/share/doc/*/changelog*",
    "usr/share/doc/*/NEWS*",
    "usr/share/man/*",
    "usr/share/info",
    "usr/share/locale/*",
    "usr/share/lintian",
    "usr/share/bug",
    "boot/*",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/*-old",
    "etc/ssh/ssh_host_*",
    "etc/*-",
    "usr/lib/systemd/system-generators/systemd-debug-generator",
    "usr/lib/systemd/system-generators/systemd-gpt-auto-generator",  # mounts by a partition's type
    "usr/lib/systemd/system-generators/systemd-run-generator",
    "usr/share/python-wheels",
    "usr/lib/*/NetworkManager/*/libnm-device-plugin-bluetooth.so",
    "usr/lib/python3/dist-packages/pip*",
)
MASKED = (
    "getty@.service",
    "serial-getty@.service",
    "console-getty.service",
    "debug-shell.service",
    "systemd-networkd.service",
    "systemd-coredump.socket",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "swap.target",
    "systemd-zram-setup@.service",
    "systemd-firstboot.service",
    "systemd-sysusers.service",
    "systemd-hwdb-update.service",
    "ldconfig.service",
    "systemd-homed.service",
    "systemd-machine-id-commit.service",
    "NetworkManager-wait-online.service",
    "systemd-binfmt.service",
    "rescue.service",
    "systemd-pcrlock.socket",
)
# The kernel's modules that boards may need; the rest of 100 MB is for other machines.
MODULES = re.compile(
    r"kernel/(arch/arm64|crypto|lib|fs/(autofs|erofs|ext4|jbd2|fat|nls|squashfs|overlayfs|efivarfs|netfs|fuse)"
    r"|fs/mbcache|net/(core|ipv4|ipv6|netfilter|packet|wireless|mac80211|rfkill|unix|sched)"
    r"|drivers/(block|virtio|md|char|watchdog|rtc|pps|i2c|spi|gpio|hwmon|thermal|mmc|scsi|ata|nvme|usb"
    r"|hid|input|firmware|net/(virtio_net|usb|phy|mdio|wwan|net_failover|bonding)|tty|clk|dma|nvmem|regulator"
    r"|platform|leds|virt|media/(v4l2-core|mc|common|usb|i2c|platform)|char/tpm|net/wireless/(broadcom|realtek)))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLabel:
    """The board, version and name of an image."""

    board: str
    version: int
    name: str

    def toml(self) -> str:
        """The content of image.toml."""
        return f'board = "{self.board}"\nversion = {self.version}\nname = "{self.name}"\n'


def build_base(shop: Workshop) -> Path:
    """Make a tree with only Debian, without emulation; the tree is always new, the packages are kept."""
    tree, cache = shop.path / "base", shop.folder("debs")
    run(["rm", "-rf", tree])
    keep = f'cp -n {cache}/*.deb "$1/var/cache/apt/archives/" 2>/dev/null || true'
    shop.tool(
        "mmdebstrap",
        "--mode=chrootless",
        "--architectures=arm64",
        "--variant=essential",
        f"--include={','.join(listed('root.list'))}",
        f'--setup-hook=mkdir -p "$1/var/cache/apt/archives"; {keep}',
        f'--customize-hook=cp -n "$1"/var/cache/apt/archives/*.deb {cache}/ 2>/dev/null || true',
        "--skip=download/empty",
        "--skip=essential/unlink",
        "--skip=cleanup/apt/cache",
        SUITE,
        tree,
        *source_lines("arm64"),
    )
    return tree


def used_debs(shop: Workshop, tree: Path) -> list[Path]:
    """The cached packages from which this tree is made."""
    text = (tree / "var/lib/dpkg/status").read_text(encoding="utf-8")
    found = []
    for stanza in text.strip().split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in stanza.splitlines() if re.match(r"[A-Z][A-Za-z-]*: ", line)
        )
        version = fields["Version"].replace(":", "%3a")
        found.append(shop.path / "debs" / f"{fields['Package']}_{version}_{fields['Architecture']}.deb")
    missing = [path.name for path in found if not path.exists()]
    if missing:
        raise BuildError(f"packages of the tree that are not in the cache: {', '.join(missing[:5])}")
    return found


def build_root(
    shop: Workshop,
    facts: ImageLabel,
    *,
    trust: Path,
    keyring: Path,
    kernel: Path,
    python: str,
    packages: Sequence[str] = (),
) -> Path:
    """Make the whole tree of one board's image. trust: the release keys. keyring: the bundles' signers (PEM).

    kernel: the board's unpacked kernel package. python: this machine's, of the suite's minor version.
    packages: additional ones from the board's own archive.
    """
    base, tree = shop.path / "base", shop.path / f"root-{facts.board}"
    plain = debs.fetch(shop, [*listed("plain.list"), *packages])
    run(["rm", "-rf", tree])
    run(["cp", "-a", base, tree])
    debs.unpack(shop, plain, tree)
    _lay_in(HERE / "unit", tree)
    _lay_in(HERE / "image", tree)
    _lay_in(HERE / "boards" / facts.board / "root", tree)
    _settle(shop, tree, facts, trust=trust, keyring=keyring)
    modules = _modules(kernel, tree)
    python_tree = tree / wheels.FOLDER
    wheels.lay_in(shop, python_tree)
    shutil.copytree(
        HERE / "device" / "alpr_device",
        python_tree / "alpr_device",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    wheels.entries(tree)
    for pattern in DROPPED:
        for path in sorted(tree.glob(pattern)):
            run(["rm", "-rf", path])
    for cache in [*tree.rglob("__pycache__")]:
        shutil.rmtree(cache)
    debs.compiled(tree, python, ["usr/lib/python3.13", wheels.FOLDER])
    (tree / "etc/machine-id").write_text("")
    for name in ("etc/.updated", "var/.updated"):  # a start regenerates nothing (ConditionNeedsUpdate=)
        (tree / name).write_text(f"TIMESTAMP_NSEC={EPOCH}000000000\n")
    for name in (
        "data",
        "bootconfig",
        "media/alpr-stick",
        "media/source",
        "var/cache",
        "var/log",
        "var/lib/alpr-reader",
        "var/lib/alpr-update",
        "var/lib/alpr-ssh",
        "var/lib/chrony",
    ):
        (tree / name).mkdir(parents=True, exist_ok=True)
    shop.tool("depmod", "--basedir", tree, modules)
    set_times(tree)
    return tree


def set_times(tree: Path) -> None:
    """Set all times in the tree to at most the build's fixed time."""
    words: list[str | Path] = [
        "find",
        tree,
        "-newermt",
        f"@{EPOCH}",
        "-exec",
        "touch",
        "--no-dereference",
        f"--date=@{EPOCH}",
    ]
    run([*words, "{}", "+"])


def _lay_in(source: Path, tree: Path) -> None:
    if source.is_dir():
        run(["cp", "-a", "--no-preserve=ownership", f"{source}/.", tree])


def _settle(shop: Workshop, tree: Path, facts: ImageLabel, *, trust: Path, keyring: Path) -> None:
    """Do what the packages' scripts would have done, and add the image's own settings."""
    share = tree / "usr/share/alpr"
    share.mkdir(parents=True, exist_ok=True)
    (share / "image.toml").write_text(facts.toml(), encoding="utf-8")
    shutil.copyfile(trust, share / "release-keys.txt")
    shutil.copyfile(keyring, tree / "etc/rauc/keyring.pem")
    shutil.copyfile(KNOWN_PICTURE, share / "known-plate.jpg")
    (share / "known-plate.txt").write_text(KNOWN_TEXT + "\n", encoding="ascii")
    template = (tree / "etc/rauc/system.conf.in").read_text(encoding="utf-8")
    (tree / "etc/rauc/system.conf").write_text(template.replace("@BOARD@", facts.board), encoding="utf-8")
    (tree / "etc/rauc/system.conf.in").unlink()
    certificates = sorted((tree / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = tree / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(path.read_bytes() for path in certificates))
    (tree / "etc/hostname").write_text("alpr\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost alpr\n::1 localhost\n")
    (tree / "etc/localtime").unlink(missing_ok=True)
    (tree / "etc/localtime").symlink_to("/usr/share/zoneinfo/UTC")
    resolv = tree / "etc/resolv.conf"
    resolv.unlink(missing_ok=True)
    resolv.symlink_to("/run/NetworkManager/resolv.conf")
    link = tree / "usr/bin/python3"
    if not link.exists() and not link.is_symlink():
        link.symlink_to("python3.13")
    shop.tool("systemd-sysusers", f"--root={tree}")
    shop.tool("systemctl", f"--root={tree}", "preset-all", "--preset-mode=full")
    for unit in MASKED:
        target = tree / "etc/systemd/system" / unit
        target.unlink(missing_ok=True)
        target.symlink_to("/dev/null")
    for name in ("systemd-repart.service",):
        wants = tree / "etc/systemd/system/sysinit.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / name).unlink(missing_ok=True)
        (wants / name).symlink_to(f"/usr/lib/systemd/system/{name}")
    # every account is locked: this image has no password at all
    shadow = tree / "etc/shadow"
    lines = [line.split(":") for line in shadow.read_text(encoding="utf-8").splitlines()]
    shadow.write_text(
        "".join(":".join([line[0], "!*", str(EPOCH // 86400), *line[3:]]) + "\n" for line in lines),
        encoding="utf-8",
    )
    os.chmod(shadow, 0o640)  # noqa: PTH101
    _without_shells(tree)


def _without_shells(tree: Path) -> None:
    passwd = tree / "etc/passwd"
    lines = [line.split(":") for line in passwd.read_text(encoding="utf-8").splitlines()]
    passwd.write_text(
        "".join(":".join([*line[:6], "/usr/sbin/nologin"]) + "\n" for line in lines), encoding="utf-8"
    )


def _modules(kernel: Path, tree: Path) -> str:
    """Copy the modules that boards use; returns the kernel's release."""
    source = next((kernel / "usr/lib/modules").iterdir())
    target = tree / "usr/lib/modules" / source.name
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*.ko*")):
        place = path.relative_to(source)
        if MODULES.match(str(place)):
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / place)
    for name in ("modules.builtin", "modules.order", "modules.builtin.modinfo"):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    return source.name
