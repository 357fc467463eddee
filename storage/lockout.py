"""Locks accounts after failed logins: five within 15 minutes, for 15 minutes. Pure; callers keep the times.

Source: FBI CJIS Security Policy, AC-7 (unsuccessful logon attempts). The reader's door, the console, the
department's desk and the enrollment of units use this rule; a signed policy may make it stricter.
Attempts during a lock do not count as failures, so they do not extend it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from storage.times import MINUTE_US


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutRule:
    """`attempts` failures within `window_us` lock until `lock_us` after the last of them."""

    attempts: int = 5
    window_us: int = 15 * MINUTE_US
    lock_us: int = 15 * MINUTE_US

    def locked_until_us(self, failures: Iterable[int]) -> int:
        """When the newest lock ends or ended, on the clock of `failures` (us); 0 if there was none."""
        times = sorted(failures)
        ends = [
            last + self.lock_us
            for first, last in zip(times, times[self.attempts - 1 :], strict=False)
            if last - first <= self.window_us
        ]
        return max(ends, default=0)

    def locked(self, failures: Iterable[int], now_us: int) -> bool:
        """Whether an account with these failures is locked now."""
        return now_us < self.locked_until_us(failures)

    def worth_keeping(self, failures: Iterable[int], now_us: int) -> list[int]:
        """The failures that still count toward a current or future lock at `now_us`; oldest first."""
        oldest = now_us - self.window_us - self.lock_us
        return sorted(at for at in failures if at >= oldest)


CJIS = LockoutRule()
