"""A unit with a second disk that has the same labels: it uses its own partitions, and reports the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from alpr_image import pack
from alpr_image.bench.card import partition
from alpr_image.bench.story import SHORT_CLIP, BenchStory
from alpr_image.bench.visit import CLIP_LIMIT_S, START_LIMIT_S
from alpr_image.image import Built
from alpr_image.workshop import BuildError


def beside_a_second_disk(story: BenchStory, built: Built) -> None:
    """Check that the card starts, and that a copy of the same image on the same bus stays unchanged."""
    machine, card = story.fresh_unit(built, "two-disks")
    other = story.grown(built.card, story.folder / "other.card")
    before = _table(other)
    words: dict[str, Any] = {"disks": (story.clip_disk(frames=SHORT_CLIP),), "writable": (other,)}
    with machine.running(f"file={card},format=raw", network=False, **words) as hands:
        with story.step("beside a disk with its labels: commits its slot") as facts:
            machine.await_said("slot A committed", limit_s=START_LIMIT_S + CLIP_LIMIT_S)
            facts.append("its root and its data partition are its card's")
        with story.step("beside a disk with its labels: says so") as facts:
            match = re.search(r"another disk, (\w+), has this unit's labels", machine.said())
            if match is None:
                raise BuildError("the journal does not name the other disk")
            hands.wait_for(f"Another disk, {match[1]}, has the labels", START_LIMIT_S)
            facts.append(match[0])
    with story.step("beside a disk with its labels: made its data partition on its card alone") as facts:
        start, end = partition(story.shop, card, "persistent")
        if _table(other) != before:
            raise BuildError("the other disk's partitions were changed")
        facts.append(f"{(end - start) >> 20} MiB; the other disk's partitions are as they were")


def _table(disk: Path) -> bytes:
    """The disk's partition table: everything before the first partition."""
    with disk.open("rb") as file:
        return file.read(pack.FIRST_MIB * pack.MIB)
