"""One conversation with the department, behind one small Protocol: who sends needs to know no HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Link(Protocol):
    """One conversation with the department."""

    depth: int
    """How many messages may be on their way at once, each from its own thread."""

    def post(self, name: str, pieces: Sequence[bytes]) -> bytes:
        """Send one message, in pieces; the answer. Raises LinkError, RefusedByDepartmentError."""

    def close(self) -> None:
        """Let the connection go."""

    @property
    def sent_bytes(self) -> int:
        """Bytes of messages sent so far."""
