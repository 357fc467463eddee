"""Reads a unit's card on the bench, with the state of its software chip."""

from __future__ import annotations

import json
import os
from pathlib import Path

from alpr_image.bench.luks import Header, unsealed
from alpr_image.workshop import BuildError, Workshop, run


def partition(shop: Workshop, card: Path, name: str) -> tuple[int, int]:
    """(first byte, end) of a partition. Raises BuildError."""
    held = json.loads(shop.tool("sfdisk", "--json", card))["partitiontable"]
    for one in held["partitions"]:
        if one.get("name") == name:
            start = int(one["start"]) * 512
            return start, start + int(one["size"]) * 512
    raise BuildError(f"{card.name} has no partition {name}")


def volume_key(shop: Workshop, card: Path, chip: Path) -> bytes:
    """The data partition's key, from the chip in this state."""
    start, _ = partition(shop, card, "persistent")
    header = Header.of(card, start)
    return header.volume_key(unsealed(shop, header, chip))


def data_folder(shop: Workshop, card: Path, chip: Path, out: Path, *, key: bytes | None = None) -> Path:
    """Copy the data partition's files to `out`, after replaying the journal as a start would."""
    start, end = partition(shop, card, "persistent")
    image = out.with_suffix(".ext4")
    Header.of(card, start).decrypt(key or volume_key(shop, card, chip), end, image)
    checked = shop.tool("sh", "-c", f"e2fsck -p {image}; status=$?; [ $status -le 2 ] && echo done")
    if "done" not in checked:
        raise BuildError(f"{image.name}: e2fsck could not repair it")
    run(["rm", "-rf", out])
    out.mkdir(parents=True)
    shop.tool("debugfs", "-R", f"rdump / {out}", image)
    image.unlink()
    run(["chown", "-R", f"{os.geteuid()}:{os.getegid()}", out])  # only its owner can open a home
    return out
