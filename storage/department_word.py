"""The department's last statement of the time, which a unit keeps over restarts. Pure; no I/O.

A unit whose clock has no known time has no other measure for what the department dated: lists, trainings,
grants. Within one start of the machine, running time extrapolates the statement exactly. Over a restart,
custody's time does, which omits hours without power under a clock that it does not follow: then the result is
only the earliest possible time, and what depends on it is called stale rather than ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

WORD, WORD_BOOT_US, WORD_BOOT, WORD_AHEAD = "told_us", "told_boot_us", "told_boot", "told_ahead_us"
"""The cursors of the ledger's state (storage.state) that keep it."""


@dataclass(frozen=True, slots=True)
class StatedTime:
    """The time that the department stated, extrapolated to now. `exact`: it was stated since this machine
    started."""

    us: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWord:
    """`us` (UTC) was stated at `boot_us` of the machine start `boot`, see `boot_number`.

    ahead_us: how far custody's time was ahead of it (negative: behind) when both were last written.
    """

    us: int
    boot_us: int
    boot: int
    ahead_us: int

    def is_of(self, boot: int, boot_us: int) -> bool:
        """Whether it was stated in the machine start `boot`, of which `boot_us` have passed."""
        return 0 < boot == self.boot and self.boot_us <= boot_us

    def cursors(self) -> dict[str, int]:
        """The fields as the ledger's state stores them."""
        return {WORD: self.us, WORD_BOOT_US: self.boot_us, WORD_BOOT: self.boot, WORD_AHEAD: self.ahead_us}


def word_of(cursors: Mapping[str, int], since_us: int) -> TimeWord | None:
    """The statement in a state; None if there is none.

    since_us: how far custody's time is now ahead of the state's because of other signed times; that much has
    not certainly passed.
    """
    if not cursors.get(WORD):
        return None
    return TimeWord(
        us=cursors[WORD],
        boot_us=cursors.get(WORD_BOOT_US, 0),
        boot=cursors.get(WORD_BOOT, 0),
        ahead_us=cursors.get(WORD_AHEAD, 0) + since_us,
    )


def boot_number(boot_id: str) -> int:
    """The id of a machine start as a number; 0 if unknown."""
    return int.from_bytes(hashlib.sha256(boot_id.encode()).digest()[:7], "big") if boot_id else 0
