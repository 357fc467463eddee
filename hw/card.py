"""What reaches the card under a folder: bytes and flushes since the machine started, and swap.

Sources: Documentation/block/stat.rst (fields 7 and 16), proc(5) (`/proc/swaps`). Bytes and flushes both wear
a card: each flush rewrites at least one of its large blocks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SECTOR_BYTES = 512  # in block/stat, whatever the device's sector size
_WRITTEN, _FLUSHES = 6, 15
_NO_CARD = ("zram", "ram")  # swap in memory
DEEPEST = 4  # of stacked devices: LUKS, LVM, a partition


@dataclass(frozen=True, slots=True, kw_only=True)
class CardWrites:
    """Writes since the machine started. flushes: None on a kernel before 5.5."""

    written_bytes: int
    flushes: int | None


def card_writes(folder: Path, *, sysfs: Path) -> CardWrites | None:
    """Writes to the whole device that holds the folder; None without a single one (network, memory)."""
    try:
        number = folder.stat().st_dev
    except OSError:
        return None
    device = sysfs / "dev/block" / f"{os.major(number)}:{os.minor(number)}"
    for _ in range(DEEPEST):
        below = sorted((device / "slaves").glob("*"))
        if len(below) == 1:
            device = device / "slaves" / below[0].name
        elif (device / "partition").exists():
            device = device.resolve().parent
        else:
            break
    fields = _fields(device / "stat")
    if len(fields) <= _WRITTEN:
        return None
    flushes = fields[_FLUSHES] if len(fields) > _FLUSHES else None
    return CardWrites(written_bytes=fields[_WRITTEN] * SECTOR_BYTES, flushes=flushes)


def swaps_to_card(*, procfs: Path = Path("/proc")) -> bool | None:
    """Whether memory, with the plates and keys in it, may be swapped to a disk; None if unknown."""
    try:
        lines = (procfs / "swaps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return any(not Path(line.split()[0]).name.startswith(_NO_CARD) for line in lines[1:] if line.split())


def _fields(path: Path) -> list[int]:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return []
    return [int(word) if word.isdecimal() else 0 for word in text.split()]
