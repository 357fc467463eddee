"""The challenge of a console and the answer of a holder's key; works offline. No I/O.

Challenge: `UNIT:NONCE:crc`, short enough to type. Answer: the grant file and an SSH signature (namespace
"alpr-console") over unit, nonce and grant. A nonce is valid for one answer and a few minutes.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass

from firmware.console.errors import LineRefusedError, LoginRefusedError
from storage.codec import from_bytes, to_bytes
from storage.errors import StorageError
from storage.grant_format import Bundle, Grant
from storage.ssh_signature import verify

NAMESPACE = "alpr-console"
LIFE_S = 600.0
NONCE_BYTES = 20  # 160 bits, 32 letters
ANSWER_LIMIT = 12 * 1024
_TEXT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._@-]{0,63}):([a-z2-7]{32}):([0-9a-f]{4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A unit's challenge. asked_s: the unit's CLOCK_BOOTTIME; 0 for a challenge that was only parsed."""

    unit: str
    nonce: bytes
    asked_s: float = 0.0

    @classmethod
    def ask(cls, unit: str, running_s: float) -> Challenge:
        """Make a new challenge."""
        return cls(unit=unit, nonce=secrets.token_bytes(NONCE_BYTES), asked_s=running_s)

    @classmethod
    def parse(cls, text: str) -> Challenge:
        """Parse what a person typed or pasted on the laptop. Raises LineRefusedError."""
        match = _TEXT.fullmatch(text.strip())
        if match is None or _check(match[1], match[2]) != match[3]:
            raise LineRefusedError("not a challenge, or mistyped: copy the whole line UNIT:LETTERS:CHECK")
        return cls(unit=match[1], nonce=base64.b32decode(match[2].upper()))

    @property
    def text(self) -> str:
        """The line to show."""
        letters = base64.b32encode(self.nonce).decode().lower()
        return f"{self.unit}:{letters}:{_check(self.unit, letters)}"

    def message(self, bundle: Bundle) -> bytes:
        """The text that the holder's key signs, as `ssh-keygen -Y sign -n alpr-console -f KEY FILE` does."""
        lines = ("alpr console login 1", self.unit, self.nonce.hex(), bundle.digest.hex())
        return ("\n".join(lines) + "\n").encode()


def _check(unit: str, letters: str) -> str:
    return f"{binascii.crc_hqx(f'{unit}:{letters}'.encode(), 0):04x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeAnswer:
    """The laptop's answer: the grant file's content and the signature."""

    bundle: bytes
    signature: bytes

    def to_bytes(self) -> bytes:
        """Canonical CBOR."""
        return to_bytes(self)

    @classmethod
    def parse(cls, data: bytes) -> ChallengeAnswer:
        """Parse canonical CBOR. Raises LoginRefusedError."""
        try:
            return from_bytes(cls, data, limit=ANSWER_LIMIT)
        except StorageError as error:
            raise LoginRefusedError(f"not an answer: {error.what}") from None


def check_holder(
    answer: ChallengeAnswer, bundle: Bundle, grant: Grant, challenge: Challenge, running_s: float
) -> None:
    """Check that the grant's key answered this challenge in time. Raises LoginRefusedError."""
    if not 0 <= running_s - challenge.asked_s <= LIFE_S:
        raise LoginRefusedError("the challenge is too old: log in again")
    try:
        verify(answer.signature, challenge.message(bundle), grant.holder, namespace=NAMESPACE)
    except StorageError as error:
        raise LoginRefusedError(f"the answer does not prove the holder's key: {error.what}") from None
