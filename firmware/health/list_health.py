"""What a unit's hot lists give to its health report: how many match as they should. No plate, no name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHealth:
    """The facts of the lists for health: how many. `refused`: what the department sent does not hold.

    `missing`: lists that the department sent and that are not here any more, or cannot be read. `in_doubt`:
    lists whose alerts are marked stale because the unit's clock knows no time, not because they are old.
    """

    lists: int = 0
    expired: int = 0
    stale: int = 0
    refused: int = 0
    missing: int = 0
    in_doubt: int = 0

    @property
    def failing(self) -> int:
        """Lists that do not match as they should."""
        return self.expired + self.refused + self.missing
