"""New authenticators that wait for their first code: the newest of each session, in memory. No I/O.

A secret is in force only once its owner has typed a code of it, so that a picture that was not scanned, or a
phone that did not keep it, locks no one out. Until then, the password and the previous authenticator apply.
Each request makes another secret, and the code shows which one the phone has, so that a copy of the session
never sees the one that its owner scans. Only the newest few are valid; the refusal of a code from a replaced
one says so.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import pyotp

from storage.times import MINUTE_US
from sync.department.desk.people.rules import step_of
from sync.department.policy.refusals import FormError

WAITS_US = 30 * MINUTE_US
MOST_SESSIONS, MOST_EACH, MOST_KNOWN = 1024, 4, 16
NONE_WAITS, WRONG_CODE = "none-waits", "new-code"
CLAUSE = "CJIS IA-5"
STILL = "your old password and authenticator are still valid"


class NewSecrets:
    """The secrets that wait. Thread-safe; the repr shows none."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: OrderedDict[bytes, list[tuple[str, int]]] = OrderedDict()

    def make(self, session: bytes, now_us: int) -> str:
        """Make a new secret for the session."""
        secret = pyotp.random_base32()
        with self._guard:
            known = self._waiting.pop(session, [])
            self._waiting[session] = [*known, (secret, now_us)][-MOST_KNOWN:]
            while len(self._waiting) > MOST_SESSIONS:
                self._waiting.popitem(last=False)
        return secret

    def confirmed(self, session: bytes, code: str, now_us: int, *phones: int) -> tuple[str, int]:
        """(the session's new secret that `code` belongs to, the code's time step). Raises FormError.

        This uses up the code. `phones`: the times that phones may show, which may be right when the server's
        clock is wrong.
        """
        with self._guard:
            known = self._waiting.get(session, [])
        waiting = [secret for secret, made_us in known if now_us - made_us <= WAITS_US]
        if not waiting:
            raise self._gone(
                "no new authenticator waits for a code: each waits half an hour, until the desk restarts"
            )
        tried = ((one, step_of(one, code, at_us, -1)) for one in waiting for at_us in (*phones, now_us))
        secret, step = next(((one, step) for one, step in tried if step is not None), ("", None))
        if step is None:
            raise FormError(
                "that is not a code of the new authenticator",
                code=WRONG_CODE,
                clause=CLAUSE,
                cure=f"scan the picture, and type the six digits that the phone shows now; {STILL}",
            )
        if secret not in waiting[-MOST_EACH:]:
            raise self._gone("the picture that you scanned was replaced by newer ones")
        return secret, step

    @staticmethod
    def _gone(what: str) -> FormError:
        cure = f"scan another picture, and type a code of that; {STILL}"
        return FormError(what, code=NONE_WAITS, clause=CLAUSE, cure=cure)

    def forget(self, session: bytes) -> None:
        """Forget the session's secrets, one of which is now in force."""
        with self._guard:
            self._waiting.pop(session, None)
