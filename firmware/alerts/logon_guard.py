"""Failed logins at the alert page: who must wait, and how often they are logged. No I/O.

The page is on the vehicle's network, so a stranger may post to it. Logins from one address are limited in
rate. Wrong passwords lock a name for the address that sent them (CJIS AC-7). A key is never locked: it cannot
be guessed, and a stranger could lock an officer out. The log gets one entry per minute and name, with the
number of refusals; names that are not on the roster share one entry.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from storage import access
from storage.errors import RefusedError
from storage.lockout import CJIS
from storage.times import MINUTE_US
from sync.logon_pace import LogonPace
from sync.networks import network_of

REMEMBERED = 2_000  # most addresses, and pairs of address and name, in memory


@dataclass(slots=True)
class RefusedLogons:
    """The refusals under one name since the last log entry about them: the newest, and their number."""

    entered_us: int
    request: access.Request
    why: str
    count: int = 0


class LogonGuard:
    """The failed logins of one run, by the time since boot (us). The caller holds a lock."""

    def __init__(self) -> None:
        self._pace = LogonPace(REMEMBERED)
        self._wrong: OrderedDict[tuple[str, str], list[int]] = OrderedDict()
        self._refused: dict[str, RefusedLogons] = {}

    def demand_pace(self, address: str, now_us: int) -> None:
        """Raise RefusedError for an address that tries too often."""
        if not self._pace.spend(network_of(address), now_us):
            raise RefusedError("too many logins from this address", clause="CJIS AC-7", cure="wait a minute")

    def is_locked(self, address: str, user: str, now_us: int) -> bool:
        """Whether wrong passwords from this address have locked this name for it."""
        return CJIS.locked(self._wrong.get((network_of(address), user), ()), now_us)

    def note_wrong_password(self, address: str, user: str, now_us: int) -> None:
        """Count a wrong password."""
        place = network_of(address), user
        times = CJIS.worth_keeping(self._wrong.pop(place, []), now_us)
        self._wrong[place] = [*times[-CJIS.attempts :], now_us]
        if len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)

    def note_refused(self, name: str, request: access.Request, why: str, now_us: int) -> None:
        """Note a login that proved no identity. name: as on the roster, or empty."""
        known = self._refused.setdefault(name, RefusedLogons(now_us - MINUTE_US, request, why))
        known.request, known.why, known.count = request, why, known.count + 1

    def take_due(self, now_us: int) -> list[RefusedLogons]:
        """The refusals to log now; they then count as logged."""
        due = [one for one in self._refused.values() if one.count and now_us - one.entered_us >= MINUTE_US]
        taken = [RefusedLogons(now_us, one.request, one.why, one.count) for one in due]
        for one in due:
            one.entered_us, one.count = now_us, 0
        return taken
