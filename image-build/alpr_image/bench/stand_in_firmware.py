"""A stand-in for a Raspberry Pi's firmware behind /dev/vcio: answers messages like the cryptography service.

The driver's tests use it, and images for machines without such firmware contain it. It imports nothing from
the project, so that it runs in both.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

_PROPERTY = 0xC0086400
_DONE = 0x8000_0000
_LAST_ERROR, _KEY_STATUS, _SET_KEY_STATUS = 0x0003_008E, 0x0003_0090, 0x0003_8090
_HMAC, _GENERATE = 0x0003_0092, 0x0003_0095
_READ_LOCKED, _GENERATE_LOCKED, _HMAC_LOCKED = 1 << 8, 1 << 9, 1 << 11


class StandInFirmware:
    """One board. key: in its fuses; empty before a key is burned.

    old: a firmware without the service. locks: status bits that are set at its start.
    """

    def __init__(self, key: bytes = b"", *, old: bool = False, locks: int = 0) -> None:
        self.key, self.old, self.locks = key, old, locks
        self.error = 0
        self.asked: list[int] = []

    def ioctl(self, _handle: int, request: int, message: bytearray) -> int:
        """Answer a message from the kernel. Raises OSError if it is not a message."""
        size, code, tag, room, _ = struct.unpack_from("<5I", message)
        if request != _PROPERTY or size != len(message) or code or size < 20 + room + 4:
            raise OSError(22, "Invalid argument")
        if message[20 + room : 24 + room] != bytes(4):
            raise OSError(22, "Invalid argument")
        self.asked.append(tag)
        struct.pack_into("<I", message, 4, _DONE)
        if self.old:
            return 0  # answered, with the tag unchanged
        value = self._answer(tag, bytes(message[20 : 20 + room]))
        struct.pack_into("<I", message, 16, _DONE | len(value))
        message[20 : 20 + len(value)] = value
        return 0

    def _answer(self, tag: int, value: bytes) -> bytes:
        if tag == _LAST_ERROR:
            return struct.pack("<I", self.error)
        if tag == _KEY_STATUS:
            (number,) = struct.unpack_from("<I", value)
            return struct.pack("<I", self._failed(3) if number != 1 else self.locks | bool(self.key))
        first, second = struct.unpack_from("<2I", value)
        if tag == _SET_KEY_STATUS:
            self.locks |= second if first == 1 else 0
            return value
        if tag == _GENERATE:
            if second == 1 and not self.key and not self.locks & _GENERATE_LOCKED:
                self.key = hashlib.sha256(b"drawn by the firmware").digest()
            else:
                self._failed(10 if self.key else 4)
            return value
        if tag == _HMAC:
            return self._hmac(second, value)
        return struct.pack("<I", self._failed(8))

    def _hmac(self, number: int, value: bytes) -> bytes:
        (length,) = struct.unpack_from("<I", value, 8)
        if number != 1 or not self.key or self.locks & _HMAC_LOCKED:
            return struct.pack("<2I", self._failed(3 if number != 1 else 4 if self.key else 6), 0)
        digest = hmac.new(self.key, value[12 : 12 + length], hashlib.sha256).digest()
        self.error = 0
        return struct.pack("<2I", 0, len(digest)) + digest

    def _failed(self, error: int) -> int:
        self.error = error
        return _DONE
