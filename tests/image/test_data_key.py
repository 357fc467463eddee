"""What keeps the data partition's key: a chip, or a Pi's fuses over a stand-in of its firmware."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from alpr_device import mailbox
from alpr_device.data_key import LABEL, NAMED_CHIP_S, NEW_CHIP_S, Places, choose, source_of
from alpr_device.errors import KeySourceError
from alpr_device.mailbox import Mailbox
from alpr_image.bench.stand_in_firmware import StandInFirmware

from tests.image.conftest import IMAGE_BUILD

KEY = bytes(range(32))
TEMPLATE = IMAGE_BUILD / "image/usr/lib/repart.d/50-persistent.conf"


@dataclass
class Board:
    """A machine's folders, its firmware, and a clock that only sleep advances."""

    places: Places
    firmware: StandInFirmware
    seconds: float = 0.0
    chip_after_s: float | None = None

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if self.chip_after_s is not None and self.seconds >= self.chip_after_s:
            self.places.chip.mkdir(parents=True, exist_ok=True)

    def ioctl(self, handle: int, request: int, message: bytearray) -> int:
        return self.firmware.ioctl(handle, request, message)

    def choose(self) -> str:
        return choose(self.places, Mailbox(self.places.mailbox), sleep=self.sleep, now=lambda: self.seconds)

    def key(self) -> bytes | None:
        path = self.places.run / "data-key"
        return path.read_bytes() if path.exists() else None

    def with_partition(self, tokens: dict[str, dict[str, str]]) -> None:
        """Use a card that already has its partition, with these tokens in the header."""
        text = json.dumps({"tokens": tokens}).encode().ljust(16384 - 4096, b"\0")
        entry = self.places.blocks / "mmcblk0/mmcblk0p5"
        entry.mkdir(parents=True)
        (entry / "uevent").write_text("DEVNAME=mmcblk0p5\nPARTNAME=persistent\n")
        header = struct.pack(">6sHQ", b"LUKS\xba\xbe", 2, 16384).ljust(4096, b"\0")
        (self.places.devices / "mmcblk0p5").write_bytes(header + text)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """A Raspberry Pi without a chip, whose fuses hold a key, at its first start."""
    places = Places(
        run=tmp_path / "run",
        repart=tmp_path / "repart.d",
        template=TEMPLATE,
        blocks=tmp_path / "block",
        devices=tmp_path / "dev",
        chip=tmp_path / "tpm/tpm0",
        mailbox=tmp_path / "dev/vcio",
    )
    for folder in (places.run, places.blocks, places.devices):
        folder.mkdir()
    places.mailbox.touch()
    (places.run / "disk").write_text("/dev/mmcblk0\n")
    made = Board(places, StandInFirmware(KEY))
    monkeypatch.setattr(mailbox, "_ioctl", made.ioctl)
    return made


# -- the driver
# -----------------------------------------------------------------------------------------------


def test_hmac_is_the_one_of_rfc_2104_under_the_key_of_the_fuses(board: Board) -> None:
    asked = Mailbox(board.places.mailbox)
    for message in (b"", b"x", bytes(2048)):
        assert asked.hmac(message) == hmac.new(KEY, message, hashlib.sha256).digest()
    with pytest.raises(KeySourceError, match="2049 bytes"):
        asked.hmac(bytes(2049))


def test_an_unset_key_is_distinguished_from_one_that_is_locked(board: Board) -> None:
    board.firmware = StandInFirmware()
    assert Mailbox(board.places.mailbox).has_key() is False
    board.firmware = StandInFirmware(KEY, locks=1 << 11)
    with pytest.raises(KeySourceError, match="the key is locked"):
        Mailbox(board.places.mailbox).has_key()


def test_a_firmware_without_the_service_names_the_cure(board: Board) -> None:
    board.firmware = StandInFirmware(old=True)
    with pytest.raises(KeySourceError, match="rpi-eeprom-update"):
        board.choose()
    assert board.key() is None


def test_a_device_that_is_not_there_is_named(board: Board) -> None:
    with pytest.raises(KeySourceError, match="nothing-here: No such file"):
        Mailbox(board.places.devices / "nothing-here").hmac(b"")


def test_the_key_itself_is_locked_once_it_has_served(board: Board) -> None:
    board.choose()
    assert board.firmware.locks & 1 << 8


# -- the choice between chip and fuses
# -----------------------------------------------------------------------------------------------


