"""What the firmware starts: a signed UKI on UEFI; kernel, device trees and config.txt on a Raspberry Pi."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpr_image.keys import KeyFolder
from alpr_image.pack import boot_partition
from alpr_image.workshop import EPOCH, HERE, BuildError, Workshop, run

RPI_NEEDED = ("start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb", "bcm2712-rpi-5-b.dtb")
OS_RELEASE = 'NAME="ALPR reader"\nID=alpr\nVERSION_ID={version}\nPRETTY_NAME="ALPR reader {name}"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardProfile:
    """A board, as described in its board.toml.

    stand_in: the Debian kernel that replaces one that the mirror does not have, with the extra modules that
    it needs. firmware: the package with the files for the board's own loader. packages: from the board's own
    archive; those that the mirror lacks are left out and reported.
    """

    name: str
    kernel: str
    boot: str
    cmdline: str
    modules: tuple[str, ...]
    packages: tuple[str, ...] = ()
    firmware: str = ""
    stand_in: str = ""
    stand_in_modules: tuple[str, ...] = ()

    @classmethod
    def load(cls, name: str) -> BoardProfile:
        """Read boards/NAME/board.toml."""
        held = tomllib.loads((HERE / "boards" / name / "board.toml").read_text(encoding="utf-8"))
        facts: dict[str, Any] = {
            key: tuple(one) if isinstance(one, list) else one for key, one in held.items()
        }
        return cls(**facts)


def uki(
    shop: Workshop,
    board: BoardProfile,
    *,
    kernel: Path,
    initramfs: Path,
    stub: Path,
    keys: KeyFolder,
    out: Path,
    version: int,
    name: str,
) -> Path:
    """Make one signed file of kernel, initramfs and command line, so that Secure Boot protects them all."""
    release = out.with_suffix(".os-release")
    release.write_text(OS_RELEASE.format(version=version, name=name), encoding="utf-8")
    image = next((kernel / "boot").glob("vmlinuz-*"))
    out.unlink(missing_ok=True)
    plain = out.with_suffix(".unsigned")
    shop.tool(
        "ukify",
        "build",
        f"--linux={image}",
        f"--initrd={initramfs}",
        f"--cmdline={board.cmdline}",
        f"--os-release=@{release}",
        f"--stub={stub}",
        "--efi-arch=aa64",
        f"--output={plain}",
    )
    shop.tool("sbsign", "--key", keys.pem("boot.key"), "--cert", keys.pem("boot.pem"), "--output", out, plain)
    plain.unlink()
    run(["touch", f"--date=@{EPOCH}", out])
    return out


def virt_boot(shop: Workshop, signed: Path, out: Path) -> Path:
    """The boot partition of a UEFI slot."""
    return boot_partition(shop, {"EFI/BOOT/BOOTAA64.EFI": signed}, out)


def rpi_boot(
    shop: Workshop, board: BoardProfile, *, firmware: Path, kernel: Path, initramfs: Path, out: Path
) -> Path:
    """The boot partition of a Raspberry Pi's slot.

    firmware: the unpacked package with the loader's files. kernel: the unpacked kernel with its device trees.
    """
    files = rpi_boot_files(shop, board, firmware=firmware, kernel=kernel, initramfs=initramfs)
    return boot_partition(shop, files, out)


def rpi_boot_files(
    shop: Workshop, board: BoardProfile, *, firmware: Path, kernel: Path, initramfs: Path
) -> dict[str, Path]:
    """The files of a Raspberry Pi's boot slot: path on the partition to file here. Raises BuildError."""
    stage = shop.folder("rpi-boot")
    cmdline = stage / "cmdline.txt"
    cmdline.write_text(board.cmdline + "\n", encoding="ascii")
    found = {
        "config.txt": _copied(HERE / "boards" / board.name / "config.txt", stage),
        "cmdline.txt": cmdline,
        "kernel8.img": next((kernel / "boot").glob("vmlinuz-*")),
        "initramfs8": initramfs,
    }
    for pattern in ("start4.elf", "fixup4.dat"):
        found |= {path.name: path for path in firmware.rglob(pattern)}
    for tree in (firmware, kernel):  # Raspberry Pi's packages have them in the one, Debian's in the other
        found |= {path.name: path for path in sorted(tree.rglob("bcm271[12]*.dtb"))}
        found |= {f"overlays/{path.name}": path for path in sorted(tree.rglob("overlays/*.dtbo"))}
    missing = [name for name in RPI_NEEDED if name not in found]
    if missing:
        raise BuildError(f"a Raspberry Pi does not start without {', '.join(missing)}")
    return found


def _copied(source: Path, stage: Path) -> Path:
    """A copy whose time may be set."""
    return Path(shutil.copyfile(source, stage / source.name))


def unsigned(data: bytes) -> bytes:
    """A signed PE32+ file without its signature, which is equal in two builds of one commit.

    The checksum and the entry of the certificate table are set to zero, and the table is removed (Microsoft,
    PE Format: optional header, 96 + 16; attribute certificate table).
    """
    header = int.from_bytes(data[0x3C:0x40], "little") + 24
    if data[header : header + 2] != b"\x0b\x02":
        raise BuildError("the boot file is not a PE32+ file")
    checksum, entry = header + 64, header + 112 + 4 * 8
    table = int.from_bytes(data[entry : entry + 4], "little") or len(data)
    held = bytearray(data[:table])
    held[checksum : checksum + 4] = bytes(4)
    held[entry : entry + 8] = bytes(8)
    return bytes(held)


def unsigned_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of a build's boot files without their signatures, which contain a time."""
    signed = folder / "unit.efi"
    whole = unsigned(signed.read_bytes()) if signed.exists() else (folder / "boot.img").read_bytes()
    found = {"initramfs": (folder / "initramfs").read_bytes(), "boot file": whole}
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
