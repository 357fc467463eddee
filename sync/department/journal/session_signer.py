"""The key of a session, once its person certified it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSigner:
    """Whose session it is, the key that signs for it, from when and until when; since when it is locked, 0 if
    it is not."""

    user: str
    public_key: bytes
    from_us: int
    ends_us: int
    locked_us: int = 0
