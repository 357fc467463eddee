"""Failed logins: who must wait, and what the log records.

A lock (CJIS AC-7) covers a name *from an address*: a stranger who guesses under a person's name locks out the
stranger's address, not the person. Unknown names lock too, so that no answer reveals which names exist. The
log gets one entry per minute and name, with the number of failures.

Wrong codes after a right password or key count for the name alone, wherever they come from: only a person who
has the password can cause them, and a network full of addresses soon tries a million codes. An IPv6 network
(/64), which one household has, counts as one address. Locks survive a restart (`kept_failures.py`); the pace
of an address does not.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

from storage.lockout import LockoutRule
from storage.times import DAY_US, MINUTE_US
from sync.department.desk.people.kept_failures import EVERYWHERE, KeptFailures, Who
from sync.department.policy.refusals import LockedError, TooManyError
from sync.department.policy.system_terms import SessionTerms
from sync.logon_pace import LogonPace
from sync.networks import network_of

REMEMBERED = 20_000  # pairs of address and name
CODES = LockoutRule(attempts=10, window_us=DAY_US, lock_us=DAY_US)
"""Wrong codes for a name whose password was right: more than a person mistypes in a day."""

K = TypeVar("K")
V = TypeVar("V")


class LogonThrottle:
    """What a department remembers of failed logins. Thread-safe."""

    def __init__(self, open_kept: Callable[[], KeptFailures] = lambda: KeptFailures(None, b"")) -> None:
        """Make a throttle. `open_kept`: called at the first login."""
        self._guard = threading.Lock()
        self._open_kept, self._opened = open_kept, False
        self._kept = KeptFailures(None, b"")
        self._failures: OrderedDict[Who, list[int]] = OrderedDict()
        self._pace = LogonPace(REMEMBERED)
        self._entered: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._codes: OrderedDict[Who, list[int]] = OrderedDict()

    def close(self) -> None:
        """Close the file; what is in memory stays."""
        with self._guard:
            self._kept.close()

    def _who(self, user: str, address: str | None) -> Who:
        """The digests of a name and its address; None means any address. What was kept is read first."""
        if not self._opened:
            self._opened, self._kept = True, self._open_kept()
            for who, times in self._kept.all():
                _keep(self._failures if who[1] != EVERYWHERE else self._codes, who, times)
        network = EVERYWHERE if address is None else self._kept.hash_of(network_of(address))
        return self._kept.hash_of(user), network

    def _count(self, table: OrderedDict[Who, list[int]], who: Who, times: list[int]) -> None:
        for gone in _keep(table, who, times):
            self._kept.drop(gone)
        self._kept.put(who, times)

    def demand_pace(self, address: str, now_us: int, *, begins: bool = False) -> None:
        """Limit how often an address tries. Raises TooManyError. A command on this machine has no limit.

        `begins`: whether this is the request that begins a login, which is counted separately.
        """
        if not address:
            return
        with self._guard:
            in_time = self._pace.spend(f"{'begin ' if begins else ''}{network_of(address)}", now_us)
        if not in_time:
            raise TooManyError("too many logins from this address", clause="CJIS AC-7", cure="wait a minute")

    def demand_open(self, terms: SessionTerms, address: str, user: str, now_us: int) -> None:
        """Refuse a name that failed too often from this address. Raises LockedError."""
        with self._guard:
            times = _past(self._failures.get(self._who(user, address), ()), now_us)
        if _rule(terms).locked(times, now_us):
            raise LockedError(
                f"{terms.attempts} failed logins: locked for {terms.lockout_minutes} minutes",
                code="locked-out",
                clause="CJIS AC-7",
                cure="wait, use another machine, or ask the administrator",
            )

    def demand_codes(self, user: str, now_us: int) -> None:
        """Refuse a name with too many wrong codes after the right password, from anywhere. Raises
        LockedError."""
        with self._guard:
            times = _past(self._codes.get(self._who(user, None), ()), now_us)
        if CODES.locked(times, now_us):
            raise LockedError(
                f"{CODES.attempts} wrong codes after the right password: someone may know it. Locked a day",
                code="locked-out",
                clause="CJIS AC-7",
                cure="ask the administrator for a new password, or to lift this; or log in with a passkey",
            )

    def failed(
        self, terms: SessionTerms, address: str, user: str, now_us: int, *, code: bool = False
    ) -> bool:
        """Count a failure, and return whether it locks the name. `code`: the password or key was right."""
        with self._guard:
            who = self._who(user, address)
            times = self._failures.get(who, [])
            self._count(self._failures, who, [*_rule(terms).worth_keeping(times, now_us), now_us][-32:])
            if not code:
                return False
            who = self._who(user, None)
            codes = [*CODES.worth_keeping(self._codes.get(who, []), now_us), now_us][-32:]
            self._count(self._codes, who, codes)
        return CODES.locked(codes, now_us)

    def passed(self, address: str, user: str) -> None:
        """Forget the failures of a name from this address."""
        with self._guard:
            who = self._who(user, address)
            if self._failures.pop(who, None) is not None:
                self._kept.drop(who)

    def lift(self, user: str) -> None:
        """Forget a name's failures from everywhere."""
        with self._guard:
            name = self._who(user, None)[0]
            for table in (self._codes, self._failures):
                for who in [one for one in table if one[0] == name]:
                    del table[who]
            self._kept.drop_name(name)

    def to_enter(self, name: str, now_us: int) -> int:
        """How many failures of a name the next entry reports; 0 within a minute of the last one."""
        with self._guard:
            last_us, waiting = self._entered.get(name, (-MINUTE_US, 0))
            if now_us - last_us < MINUTE_US:
                _keep(self._entered, name, (last_us, waiting + 1))
                return 0
            _keep(self._entered, name, (now_us, 0))
            return waiting + 1


def _rule(terms: SessionTerms) -> LockoutRule:
    return LockoutRule(
        attempts=terms.attempts,
        window_us=terms.window_minutes * MINUTE_US,
        lock_us=terms.lockout_minutes * MINUTE_US,
    )


def _past(times: Iterable[int], now_us: int) -> list[int]:
    """Drop times in the future, since a clock that was ahead would lock a person for that long."""
    return [at for at in times if at <= now_us + MINUTE_US]


def _keep(table: OrderedDict[K, V], key: K, value: V) -> list[K]:
    """Store a value as the newest. Drops the oldest ones above the limit and returns their keys."""
    table[key] = value
    table.move_to_end(key)
    return [table.popitem(last=False)[0] for _ in range(len(table) - REMEMBERED)]
