"""What the firmware starts: a signed UKI on UEFI; kernel, device trees and config.txt on a Raspberry Pi."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from alpr_image.keys import KeyFolder
from alpr_image.pack import boot_partition
from alpr_image.workshop import EPOCH, HERE, Workshop, run

OS_RELEASE = 'NAME="ALPR reader"\nID=alpr\nVERSION_ID={version}\nPRETTY_NAME="ALPR reader {name}"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board as its board.toml describes it."""

    name: str
    kernel: str
    boot: str
    cmdline: str
    modules: tuple[str, ...]
    packages: tuple[str, ...] = ()

    @classmethod
    def load(cls, name: str) -> Board:
        """Read boards/NAME/board.toml."""
        held = tomllib.loads((HERE / "boards" / name / "board.toml").read_text(encoding="utf-8"))
        return cls(**{**held, "modules": tuple(held["modules"]), "packages": tuple(held.get("packages", ()))})


def uki(
    shop: Workshop,
    board: Board,
    *,
    kernel: Path,
    initramfs: Path,
    stub: Path,
    keys: KeyFolder,
    out: Path,
    version: int,
    name: str,
) -> Path:
    """Kernel, initramfs and command line as one file, signed: with Secure Boot no part of it can be
    changed.
    """
    told = out.with_suffix(".os-release")
    told.write_text(OS_RELEASE.format(version=version, name=name), encoding="utf-8")
    image = next((kernel / "boot").glob("vmlinuz-*"))
    out.unlink(missing_ok=True)
    plain = out.with_suffix(".unsigned")
    shop.tool(
        "ukify",
        "build",
        f"--linux={image}",
        f"--initrd={initramfs}",
        f"--cmdline={board.cmdline}",
        f"--os-release=@{told}",
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


def rpi_boot_files(
    shop: Workshop, board: Board, *, firmware: Path, kernel: Path, initramfs: Path
) -> dict[str, Path]:
    """The files of a Raspberry Pi's boot slot: path on the partition to file here.

    firmware: a folder with start4.elf, fixup4.dat, *.dtb and overlays/ (package raspi-firmware).
    """
    cmdline = shop.folder("rpi-boot") / "cmdline.txt"
    cmdline.write_text(board.cmdline + "\n", encoding="ascii")
    files = {
        "config.txt": HERE / "boards" / board.name / "config.txt",
        "cmdline.txt": cmdline,
        "kernel8.img": kernel,
        "initramfs8": initramfs,
    }
    for pattern in ("start4.elf", "fixup4.dat", "*.dtb", "overlays/*.dtbo"):
        files |= {str(path.relative_to(firmware)): path for path in sorted(firmware.glob(pattern))}
    return files
