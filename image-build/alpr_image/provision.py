"""Writes a card, and prints the steps that lock a board. Only prints a plan without `--write`.

    python -m alpr_image provision CARD --image card.img          the plan, nothing is written
    python -m alpr_image provision CARD --image card.img --write  write and read back
    python -m alpr_image provision --secure-boot rpi              the steps of a locked Pi

It never burns fuses: that step cannot be undone, and the plan leaves it to a person at a bench.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from alpr_image.workshop import BuildError

CHUNK = 4 << 20
MAX_BYTES = 2 << 40

RPI_SECURE_BOOT = (
    "make a 2048-bit RSA key on a token that stays at the office that releases: openssl genrsa 2048",
    "update the EEPROM; of 2021 and before it ignores tryboot: vcgencmd bootloader_version",
    "start from the card alone, no stick: BOOT_ORDER=0xf1 in bootconf.txt (from NVMe: 0xf6)",
    "pack each slot's boot folder into boot.img (FAT, under 180 MB)",
    "sign it: rpi-eeprom-digest -i boot.img -o boot.sig -k KEY",
    "put boot.img and boot.sig on boot_a and boot_b; config.txt of both: boot_ramdisk=1",
    "put the public key into the EEPROM: rpi-eeprom-config -c bootconf.txt -p PUBLIC.pem -o pieeprom.upd",
    "try it unlocked: SIGNED_BOOT=1 in bootconf.txt; change one byte of boot.img: it must not start",
    "IRREVERSIBLE, at the bench, one board first: program_pubkey=1 in config.txt of the recovery card (OTP)",
    "IRREVERSIBLE: revoke the unsigned bootloader and JTAG: revoke_devkey=1, program_jtag_lock=1",
    "check again: an unsigned card, another's signed card and an altered boot.img must not start",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPlan:
    """What would be written where."""

    image: Path
    image_bytes: int
    card: Path
    card_bytes: int

    def lines(self) -> list[str]:
        """The plan's lines for a person."""
        left = (self.card_bytes - self.image_bytes) / 1e9
        return [
            f"write {self.image} ({self.image_bytes / 1e6:.0f} MB)",
            f"to {self.card} ({self.card_bytes / 1e9:.1f} GB)",
            "everything on that card is lost",
            f"the unit makes its data partition from the other {left:.1f} GB at its first start",
        ]


def plan(card: Path, image: Path) -> CardPlan:
    """Make a plan. Raises BuildError for anything that is not a suitable card."""
    try:
        kind, image_bytes = card.stat().st_mode, image.stat().st_size
    except OSError as error:
        raise BuildError(f"{error.filename}: {error.strerror}") from None
    if not (stat.S_ISBLK(kind) or stat.S_ISREG(kind)):
        raise BuildError(f"{card}: neither a card nor a file of one")
    if stat.S_ISBLK(kind):
        used = [line.split()[0] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
        if busy := [one for one in used if one.startswith(str(card.resolve()))]:
            raise BuildError(f"{card}: in use ({busy[0]}): unmount it, and check again that this is the card")
    with card.open("rb") as file:
        card_bytes = file.seek(0, os.SEEK_END)
    if not image_bytes + (256 << 20) <= card_bytes <= MAX_BYTES:
        need, most = (image_bytes + (256 << 20)) / 1e6, MAX_BYTES / 1e6
        raise BuildError(
            f"{card}: holds {card_bytes / 1e6:.0f} MB; at least {need:.0f} MB are needed, at most {most:.0f}"
        )
    return CardPlan(image=image, image_bytes=image_bytes, card=card, card_bytes=card_bytes)


def write(card_plan: CardPlan) -> str:
    """Write, sync and read back; returns the image's SHA-256. Raises BuildError if it differs."""
    wanted = hashlib.sha256()
    with card_plan.image.open("rb") as source, card_plan.card.open("r+b") as target:
        while chunk := source.read(CHUNK):
            wanted.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
        target.seek(0)
        found, left = hashlib.sha256(), card_plan.image_bytes
        while left:
            chunk = target.read(min(CHUNK, left))
            if not chunk:
                break
            found.update(chunk)
            left -= len(chunk)
    if found.hexdigest() != wanted.hexdigest():
        raise BuildError(f"{card_plan.card}: reads back other data than was written: discard this card")
    return wanted.hexdigest()
