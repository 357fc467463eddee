"""The content of a slot and its format; empty, foreign and forgetful slots."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw.secure_slot import LoopbackSlot
from storage.errors import SlotError
from storage.slot import SLOT_BYTES, SlotContent, anchors, load_slot, save

CONTENT = SlotContent(2, b"k" * 32, b"l" * 32, 7, b"r" * 32, -1)


class Forgetful(LoopbackSlot):
    """A chip that stores nothing."""

    def write(self, content: bytes) -> None:
        super().write(content[:-1] + b"x")


def test_a_slot_has_the_124_bytes_that_the_page_describes(tmp_path: Path) -> None:
    data = CONTENT.to_bytes()
    number = (2).to_bytes(8, "big"), (7).to_bytes(8, "big"), b"\xff" * 8
    assert data == b"ASL1" + number[0] + b"k" * 32 + b"l" * 32 + number[1] + b"r" * 32 + number[2]
    assert len(data) == SLOT_BYTES == 124
    chip = LoopbackSlot(tmp_path / "chip")
    save(chip, CONTENT)
    assert load_slot(chip) == CONTENT
    assert "k" * 8 not in repr(CONTENT)


def test_a_slot_that_is_empty_foreign_or_keeps_nothing_is_named(tmp_path: Path) -> None:
    chip = LoopbackSlot(tmp_path / "chip")
    with pytest.raises(SlotError, match="the slot is empty"):
        load_slot(chip)
    good = CONTENT.to_bytes()
    for data in (good[:-1], good + b"x", b"ASL2" + good[4:], b""):
        with pytest.raises(SlotError, match="contains data of another program"):
            SlotContent.parse(data, where="chip")
    with pytest.raises(SlotError, match="did not keep what was written"):
        save(Forgetful(tmp_path / "other"), CONTENT)


def test_a_file_beside_the_ledger_anchors_nothing() -> None:
    assert [anchors(uri) for uri in ("file:slot", "tpm:0x1", "loopback:/run/chip")] == [False, True, True]
