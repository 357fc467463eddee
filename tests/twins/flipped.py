"""Damage that always changes something, for tests of what notices it."""

from __future__ import annotations


def flip(data: bytes, at: int = -1) -> bytes:
    """The bytes with one bit of one of them turned.

    A fixed byte written instead changes nothing once in 256: random data held it already.
    """
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)
