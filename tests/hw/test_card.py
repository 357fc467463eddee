"""Writes that reach a card through partitions and stacked devices; if nothing counts them, no report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hw.card import CardWrites, card_writes, swaps_to_card

STAT = "9 0 72 3 40 1 2000 12 0 30 40 0 0 0 0 77 5\n"


def number_of(folder: Path) -> str:
    about = folder.stat().st_dev
    return f"{os.major(about)}:{os.minor(about)}"


def whole_device(sysfs: Path) -> Path:
    disk = sysfs / "devices/mmcblk0"
    disk.mkdir(parents=True)
    (disk / "stat").write_text(STAT)
    (sysfs / "dev/block").mkdir(parents=True)
    return disk


@pytest.mark.parametrize("kind", ["disk", "partition", "LUKS on a partition"])
def test_the_whole_card_s_writes_are_reported(tmp_path: Path, kind: str) -> None:
    disk = whole_device(tmp_path)
    link = tmp_path / "dev/block" / number_of(tmp_path)
    part = disk / "mmcblk0p2"
    part.mkdir()
    (part / "partition").write_text("2\n")
    (part / "stat").write_text("0 0 0 0 0 0 8 0 0 0 0\n")
    if kind == "disk":
        link.symlink_to(disk)
    elif kind == "partition":
        link.symlink_to(part)
    else:
        mapped = tmp_path / "devices/dm-0"
        (mapped / "slaves").mkdir(parents=True)
        (mapped / "slaves/mmcblk0p2").symlink_to(part)
        link.symlink_to(mapped)
    assert card_writes(tmp_path, sysfs=tmp_path) == CardWrites(written_bytes=2000 * 512, flushes=77)


@pytest.mark.parametrize("stat", [None, "", "1 2 3\n"])
def test_where_nothing_counts_nothing_is_reported(tmp_path: Path, stat: str | None) -> None:
    disk = whole_device(tmp_path)
    (tmp_path / "dev/block" / number_of(tmp_path)).symlink_to(disk)
    (disk / "stat").unlink() if stat is None else (disk / "stat").write_text(stat)
    assert card_writes(tmp_path, sysfs=tmp_path) is None
    assert card_writes(tmp_path / "absent", sysfs=tmp_path) is None


def test_an_older_kernel_counts_no_flushes(tmp_path: Path) -> None:
    disk = whole_device(tmp_path)
    (tmp_path / "dev/block" / number_of(tmp_path)).symlink_to(disk)
    (disk / "stat").write_text(" ".join(STAT.split()[:11]) + "\n")
    assert card_writes(tmp_path, sysfs=tmp_path) == CardWrites(written_bytes=2000 * 512, flushes=None)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", False),
        ("/var/swap file 102396 0 -2\n", True),
        ("/dev/mmcblk0p3 partition 102396 0 -2\n", True),
        ("/dev/zram0 partition 102396 0 100\n", False),
        ("/dev/zram0 partition 102396 0 100\n/var/swap file 1 0 -2\n", True),
    ],
)
def test_swap_on_the_card_is_reported_and_swap_in_memory_is_not(
    tmp_path: Path, lines: str, told: bool
) -> None:
    assert swaps_to_card(procfs=tmp_path) is None
    (tmp_path / "swaps").write_text("Filename Type Size Used Priority\n" + lines)
    assert swaps_to_card(procfs=tmp_path) is told
