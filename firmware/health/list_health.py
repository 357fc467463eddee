"""The health report's figures about hot lists: how many match as they should. No plate, no name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHealth:
    """Numbers of lists. `refused`: lists from the department that are not valid.

    `missing`: lists from the department that are no longer here or cannot be read. `in_doubt`: lists whose
    alerts are marked stale because the unit's clock has no known time, not because they are old.
    """

    lists: int = 0
    expired: int = 0
    stale: int = 0
    refused: int = 0
    missing: int = 0
    in_doubt: int = 0

    @property
    def failing(self) -> int:
        """How many lists do not match as they should."""
        return self.expired + self.refused + self.missing
