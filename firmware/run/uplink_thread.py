"""The uplink of a running reader: a thread that syncs with the department on schedule.

Promises: an error here becomes an event in the log and is retried; it never stops the reader. The thread ends
within seconds of the request, even in the middle of a parcel. A unit that is enrolled while it reads begins
to sync at once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from firmware.custody.opening import sync_folder
from storage.ledger import Ledger
from storage.times import now_us as wall_us
from sync.errors import NotEnrolledError
from sync.health import HealthMessage
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from sync.runner import Attempt, Runner
from sync.schedule import Conditions, Schedule

LOOK_S = 1.0
AGAIN_S = 60.0  # after an unforeseen failure
JOIN_S = 3.0  # a thread that is still connecting then is abandoned; the ledger that it would need is closed


class UplinkThread:
    """A context manager that syncs a unit that is enrolled, or becomes so meanwhile."""

    def __init__(
        self,
        ledger: Ledger,
        home: Path,
        schedule: Schedule,
        *,
        log: structlog.typing.FilteringBoundLogger,
        now_us: Callable[[], int] = wall_us,
        conditions: Callable[[], Conditions] = Conditions,
        on_gives_way: Callable[[str], None] | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
        health: Callable[[], HealthMessage | None] = lambda: None,
    ) -> None:
        self._folder, self._ledger = sync_folder(home), ledger
        self._log = log
        self._stop = threading.Event()
        self._runner = Runner(
            LedgerOutbox(ledger, self._folder.inbox),
            self._folder,
            schedule,
            now_us=now_us,
            conditions=conditions,
            on_gives_way=on_gives_way,
            on_attempt=on_attempt,
            health=health,
        )
        self._thread = threading.Thread(target=self._work, name="uplink", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._runner.hang_up()
        self._thread.join(JOIN_S)

    def nudge(self) -> None:
        """Sync now: a hit must not wait for a window."""
        self._runner.nudge()

    def _work(self) -> None:
        told = False
        while not self._stop.is_set():
            if not self._folder.is_member():
                lost = self._folder.lost_membership() or self._ledger.standing.enrollment is not None
                if lost and not told:
                    told = True
                    self._log.error("not_enrolled", what=_why_not(self._folder))
                self._stop.wait(LOOK_S)
                continue
            try:
                self._runner.run(self._stop)
            except Exception as error:  # noqa: BLE001 - named, and tried again: a silent thread is a lost unit
                if self._stop.is_set():  # abandoned while it connected, and the ledger is closed
                    return
                facts = {"reason": str(error)} if isinstance(error, OSError | sqlite3.Error) else {}
                self._log.error("uplink_failed", kind=type(error).__name__, **facts)
                why = facts.get("reason", type(error).__name__)
                self._runner.save_failure(f"{why} (it is tried again in a minute; the log says more)")
                self._stop.wait(AGAIN_S)


def _why_not(folder: SyncFolder) -> str:
    try:
        folder.member()
    except NotEnrolledError as error:
        return str(error)
    return ""
