"""The refusal of an entry that does not count as its person's. No I/O."""

from __future__ import annotations

from storage.errors import ExplainedError


class UnsignedError(ExplainedError):
    """An entry does not count as this person's; the message says why."""
