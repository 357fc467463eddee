"""The effaceable slot's content: a KEK generation, the KEK and an anchor. No I/O of its own.

A driver (hw/secure_slot*.py, by structural typing) must keep about 120 bytes, and nothing of the old ones
after a write. `promise` says how far the driver can guarantee that.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from typing import Protocol

from storage.errors import SlotError

_FORM = struct.Struct(">4sQ32s32sQ32sq")  # magic, generation, KEK, log id, anchor size, anchor root, time
MAGIC = b"ASL1"
SLOT_BYTES = _FORM.size
CURE = "a chip: name the right slot; a file: as for a damaged ledger, reader run or reader init --set-aside"


class EffaceableSlot(Protocol):
    """A small memory whose old content does not survive a write."""

    @property
    def uri(self) -> str:
        """The slot's name in the configuration, such as file:slot."""

    @property
    def promise(self) -> str:
        """What this slot can promise about old content, as a sentence for people."""

    def read(self) -> bytes | None:
        """The content, or None if nothing was ever written."""

    def write(self, content: bytes) -> None:
        """Replace the content durably; it is safe before this returns."""


def anchors(uri: str) -> bool:
    """Whether an anchor in this slot counts; not in a file, which whatever writes the ledger can write."""
    return not uri.startswith("file:")


@dataclass(frozen=True, slots=True)
class SlotContent:
    """The slot's content. `anchor_us`: the newest signed time when it was written."""

    generation: int
    kek: bytes
    log_id: bytes
    anchor_size: int
    anchor_root: bytes
    anchor_us: int

    def __repr__(self) -> str:
        return f"SlotContent(generation {self.generation}, anchor {self.anchor_size})"

    def to_bytes(self) -> bytes:
        return _FORM.pack(
            MAGIC,
            self.generation,
            self.kek,
            self.log_id,
            self.anchor_size,
            self.anchor_root,
            self.anchor_us,
        )

    @classmethod
    def parse(cls, data: bytes, *, where: str) -> SlotContent:
        """Parse the slot. Raises SlotError."""
        if len(data) != SLOT_BYTES or not data.startswith(MAGIC):
            raise SlotError("contains data of another program", where=where, cure=CURE)
        _, *fields = _FORM.unpack(data)
        return cls(*fields)


CLEARED = bytes(SLOT_BYTES)  # left by a factory reset: a chip's memory cannot return to "never written"


def held(slot: EffaceableSlot) -> bytes | None:
    """The slot's bytes; None if it was never written or was cleared."""
    data = slot.read()
    return None if data == CLEARED else data


def load_slot(slot: EffaceableSlot) -> SlotContent:
    """Read the slot. Raises SlotError if it is empty."""
    data = held(slot)
    if data is None:
        raise SlotError(
            "the slot is empty: what this home holds cannot be opened",
            where=slot.uri,
            cure=f"was the slot cleared, or the card moved to another unit? {CURE}",
        )
    return SlotContent.parse(data, where=slot.uri)


def save(slot: EffaceableSlot, content: SlotContent) -> None:
    """Write the slot once and read it back. Raises SlotError."""
    data = content.to_bytes()
    slot.write(data)
    if not hmac.compare_digest(slot.read() or b"", data):
        raise SlotError("did not keep what was written", where=slot.uri, cure="replace the part")
