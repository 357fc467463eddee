"""Damage that always changes something, for tests of what detects it."""

from __future__ import annotations


def flip(data: bytes, at: int = -1) -> bytes:
    """The data with one bit flipped.

    Writing a fixed byte would change nothing in one case of 256: random data has it already.
    """
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)
