"""Whether the key service on a separate machine works, for `compliance`. It is asked at most once a
minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sync.department.content.key_remote import CERTIFICATES, RemoteKeyService
from sync.department.desk.owed import Late, Overdue
from sync.department.policy.refusals import DeskRefusal
from sync.errors import KeyServiceError

EVERY_S = 60.0


class MinuteLook:
    """What the last look found wrong, in words; empty for nothing. Thread-safe.

    A look that hangs costs one short wait per minute. Other threads meanwhile get the last answer.
    """

    def __init__(self, look: Callable[[], str], now_s: Callable[[], float] = time.monotonic) -> None:
        self._look, self._now_s = look, now_s
        self._asking = threading.Lock()
        self._asked_s, self._problem = -EVERY_S, ""

    def newest(self) -> str:
        """Look if the last look was a minute ago and no other thread is looking; return the newest answer."""
        if self._now_s() - self._asked_s < EVERY_S or not self._asking.acquire(blocking=False):
            return self._problem
        try:
            self._problem = self._look()
        finally:
            self._asked_s = self._now_s()
            self._asking.release()
        return self._problem


class KeysReach:
    """What the key service last said of its state. Thread-safe."""

    def __init__(self, service: RemoteKeyService, now_s: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._look = MinuteLook(self._fault, now_s)

    def overdue(self) -> list[Overdue]:
        """That the key service does not work, and what to do; empty while it works."""
        problem = self._look.newest()
        if not problem:
            return []
        cure = CERTIFICATES.get(problem) or (
            "start it on its machine (department keys serve), and compare url, token and ca of keys.remote "
            "in the department's home"
        )
        what = (
            f"the key service does not serve this department ({problem}): no search opens anything, nothing "
            f"is purged or taken in from units; {cure}"
        )
        return [Overdue(kind=Late.SERVICE, clause="463.5", what=what)]

    def _fault(self) -> str:
        try:
            self._service.demand_served()
        except (KeyServiceError, DeskRefusal) as error:
            return error.what
        return ""
