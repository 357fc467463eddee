"""A unit without a TPM: its data partition's key comes from the fuses of a Pi, which a stand-in replaces."""

from __future__ import annotations

import hashlib
import hmac
import shutil
from pathlib import Path

from alpr_device.data_key import LABEL

from alpr_image import wheels
from alpr_image.bench import stand_in_firmware, variants
from alpr_image.bench.card import partition
from alpr_image.bench.luks import Header
from alpr_image.bench.story import SHORT_CLIP, BenchStory
from alpr_image.bench.visit import selftest_of_a_start
from alpr_image.image import ImageParts
from alpr_image.workshop import BuildError

NAME = "reader-1"
KEY = bytes(range(32))
# The real driver uses the stand-in: this machine has neither the device nor the firmware behind it.
_LAID_IN = f"""
from alpr_device.stand_in_firmware import StandInFirmware

DEVICE = Path("/dev/null")
_ioctl = StandInFirmware(bytes.fromhex("{KEY.hex()}")).ioctl  # type: ignore[assignment]
"""


def key_in_the_fuses(story: BenchStory, parts: ImageParts) -> None:
    """Check that the unit makes its data partition without a chip, and that only its own key opens it."""
    made = variants.card(story.shop, parts, name="fuses", alter=_with_stand_in)
    card = story.grown(made, story.folder / "fuses.card")
    machine, disks = story.machine("fuses-unit"), (story.clip_disk(frames=SHORT_CLIP),)
    for what in ("makes its data partition", "starts again and opens it"):
        with (
            story.step(f"key in the fuses, no chip: {what}") as facts,
            machine.running(f"file={card},format=raw", disks=disks, network=False, chip=False) as hands,
        ):
            text = selftest_of_a_start(machine, hands, NAME)
            log = next((line for line in text.splitlines() if " log " in line), "")
            if not log.startswith("ok"):
                raise BuildError(text[-600:])
            facts.append(" ".join(log.split()))
    with story.step("key in the fuses: the partition opens with this board's key and no other's") as facts:
        start, _ = partition(story.shop, card, "persistent")
        header = Header.of(card, start)
        if [one["type"] for one in header.held["tokens"].values()]:
            raise BuildError("the header names another source of the key")
        for whose, key, opens in (("this board's", KEY, True), ("another's", bytes(32), False)):
            if _opens(story, card, start, key) is not opens:
                raise BuildError(f"{whose} key: {'does not open' if opens else 'opens'} the partition")
        facts.append("this board's opens, another's does not")


def _opens(story: BenchStory, card: Path, start: int, key: bytes) -> bool:
    """Whether cryptsetup opens a copy of the header with this key."""
    head, secret = story.folder / "fuses.head", story.folder / "fuses.key"
    with card.open("rb") as file:
        file.seek(start)
        head.write_bytes(file.read(32 << 20))
    secret.write_text(hmac.new(key, LABEL, hashlib.sha256).hexdigest())
    try:
        story.shop.tool("cryptsetup", "open", "--test-passphrase", f"--key-file={secret}", head)
    except BuildError:
        return False
    return True


def _with_stand_in(tree: Path) -> None:
    """Put the stand-in below the driver in the last build's tree."""
    package = tree / wheels.FOLDER / "alpr_device"
    shutil.copyfile(Path(stand_in_firmware.__file__), package / "stand_in_firmware.py")
    with (package / "mailbox.py").open("a", encoding="utf-8") as file:
        file.write(_LAID_IN)
    for cached in package.glob("__pycache__/mailbox.*"):
        cached.unlink()
