"""The key of a session, once its person certified it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSigner:
    """A session: its person, its signing key, its term, and since when it is locked (0: it is not)."""

    user: str
    public_key: bytes
    from_us: int
    ends_us: int
    locked_us: int = 0