def test_a_board_without_a_chip_takes_the_fuses_and_the_partition_is_made_with_that_key(board: Board) -> None:
    assert board.choose() == "the data partition's key comes from the fuses"
    assert board.seconds >= NEW_CHIP_S
    assert board.key() == hmac.new(KEY, LABEL, hashlib.sha256).hexdigest().encode()
    assert (board.places.run / "data-key").stat().st_mode & 0o777 == 0o400
    made = (board.places.repart / TEMPLATE.name).read_text()
    assert "Encrypt=key-file" in made
    assert "tpm2" not in made.replace("Encrypt=key-file", "")


def test_two_boards_have_two_keys(board: Board) -> None:
    board.choose()
    one = board.key()
    board.firmware = StandInFirmware(bytes(32)[:-1] + b"\1")
    board.choose()
    assert one is not None
    assert board.key() != one


def test_a_chip_that_comes_late_at_the_first_start_is_taken(board: Board) -> None:
    board.chip_after_s = NEW_CHIP_S / 2
    assert "sealed by the chip" in board.choose()
    assert board.key() is None
    assert not board.places.repart.exists()
    assert board.firmware.asked == []


def test_a_blank_board_gets_a_key_once_and_says_so(board: Board) -> None:
    board.firmware = StandInFirmware()
    assert "burned into the fuses" in board.choose()
    first = board.key()
    board.with_partition({})
    assert "burned" not in board.choose()
    assert board.key() == first


def test_a_partition_made_with_the_fuses_never_burns_another_boards(board: Board) -> None:
    board.with_partition({})
    board.firmware = StandInFirmware()
    with pytest.raises(KeySourceError, match="another unit's"):
        board.choose()
    assert board.firmware.key == b""


def test_a_partition_keeps_its_source_when_a_chip_is_fitted_later(board: Board) -> None:
    board.with_partition({})
    board.places.chip.mkdir(parents=True)
    assert "from the fuses" in board.choose()
    assert board.seconds == 0.0


def test_a_partition_sealed_by_a_chip_waits_for_it_and_never_asks_the_fuses(board: Board) -> None:
    board.with_partition({"0": {"type": "systemd-tpm2"}})
    assert "sealed by the chip" in board.choose()
    assert "does not answer" in board.places.no_data_reason.read_text()
    assert board.seconds >= NAMED_CHIP_S
    assert board.key() is None
    assert board.firmware.asked == []


def test_a_machine_with_neither_is_refused(board: Board) -> None:
    board.places.mailbox.unlink()
    with pytest.raises(KeySourceError, match="neither a TPM nor"):
        board.choose()


def test_a_firmware_that_may_burn_nothing_is_refused_and_leaves_no_key(board: Board) -> None:
    board.firmware = StandInFirmware(locks=1 << 9)
    with pytest.raises(KeySourceError, match="made no key"):
        board.choose()
    assert board.key() is None


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: b"LUKX" + data[4:], id="magic"),
        pytest.param(lambda data: data[:4096] + b"?" + data[4097:], id="no JSON"),
        pytest.param(lambda data: data[:4096] + b"[]\0" + data[4099:], id="another JSON"),
        pytest.param(lambda data: data[:8] + b"\xff" * 8 + data[16:], id="size"),
    ],
)
def test_a_damaged_header_names_no_source_and_burns_no_key(board: Board, damage: object) -> None:
    """The partition may be sealed by a chip that comes late; only a card without one is new."""
    assert callable(damage)
    board.with_partition({"0": {"type": "systemd-tpm2"}})
    path = board.places.devices / "mmcblk0p5"
    path.write_bytes(damage(path.read_bytes()))
    assert source_of(board.places) == "unreadable"
    board.firmware = StandInFirmware()
    with pytest.raises(KeySourceError, match="or damaged"):
        board.choose()
    assert board.firmware.key == b""
    board.seconds, board.chip_after_s = 0.0, NAMED_CHIP_S / 2
    assert "sealed by the chip" in board.choose()


def test_another_disks_partition_of_that_name_is_not_looked_at(board: Board) -> None:
    board.with_partition({"0": {"type": "systemd-tpm2"}})
    assert source_of(board.places) == "chip"
    for other in ("sda", "mmcblk"):  # nor a disk whose name only begins like ours
        (board.places.run / "disk").write_text(f"/dev/{other}\n")
        assert source_of(board.places) is None
