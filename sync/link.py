"""One conversation with the department, behind a small Protocol: senders need not know HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Link(Protocol):
    """One conversation with the department."""

    depth: int
    """How many messages may be on their way at once, each from its own thread."""

    def post(self, name: str, pieces: Sequence[bytes]) -> bytes:
        """Send one message, in pieces; returns the answer. Raises LinkError, RefusedByDepartmentError."""

    def close(self) -> None:
        """Close the connection."""

    @property
    def sent_bytes(self) -> int:
        """Bytes of messages sent so far."""
