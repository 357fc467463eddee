"""When a log is given up, only the department gets its keys, each sealed to a day."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from storage.day_keys import DayKey, EpochKeyForDay, open_from_day
from storage.keyring import EpochKey
from storage.record_base import KeyClass
from storage.salvage import _for_department
from storage.times import DAY_US

LOG = bytes(32)
PRIVATE = ec.generate_private_key(ec.SECP256R1())
DAY = DayKey.of(3, PRIVATE)
SEALED = EpochKey(epoch=1, key_class=KeyClass.READ, own=None, day=b"sealed", day_key=b"id")
BOTH = EpochKey(epoch=2, key_class=KeyClass.READ, own=bytes(32), day=b"both", day_key=b"id")
OWN = EpochKey(epoch=3, key_class=KeyClass.READ, own=b"k" * 32, day=None, day_key=None)
HALF = EpochKey(epoch=4, key_class=KeyClass.READ, own=b"h" * 32, day=b"half", day_key=None)


def test_sealed_keys_are_taken_as_they_are_and_the_units_own_are_sealed_to_the_day() -> None:
    first, second, own, half = _for_department([SEALED, BOTH, OWN, HALF], [DAY], LOG, 3 * DAY_US)
    assert (first, second) == (
        EpochKeyForDay(epoch=1, day_key=b"id", sealed=b"sealed"),
        EpochKeyForDay(epoch=2, day_key=b"id", sealed=b"both"),
    )
    assert (own.epoch, own.day_key, half.day_key) == (3, DAY.key_id, DAY.key_id)
    assert open_from_day(own.sealed, PRIVATE, LOG, 3) == b"k" * 32
    assert open_from_day(half.sealed, PRIVATE, LOG, 4) == b"h" * 32


def test_without_a_day_key_the_units_own_are_left_out_and_the_sealed_ones_are_not() -> None:
    unsealable = EpochKey(epoch=5, key_class=KeyClass.READ, own=None, day=b"half", day_key=None)
    kept = list(_for_department([OWN, SEALED, HALF, unsealable, BOTH], [], LOG, DAY_US))
    assert [one.epoch for one in kept] == [1, 2]
    assert [one.epoch for one in _for_department([unsealable], [DAY], LOG, DAY_US)] == []
