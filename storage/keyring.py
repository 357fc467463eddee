"""The keys on the card under the KEK: the log key and one entry per epoch. No I/O.

An entry has the epoch key itself (the unit can open it), or the key sealed to the department's day key (the
unit cannot), or both. Epochs whose key is only in memory have no entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from storage import codec, sealing
from storage.errors import RecordError
from storage.record_base import KeyClass

AT_KEK, AT_DAY, AT_BOTH, AT_MEMORY = "kek", "day", "kek and day", "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochKey:
    """One epoch's key on the card: the key itself, the key sealed to a day key, or both."""

    epoch: int
    key_class: KeyClass
    own: bytes | None = field(repr=False)
    day: bytes | None = field(repr=False)
    day_key: bytes | None

    def check(self) -> None:
        if (self.own is None and self.day is None) or (self.own is not None and len(self.own) != 32):
            raise RecordError("an epoch key is malformed", where="keyring")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """All keys under one KEK generation."""

    log_key: bytes = field(repr=False)
    epochs: tuple[EpochKey, ...]

    def wrapped(self, kek: bytes, log_id: bytes, generation: int) -> bytes:
        return sealing.wrap(kek, log_id, generation, "keyring", codec.to_bytes(self))

    @classmethod
    def opened(cls, wrapped: bytes, kek: bytes, log_id: bytes, generation: int) -> Keyring:
        """Unwrap the keyring. Raises SealError for a wrong KEK."""
        return codec.from_bytes(
            cls, sealing.unwrap(kek, log_id, generation, "keyring", wrapped), limit=64 << 20
        )

    def without(self, epochs: Iterable[int]) -> Keyring:
        gone = set(epochs)
        return Keyring(
            log_key=self.log_key, epochs=tuple(one for one in self.epochs if one.epoch not in gone)
        )

    def plus(self, key: EpochKey) -> Keyring:
        return Keyring(log_key=self.log_key, epochs=(*self.epochs, key))


def wrap_epoch(key: EpochKey, kek: bytes, log_id: bytes, generation: int) -> bytes:
    """Wrap one epoch's entry separately, as written when the epoch is opened."""
    return sealing.wrap(kek, log_id, generation, f"epoch {key.epoch}", codec.to_bytes(key))


def unwrap_epoch(wrapped: bytes, epoch: int, kek: bytes, log_id: bytes, generation: int) -> EpochKey:
    """Unwrap one epoch's entry. Raises SealError."""
    return codec.from_bytes(EpochKey, sealing.unwrap(kek, log_id, generation, f"epoch {epoch}", wrapped))
