"""Which boot slot runs, which is committed, and which comes next: one contract, two boards.

    choose_once(slot)   only the next start is from this slot
    commit(slot)        every start from now on is from this slot

On UEFI these are BootNext and BootOrder; on a Raspberry Pi the `[tryboot]` and `[all]` parts of autoboot.txt
with the reboot argument "0 tryboot" (raspberrypi/documentation, autoboot.adoc).
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from alpr_device.errors import BootSlotError

SLOTS = ("A", "B")
LOADER = r"\EFI\BOOT\BOOTAA64.EFI"
BOOT_PARTITION = {"A": 2, "B": 3}
RUNNING_SLOT = Path("/run/alpr/slot")
DISK = Path("/run/alpr/disk")
CALL_LIMIT_S = 300  # the bus starts RAUC, whose first answer takes long on a slow card

Call = Callable[..., str]


def other(slot: str) -> str:
    """The other slot."""
    return "B" if slot == "A" else "A"


def checked(slot: str) -> str:
    """Check a slot's name. Raises BootSlotError."""
    if slot not in SLOTS:
        raise BootSlotError(f"no slot {slot!r}: A or B")
    return slot


class BootSlots(Protocol):
    """The board's boot choice."""

    def running(self) -> str:
        """The slot that this system was started from. Raises BootSlotError."""

    def committed(self) -> str:
        """The slot that every start takes. Raises BootSlotError."""

    def next(self) -> str:
        """The slot that the next start takes. Raises BootSlotError."""

    def choose_once(self, slot: str) -> None:
        """Use this slot only at the next start. Raises BootSlotError."""

    def commit(self, slot: str) -> None:
        """Use this slot from now on; does nothing if it is committed. Raises BootSlotError."""


def running_slot(path: Path = RUNNING_SLOT) -> str:
    """The running slot, as the initramfs found it. Raises BootSlotError."""
    try:
        return checked(path.read_text().strip())
    except OSError:
        raise BootSlotError(f"{path} is not there: not started from this image's initramfs") from None


def call(*words: str) -> str:
    """Run a tool and return its standard output. Raises BootSlotError."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, no shell
            words, capture_output=True, text=True, timeout=CALL_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BootSlotError(f"{words[0]}: {error}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise BootSlotError(f"{words[0]}: {last[:160]}")
    return done.stdout


class EfiSlots:
    """The UEFI boot entries `ALPR A` and `ALPR B`, through efibootmgr(8)."""

    _ENTRY = re.compile(r"^Boot([0-9A-F]{4})\*? ALPR ([AB])\b", re.MULTILINE)
    _ORDER = re.compile(r"^BootOrder: ([0-9A-F,]+)$", re.MULTILINE)
    _NEXT = re.compile(r"^BootNext: ([0-9A-F]{4})$", re.MULTILINE)

    def __init__(self, *, run: Call = call, slot_file: Path = RUNNING_SLOT, disk_file: Path = DISK) -> None:
        self._run, self._slot_file, self._disk_file = run, slot_file, disk_file

    def running(self) -> str:
        """See BootSlots.running."""
        return running_slot(self._slot_file)

    def committed(self) -> str:
        """See BootSlots.committed. Before the first commit it is the running slot."""
        entries, order, _ = self._look()
        for number in order:
            if number in entries:
                return entries[number]
        return self.running()

    def next(self) -> str:
        """See BootSlots.next."""
        entries, _, once = self._look()
        return entries[once] if once in entries else self.committed()

    def choose_once(self, slot: str) -> None:
        """See BootSlots.choose_once."""
        self._run("efibootmgr", "--quiet", "--bootnext", self._number(checked(slot)))

    def commit(self, slot: str) -> None:
        """See BootSlots.commit."""
        mine, theirs = self._number(checked(slot)), self._number(other(slot))
        _, order, once = self._look()
        if order[:2] == [mine, theirs]:
            return
        rest = [number for number in order if number not in {mine, theirs}]
        self._run("efibootmgr", "--quiet", "--bootorder", ",".join([mine, theirs, *rest]))
        if once is not None:
            self._run("efibootmgr", "--quiet", "--delete-bootnext")

    def _look(self) -> tuple[dict[str, str], list[str], str | None]:
        text = self._run("efibootmgr")
        order, once = self._ORDER.search(text), self._NEXT.search(text)
        entries = {match[1]: match[2] for match in self._ENTRY.finditer(text)}
        return entries, order[1].split(",") if order else [], once[1] if once else None

    def _number(self, slot: str) -> str:
        """The slot's entry, created if the firmware has none yet."""
        for _ in range(2):
            entries, _, _ = self._look()
            for number, found in entries.items():
                if found == slot:
                    return number
            self._run(
                "efibootmgr",
                "--quiet",
                "--create-only",
                "--disk",
                self._disk(),
                "--part",
                str(BOOT_PARTITION[slot]),
                "--label",
                f"ALPR {slot}",
                "--loader",
                LOADER,
            )
        raise BootSlotError(f"the firmware keeps no boot entry for slot {slot}")

    def _disk(self) -> str:
        try:
            return self._disk_file.read_text().strip()
        except OSError:
            raise BootSlotError(f"{self._disk_file} is not there") from None


