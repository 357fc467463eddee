"""The one-time enrollment code: 128 random bits, the root file's digest, and where to go. No I/O.

ALPR1-<base32 of: secret (16) || root digest (32) || address || first 4 bytes of SHA-256 of all that>
By the digest, the unit trusts only one root file; by the secret, the department trusts only one unit.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass, field

from sync.errors import NotEnrolledError

PREFIX = "ALPR1-"
SECRET_BYTES = 16
_SUM_BYTES = 4
_FIXED = SECRET_BYTES + 32 + _SUM_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentCode:
    """A parsed code. `address`: HOST:PORT of the department's front door."""

    secret: bytes = field(repr=False)
    root_digest: bytes
    address: str

    @classmethod
    def new(cls, root_digest: bytes, address: str) -> EnrollmentCode:
        return cls(secret=os.urandom(SECRET_BYTES), root_digest=root_digest, address=address)

    def digest(self) -> bytes:
        """The digest of the secret, which the department keeps."""
        return hashlib.sha256(b"alpr-enrollment-code\x00" + self.secret).digest()

    def text(self) -> str:
        """The code as it is read out, printed or scanned."""
        body = self.secret + self.root_digest + self.address.encode()
        data = body + hashlib.sha256(body).digest()[:_SUM_BYTES]
        return PREFIX + base64.b32encode(data).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> EnrollmentCode:
        """Raises NotEnrolledError for a code with a copying error."""
        clean = "".join(text.split()).upper()
        cure = "copy all of it again"
        if not clean.startswith(PREFIX) or len(clean) > 512:
            raise NotEnrolledError(f"an enrollment code starts with {PREFIX}", cure=cure)
        body = clean.removeprefix(PREFIX)
        try:
            data = base64.b32decode(body + "=" * (-len(body) % 8))
        except binascii.Error:
            raise NotEnrolledError("the enrollment code has a wrong letter", cure=cure) from None
        body_bytes, given = data[:-_SUM_BYTES], data[-_SUM_BYTES:]
        if len(data) <= _FIXED or not hmac.compare_digest(
            hashlib.sha256(body_bytes).digest()[:_SUM_BYTES], given
        ):
            raise NotEnrolledError("the enrollment code has a copying error", cure=cure)
        try:
            address = body_bytes[SECRET_BYTES + 32 :].decode("ascii")
        except UnicodeDecodeError:
            raise NotEnrolledError("the enrollment code has a copying error", cure=cure) from None
        code = cls(
            secret=body_bytes[:SECRET_BYTES],
            root_digest=body_bytes[SECRET_BYTES : SECRET_BYTES + 32],
            address=address,
        )
        if code.text() != clean:  # the last letter has unused bits
            raise NotEnrolledError("the enrollment code has a copying error", cure=cure)
        return code
