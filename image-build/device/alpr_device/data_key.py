"""The source of the data partition's key: a TPM if one is fitted, otherwise the fuses of a Raspberry Pi.

Runs once at each start, before the partition is made or opened. With a TPM it leaves everything to systemd,
which seals the key itself. With the fuses it writes the key (an HMAC that the firmware computes) to a file in
RAM and makes systemd-repart use it for the partition; the file is removed once the partition is open. A
partition keeps its original source, which its LUKS header names.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alpr_device.errors import DeviceError, KeySourceError
from alpr_device.luks_header import TPM_TOKEN, read_header
from alpr_device.mailbox import DEVICE, FirmwareKeys, Mailbox

LABEL = b"alpr-reader data partition v1"
PARTITION = "persistent"
# a chip on the SPI bus appears seconds after the kernel; one that the header names gets more time
NEW_CHIP_S, NAMED_CHIP_S = 15.0, 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the machine shows its parts, and where the result goes."""

    run: Path = Path("/run/alpr")
    repart: Path = Path("/run/repart.d")
    template: Path = Path("/usr/lib/repart.d/50-persistent.conf")
    blocks: Path = Path("/sys/class/block")
    devices: Path = Path("/dev")
    chip: Path = Path("/sys/class/tpm/tpm0")
    mailbox: Path = DEVICE

    @property
    def no_data_reason(self) -> Path:
        """The file with what the technician's port shows if the partition does not open."""
        return self.run / "no-data-reason"


def choose(
    places: Places,
    firmware: FirmwareKeys,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> str:
    """Prepare the key; returns a line for the journal.

    Raises KeySourceError if there is no chip and the firmware has no key.
    """
    made_with = source_of(places)
    has_mailbox = places.mailbox.exists()
    if made_with != "fuses":
        patience_s = NAMED_CHIP_S if made_with or not has_mailbox else NEW_CHIP_S
        until = now() + patience_s
        while not places.chip.exists() and now() < until:
            sleep(0.2)
        if not places.chip.exists() and made_with == "chip":  # systemd keeps waiting; if in vain, this is why
            places.no_data_reason.write_text("the chip that sealed it does not answer\n", encoding="utf-8")
        if places.chip.exists() or made_with == "chip":
            return "the data partition's key is sealed by the chip"
        if not has_mailbox:
            raise KeySourceError("neither a TPM nor a Raspberry Pi's firmware: nothing here can keep a key")
    generated = False
    if not firmware.has_key():
        if made_with is not None:
            raise KeySourceError("this board's fuses hold no key: the card is another unit's, or damaged")
        firmware.generate()
        generated = True
    key = firmware.hmac(LABEL)
    firmware.lock()
    _write_key(places.run / "data-key", key)
    places.repart.mkdir(exist_ok=True)
    text = places.template.read_text(encoding="ascii").replace("Encrypt=tpm2", "Encrypt=key-file")
    (places.repart / places.template.name).write_text(text, encoding="ascii")
    burned = "; a key was burned into the fuses, for good" if generated else ""
    return f"the data partition's key comes from the fuses{burned}"


def source_of(places: Places) -> str | None:
    """The source of this card's partition: `chip`, `fuses` or `unreadable`; None: no partition yet."""
    device = _partition(places)
    if device is None:
        return None
    try:
        tokens = read_header(device)["tokens"].values()
        return "chip" if any(one["type"] == TPM_TOKEN for one in tokens) else "fuses"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "unreadable"  # cryptsetup reads the second header, or reports what is wrong


def _partition(places: Places) -> Path | None:
    try:
        disk = Path((places.run / "disk").read_text(encoding="ascii").strip()).name
    except OSError:
        return None
    for entry in sorted((places.blocks / disk).glob(f"{disk}*")):  # its own partitions: sdaa1 is not sda's
        try:
            facts = (entry / "uevent").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        if f"PARTNAME={PARTITION}" in facts:
            return places.devices / entry.name
    return None


def _write_key(path: Path, key: bytes) -> None:
    """Write the key in hexadecimal without a newline, since systemd uses a key file's whole content."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o400)
    with os.fdopen(handle, "wb") as file:
        file.write(key.hex().encode("ascii"))


def main() -> int:
    """Prepare the key for alpr-data-key.service; a failure leaves its reason for the technician's port."""
    places = Places()
    try:
        print(f"data-key: {choose(places, Mailbox(places.mailbox))}", file=sys.stderr)
    except (DeviceError, OSError) as error:
        print(f"data-key: {error}", file=sys.stderr)
        places.no_data_reason.write_text(f"{error}\n", encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
