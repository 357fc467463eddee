"""The cryptography service of a Raspberry Pi's firmware: an HMAC under a key in the board's fuses.

The key never reaches Linux. A message to /dev/vcio: five words of 32 bits (bytes in all, code, tag, room for
the value, bytes of the value), the value and an end tag of 0 (Mailbox property interface, wiki of
raspberrypi/firmware). Tags, status bits and errors are those of rpifwcrypto (raspberrypi/utils).
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Protocol

from alpr_device.errors import KeySourceError

DEVICE = Path("/dev/vcio")
KEY_ID = 1  # the first key slot of the fuses
HMAC_BYTES = 32
_PROPERTY = 0xC0086400  # _IOWR(100, 0, char *), 64-bit
_HEAD = struct.Struct("<5I")
_ANSWERED = 0x8000_0000
_FAILED = 0x8000_0000
_LAST_ERROR, _KEY_STATUS, _SET_KEY_STATUS = 0x0003_008E, 0x0003_0090, 0x0003_8090
_HMAC, _GENERATE = 0x0003_0092, 0x0003_0095
_HMAC_MESSAGE_BYTES = 2048
_STATUS_READ_LOCKED = 1 << 8
_NOT_SET = 6
_ERRORS = {
    1: "unknown error",
    2: "invalid argument",
    3: "no such key",
    4: "the key is locked",
    5: "the fuses cannot be read",
    6: "no key is set",
    7: "the key is not a P-256 key",
    8: "not supported",
    9: "the operation failed",
    10: "the key slot is not blank",
}

_ioctl = fcntl.ioctl


class FirmwareKeys(Protocol):
    """The part of a board that has its key and computes with it."""

    def has_key(self) -> bool:
        """Whether the key slot of the fuses is filled. Raises KeySourceError."""

    def generate(self) -> None:
        """Fill the key slot for good: fuses cannot be reset. Raises KeySourceError."""

    def hmac(self, message: bytes) -> bytes:
        """HMAC-SHA256 of up to 2,048 bytes under the key, 32 bytes. Raises KeySourceError."""

    def lock(self) -> None:
        """Refuse to give out the key itself until the next start. Raises KeySourceError."""


class Mailbox:
    """The firmware of a Raspberry Pi 4 or 5."""

    def __init__(self, device: Path = DEVICE) -> None:
        self._device = device

    def has_key(self) -> bool:
        """See FirmwareKeys.has_key. Asks for an HMAC, since a missing key has its own error."""
        try:
            self.hmac(b"is a key set?")
        except KeySourceError:
            if self._last_error() == _NOT_SET:
                return False
            raise
        return True

    def generate(self) -> None:
        """See FirmwareKeys.generate. The firmware generates a key and burns it."""
        self._ask(_GENERATE, struct.pack("<2I", 0, KEY_ID), room=8)
        if not self.has_key():
            raise KeySourceError(f"the firmware made no key: {self._reason()}")

    def hmac(self, message: bytes) -> bytes:
        """See FirmwareKeys."""
        if len(message) > _HMAC_MESSAGE_BYTES:
            raise KeySourceError(f"a message of {len(message)} bytes; at most {_HMAC_MESSAGE_BYTES}")
        value = struct.pack("<3I", 0, KEY_ID, len(message)) + message
        answer = self._ask(_HMAC, value, room=12 + _HMAC_MESSAGE_BYTES)
        status, length = struct.unpack_from("<2I", answer)
        if status & _FAILED or length != HMAC_BYTES:
            raise KeySourceError(f"the firmware made no HMAC: {self._reason()}")
        return answer[8 : 8 + HMAC_BYTES]

    def lock(self) -> None:
        """See FirmwareKeys."""
        self._ask(_SET_KEY_STATUS, struct.pack("<2I", KEY_ID, _STATUS_READ_LOCKED), room=8)
        (status,) = struct.unpack_from("<I", self._ask(_KEY_STATUS, struct.pack("<I", KEY_ID), room=4))
        if status & _FAILED or not status & _STATUS_READ_LOCKED:
            raise KeySourceError("the firmware does not lock the key")

    def _last_error(self) -> int:
        (code,) = struct.unpack_from("<I", self._ask(_LAST_ERROR, b"", room=4))
        return int(code)

    def _reason(self) -> str:
        code = self._last_error()
        return _ERRORS.get(code, f"error {code}")

    def _ask(self, tag: int, value: bytes, *, room: int) -> bytes:
        """Send one property; returns the value that the firmware puts in its place."""
        size = _HEAD.size + (room + 3) // 4 * 4 + 4
        message = bytearray(size)
        _HEAD.pack_into(message, 0, size, 0, tag, room, len(value))
        message[_HEAD.size : _HEAD.size + len(value)] = value
        try:
            handle = os.open(self._device, os.O_RDWR | os.O_CLOEXEC)
            try:
                _ioctl(handle, _PROPERTY, message)
            finally:
                os.close(handle)
        except OSError as error:
            raise KeySourceError(f"{self._device}: {error.strerror}") from None
        _, code, _, _, answered = _HEAD.unpack_from(message)
        if not code & _ANSWERED or not answered & _ANSWERED:
            raise KeySourceError(
                "this board's firmware keeps no keys: update its EEPROM (rpi-eeprom-update -a)"
            )
        return bytes(message[_HEAD.size : _HEAD.size + room])
