"""Makes the content of a card from a tree: verified root, boot partition, disk. Fixed inputs give fixed
output.

The partitions are named as in rpi-image-gen's `image-rota`: bootconfig, boot_a, boot_b, system_a, system_b;
the unit adds `persistent` at its first start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from alpr_image.workshop import EPOCH, BuildError, Workshop, run

MIB = 1 << 20
SALT = "a1" * 32
UUID = "a0000000-0000-4000-8000-0000000000{:02x}"
BOOT_MIB, SYSTEM_MIB, CONFIG_MIB = 96, 384, 16
FIRST_MIB = 1
TYPES = {
    "bootconfig": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
    "boot": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",  # EFI system, so that UEFI can start either slot
    "system": "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",  # root-arm64, so that repart does not use either
}
PARTITIONS = (
    ("bootconfig", "bootconfig", CONFIG_MIB),
    ("boot_a", "boot", BOOT_MIB),
    ("boot_b", "boot", BOOT_MIB),
    ("system_a", "system", SYSTEM_MIB),
    ("system_b", "system", SYSTEM_MIB),
)


def partition_start_mib(name: str) -> int:
    """The first MiB of a partition. Raises BuildError."""
    at = FIRST_MIB
    for found, _, size in PARTITIONS:
        if found == name:
            return at
        at += size
    raise BuildError(f"no partition {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRoot:
    """image: erofs followed by its hash tree. root_hash: hex. hash_offset: bytes."""

    image: Path
    root_hash: str
    hash_offset: int


def verified_root(shop: Workshop, tree: Path, out: Path) -> VerifiedRoot:
    """Pack the tree and append its hash tree. Raises BuildError if it does not fit a slot."""
    out.unlink(missing_ok=True)
    shop.tool(
        "mkfs.erofs", "--quiet", "-zlz4hc,9", "-C65536", f"-T{EPOCH}", "-U", UUID.format(0x10), out, tree
    )
    size = out.stat().st_size
    padded = (size + 4095) // 4096 * 4096
    with out.open("ab") as file:
        file.truncate(padded)
    text = shop.tool(
        "veritysetup",
        "format",
        f"--salt={SALT}",
        f"--uuid={UUID.format(0x11)}",
        f"--hash-offset={padded}",
        f"--data-blocks={padded // 4096}",
        out,
        out,
    )
    match = re.search(r"Root hash:\s+([0-9a-f]{64})", text)
    if match is None:
        raise BuildError("veritysetup gave no root hash")
    if out.stat().st_size > SYSTEM_MIB * MIB:
        raise BuildError(f"the root is {out.stat().st_size / MIB:.0f} MiB, a slot holds {SYSTEM_MIB}")
    return VerifiedRoot(image=out, root_hash=match[1], hash_offset=padded)


def boot_partition(shop: Workshop, files: dict[str, Path], out: Path) -> Path:
    """A FAT16 image with these files (path in it: file here)."""
    out.unlink(missing_ok=True)
    with out.open("wb") as file:
        file.truncate(BOOT_MIB * MIB)
    shop.tool("mkfs.vfat", "--invariant", "-F", "16", "-S", "512", "-n", "ALPR-BOOT", "-i", "a1b2c3d4", out)
    made: set[str] = set()
    for name, source in sorted(files.items()):
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in made:
                shop.tool("mmd", "-i", out, f"::{folder}")
                made.add(folder)
        run(["touch", f"--date=@{EPOCH}", source])
        shop.tool("mcopy", "-m", "-i", out, source, f"::{name}")
    return out


def config_partition(shop: Workshop, autoboot: str, out: Path) -> Path:
    """The small FAT that names the slot for a Raspberry Pi's firmware; unused on UEFI."""
    out.unlink(missing_ok=True)
    with out.open("wb") as file:
        file.truncate(CONFIG_MIB * MIB)
    text = out.with_suffix(".txt")
    text.write_text(autoboot, encoding="ascii")
    run(["touch", f"--date=@{EPOCH}", text])
    shop.tool("mkfs.vfat", "--invariant", "-F", "16", "-S", "512", "-n", "BOOTCONFIG", "-i", "a1b2c3d5", out)
    shop.tool("mcopy", "-m", "-i", out, text, "::autoboot.txt")
    return out


def table() -> str:
    """sfdisk's description of the card."""
    lines = ["label: gpt", f"label-id: {UUID.format(0)}", f"first-lba: {FIRST_MIB * 2048}"]
    for number, (name, kind, size) in enumerate(PARTITIONS, start=1):
        lines.append(
            f"start={partition_start_mib(name) * 2048}, size={size * 2048}, type={TYPES[kind]}, "
            f"uuid={UUID.format(number)}, name={name}"
        )
    return "\n".join([*lines, ""])


def disk(shop: Workshop, *, config: Path, boot: Path, root: Path, out: Path) -> Path:
    """Make the card; both slots have the same content."""
    end = sum(size for _, _, size in PARTITIONS) + 2 * FIRST_MIB
    out.unlink(missing_ok=True)
    with out.open("wb") as file:
        file.truncate(end * MIB)
    script = out.with_suffix(".sfdisk")
    script.write_text(table(), encoding="ascii")
    shop.tool("sh", "-c", f"sfdisk --quiet --no-reread --no-tell-kernel {out} < {script}")
    script.unlink()
    for name, source in (
        ("bootconfig", config),
        ("boot_a", boot),
        ("boot_b", boot),
        ("system_a", root),
        ("system_b", root),
    ):
        write_partition(out, name, source)
    return out


def write_partition(card: Path, name: str, source: Path) -> None:
    """Copy a partition's image into the card's file, with holes in place of zeros."""
    run(
        [
            "dd",
            f"if={source}",
            f"of={card}",
            "bs=1M",
            f"seek={partition_start_mib(name)}",
            "conv=notrunc,sparse",
            "status=none",
        ]
    )
