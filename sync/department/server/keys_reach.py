"""Whether the key service on a separate machine serves, for `compliance`: asked at most once a minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sync.department.content.key_remote import RemoteKeyService
from sync.department.desk.owed import Late, Overdue
from sync.department.policy.refusals import DeskRefusal
from sync.errors import KeyServiceError

EVERY_S = 60.0


class KeysReach:
    """What the key service last said when it was asked whether it serves. Thread-safe.

    One that hangs costs one short wait a minute; who asks meanwhile is given the last answer.
    """

    def __init__(self, service: RemoteKeyService, now_s: Callable[[], float] = time.monotonic) -> None:
        self._service, self._now_s = service, now_s
        self._asking = threading.Lock()
        self._asked_s, self._problem = -EVERY_S, ""

    def overdue(self) -> list[Overdue]:
        """That it does not serve, and what to do; empty while it does."""
        problem = self._newest()
        if not problem:
            return []
        what = (
            f"the key service does not serve this department ({problem}): no search opens anything, nothing "
            "is purged or taken in from units; start it on its machine (department keys serve), and compare "
            "url, token and ca of keys.remote in the department's home"
        )
        return [Overdue(kind=Late.KEYS, clause="463.5", what=what)]

    def _newest(self) -> str:
        if self._now_s() - self._asked_s < EVERY_S or not self._asking.acquire(blocking=False):
            return self._problem
        try:
            self._service.demand_served()
            self._problem = ""
        except (KeyServiceError, DeskRefusal) as error:
            self._problem = error.what
        finally:
            self._asked_s = self._now_s()
            self._asking.release()
        return self._problem
