"""Two disks with the same labels: a unit uses only the partitions of the disk that it started from."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from alpr_device import events, other_disk
from alpr_device.errors import DeviceError
from alpr_device.image_facts import ImageFacts
from alpr_image.pack import PARTITIONS

from tests.image.conftest import IMAGE_BUILD

DISKS = IMAGE_BUILD / "initramfs/disks"
RULES = IMAGE_BUILD / "image/usr/lib/udev/rules.d/71-alpr-disk.rules"
NAMES = [name for name, _, _ in PARTITIONS]
CARD = "platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:0001/block/mmcblk0"
STICK = "platform/scb/fd500000.pcie/0000:01:00.0/usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0/block/sda"
READER = "platform/axi/1000120000.pcie/usb3/3-1/3-1:1.0/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1"
DRIVE = "platform/axi/1000110000.pcie/0000:01:00.0/nvme/nvme0/nvme0n1"
VIRTIO = "pci0000:00/0000:00:03.0/virtio2/block/vda"
SECOND = "pci0000:00/0000:00:04.0/virtio3/block/vdb"


@dataclass
class Sysfs:
    """What a kernel shows of its disks, and what a Pi's firmware says about the start."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("block", "devices", "bootloader"):
            (self.folder / name).mkdir()

    def plug(self, disk: str) -> None:
        """Plug in a disk that has every label of a card."""
        where = self.folder / "devices" / disk
        name = where.name
        between = "p" if name[-1].isdigit() else ""
        for number, label in enumerate([*NAMES, "persistent"], start=1):
            part = where / f"{name}{between}{number}"
            part.mkdir(parents=True)
            (part / "uevent").write_text(f"DEVNAME={part.name}\nDEVTYPE=partition\nPARTNAME={label}\n")
            (self.folder / "block" / part.name).symlink_to(part)
        (self.folder / "block" / name).symlink_to(where)

    def ask(self, name: str) -> list[str]:
        """The partitions of this name that the initramfs looks at, in order."""
        lines = (
            '. "$0"; candidates "$1/block" "$2" "$(started_from "$1/bootloader")"',
            str(DISKS),
            str(self.folder),
            name,
        )
        done = subprocess.run(["sh", "-c", *lines], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


@pytest.mark.parametrize(
    ("boot_mode", "disks", "found"),
    [
        pytest.param(1, [STICK, CARD], ["mmcblk0p4"], id="Pi, from its card, beside a stick"),
        pytest.param(1, [CARD, READER], ["mmcblk0p4"], id="Pi, from its card, beside a card in a reader"),
        pytest.param(1, [DRIVE, CARD], ["mmcblk0p4"], id="Pi, from its card, beside a drive"),
        pytest.param(6, [CARD, DRIVE, STICK], ["nvme0n1p4"], id="Pi, from its drive, beside card and stick"),
        pytest.param(4, [CARD, STICK], ["sda4"], id="Pi, from a disk at USB, beside a card"),
        pytest.param(None, [STICK, CARD], ["mmcblk0p4"], id="Pi whose firmware does not say: no stick"),
        pytest.param(None, [STICK, VIRTIO], ["vda4"], id="UEFI, beside a stick"),
        pytest.param(None, [SECOND, VIRTIO], ["vda4", "vdb4"], id="two disks inside: the first"),
        pytest.param(1, [STICK], [], id="Pi, from its card, which is not there yet"),
    ],
)  # fmt: skip
def test_root_is_looked_for_on_the_disk_that_the_firmware_names(
    sysfs: Sysfs, boot_mode: int | None, disks: list[str], found: list[str]
) -> None:
    for disk in disks:
        sysfs.plug(disk)
    if boot_mode is not None:
        (sysfs.folder / "bootloader/boot-mode").write_bytes(boot_mode.to_bytes(4, "big"))
    assert sysfs.ask("system_a") == found


def test_name_that_only_begins_or_ends_like_it_is_another(sysfs: Sysfs) -> None:
    sysfs.plug(CARD)
    assert sysfs.ask("system_") == sysfs.ask("ystem_a") == []


def test_nothing_on_the_image_goes_by_a_label_but_the_technician_s_stick() -> None:
    """A label proves nothing: what mounts, opens or writes a unit's partition uses /dev/alpr-disk."""
    found = set()
    for folder in ("image", "unit", "device", "boards", "initramfs"):
        for path in (IMAGE_BUILD / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                found |= {
                    (path.name, match)
                    for match in re.findall(
                        r"(?:LABEL|UUID|PARTLABEL|PARTUUID)=\w+|/dev/disk/\S+", path.read_text()
                    )
                }
    assert found == {
        ("media-alpr\\x2dstick.mount", "/dev/disk/by-label/ALPR-STICK"),
        ("media-source.mount", "/dev/disk/by-label/ALPR-SOURCE"),  # the virtual machine's, for a camera
    }


def test_names_that_no_other_disk_can_take_are_those_of_the_card() -> None:
    text = RULES.read_text()
    labels = re.search(r'ENV\{ID_PART_ENTRY_NAME\}!="([a-z_|]+)"', text)
    assert labels is not None
    assert labels[1].split("|") == [*NAMES, "persistent"]
    [line] = [line for line in text.splitlines() if "SYMLINK" in line]
    assert line.startswith(
        'PROGRAM=="/usr/bin/grep -qx /dev/%P /run/alpr/disk", SYMLINK+="alpr-disk/$env{ID_PART_ENTRY_NAME}"'
    )
    wanted = set()
    for folder in ("image", "boards"):
        for path in (IMAGE_BUILD / folder).rglob("*"):
            if path.is_file():
                wanted |= set(re.findall(r"/dev/alpr-disk/([a-z_]+)", path.read_text()))
    assert wanted == {"bootconfig", "boot_a", "boot_b", "system_a", "system_b", "persistent"}


def test_other_disk_is_marked_for_the_alarm_and_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(events, "note", lambda outcome, **words: seen.append((outcome, words["what"])))
    monkeypatch.setattr(other_disk, "image_facts", lambda: ImageFacts(board="rpi", version=2, name="0.2"))
    other_disk.report("sda", tmp_path / "other-disk")
    assert seen == [("another disk, sda, has this unit's labels; nothing on it is used", "disk")]
    assert (tmp_path / "other-disk").stat().st_mode & 0o777 == 0o644


def test_other_disk_is_marked_also_where_nothing_can_be_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing() -> ImageFacts:
        raise DeviceError("no facts")

    monkeypatch.setattr(other_disk, "image_facts", nothing)
    other_disk.report("sda", tmp_path / "other-disk")
    assert (tmp_path / "other-disk").read_text() == "sda\n"
