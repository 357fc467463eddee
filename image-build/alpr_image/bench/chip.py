"""A unit with its keys in the chip and not in a file: the same image but for one line of configuration."""

from __future__ import annotations

from pathlib import Path

from alpr_image.bench import variants
from alpr_image.bench.story import SHORT_CLIP, BenchStory
from alpr_image.bench.visit import selftest_of_a_start
from alpr_image.image import ImageParts
from alpr_image.workshop import BuildError

SLOT = "tpm:0x1500ab1"
NAME = "reader-1"


def keys_in_the_chip(story: BenchStory, parts: ImageParts) -> None:
    """Check that it starts, reads, has its keys in the chip, and opens its store after a restart."""
    made = variants.card(story.shop, parts, name="chip", alter=_with_slot)
    card = story.grown(made, story.folder / "chip.card")
    machine = story.machine("chip-unit")
    disks = (story.clip_disk(frames=SHORT_CLIP),)
    for what in ("first start", "next start"):
        with (
            story.step(f"keys in the chip, {what}: selftest") as facts,
            machine.running(f"file={card},format=raw", disks=disks, network=False) as hands,
        ):
            text = selftest_of_a_start(machine, hands, NAME)
            slot = next((line for line in text.splitlines() if "key slot" in line), "")
            if not slot.startswith("ok") or SLOT not in slot or "WRONG" in text:
                raise BuildError(text[-600:])
            facts.append(" ".join(slot.split()))


def _with_slot(tree: Path) -> None:
    """Name the slot in /etc/default in the last build's tree."""
    with (tree / "etc/default/alpr-reader").open("a", encoding="utf-8") as file:
        file.write(f"INIT_OPTIONS=--slot {SLOT}\n")