class PiSlots:
    """autoboot.txt on the partition `bootconfig`, and the device tree's statement of what was started.

    bootconfig: where that FAT partition is mounted. The file stays under 512 bytes, so that the firmware
    reads it whole, and it is replaced, never changed in place.
    """

    _PART = re.compile(r"^boot_partition=([0-9]+)\s*$")

    def __init__(
        self,
        *,
        bootconfig: Path = Path("/bootconfig"),
        device_tree: Path = Path("/proc/device-tree"),
        reboot_argument: Path = Path("/run/systemd/reboot-param"),
    ) -> None:
        self._file = bootconfig / "autoboot.txt"
        self._number = device_tree / "chosen/bootloader/partition"
        self._argument = reboot_argument

    def running(self) -> str:
        """See BootSlots.running; the firmware gives it as a big-endian number."""
        try:
            number = int.from_bytes(self._number.read_bytes(), "big")
        except OSError:
            raise BootSlotError(
                f"{self._number} is not there: an EEPROM from before 2022? update it"
            ) from None
        return self._slot_of(number)

    def committed(self) -> str:
        """See BootSlots.committed."""
        return self._slot_of(self._numbers()["all"])

    def next(self) -> str:
        """See BootSlots.next."""
        try:
            once = self._argument.read_text().split() == ["0", "tryboot"]
        except OSError:
            once = False
        return self._slot_of(self._numbers()["tryboot" if once else "all"])

    def choose_once(self, slot: str) -> None:
        """See BootSlots.choose_once."""
        if checked(slot) == self.committed():
            self._argument.unlink(missing_ok=True)
            return
        self._write(other(slot))
        self._argument.parent.mkdir(parents=True, exist_ok=True)
        self._argument.write_text("0 tryboot\n")

    def commit(self, slot: str) -> None:
        """See BootSlots.commit."""
        text = self.autoboot(checked(slot))
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if self._file.read_text(encoding="ascii") == text:
                return
        self._write(slot)
        self._argument.unlink(missing_ok=True)

    @staticmethod
    def autoboot(slot: str) -> str:
        """The file's text with this slot committed."""
        return (
            f"[all]\ntryboot_a_b=1\nboot_partition={BOOT_PARTITION[slot]}\n"
            f"[tryboot]\nboot_partition={BOOT_PARTITION[other(slot)]}\n"
        )

    def _write(self, slot: str) -> None:
        fresh = self._file.with_name("autoboot.new")
        try:
            with fresh.open("w", encoding="ascii") as file:
                file.write(self.autoboot(slot))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._file)
            folder = os.open(self._file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise BootSlotError(f"{self._file}: {error.strerror}") from None

    def _numbers(self) -> dict[str, int]:
        try:
            lines = self._file.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BootSlotError(f"{self._file} cannot be read: {error}") from None
        found: dict[str, int] = {}
        part = "all"
        for line in lines:
            if line.startswith("["):
                part = line.strip("[] ")
            elif match := self._PART.match(line):
                found[part] = int(match[1])
        if not {"all", "tryboot"} <= found.keys():
            raise BootSlotError(f"{self._file} names no two boot partitions")
        return found

    @staticmethod
    def _slot_of(number: int) -> str:
        for slot, found in BOOT_PARTITION.items():
            if found == number:
                return slot
        raise BootSlotError(f"boot partition {number} belongs to no slot")


def board_slots() -> BootSlots:
    """The driver for this machine."""
    device_tree = Path("/proc/device-tree")
    if (device_tree / "chosen/bootloader").exists():
        return PiSlots(device_tree=device_tree)
    return EfiSlots()
