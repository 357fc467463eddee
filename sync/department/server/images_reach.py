"""Whether the store of images works and has what it took, for `compliance` and the server's start.

If a disk is not mounted, blobs_folder names another place or a bucket lacks credentials, searches still
answer, but no picture opens and new ones are stored elsewhere, without anyone noticing. The store is asked at
most once a minute.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import sqlalchemy as sa
import structlog

from sync.department.desk.owed import Late, Overdue
from sync.department.server.keys_reach import MinuteLook
from sync.department.store.blobs import PackStore
from sync.department.store.database import Store
from sync.department.store.tables import elements
from sync.errors import StoreError

log_events = structlog.get_logger("department.server")
NO_DAY = 0  # 1970: no read came on this day


class ImagesReach:
    """Whether the store answers and returns a piece of the newest day's images. Thread-safe."""

    def __init__(self, store: Store, packs: PackStore, now_s: Callable[[], float] = time.monotonic) -> None:
        self._store, self._packs = store, packs
        self._look = MinuteLook(self._problem, now_s)

    def overdue(self) -> list[Overdue]:
        """That the store does not return what it took, and what to do; empty while it does."""
        problem = self._look.newest()
        if not problem:
            return []
        what = (
            f"the store of images does not serve this department ({problem}): no picture in it opens, and "
            "what units send waits or goes to the wrong place; stop the server, mount that disk, or compare "
            "blobs_folder and blobs_endpoint in department.toml and the store's credentials, then start it"
        )
        return [Overdue(kind=Late.STORE, clause="463.8", what=what)]

    def say(self) -> None:
        """Write the same to the server's events, before the first image goes there."""
        for one in self.overdue():
            log_events.warning("images_not_reached", reason=one.what)

    def _problem(self) -> str:
        piece = None
        with contextlib.suppress(StoreError):  # other code reports what is wrong with the database
            piece = self._newest_piece()
        try:
            if piece is None:
                self._packs.names(NO_DAY)  # whether it answers and admits this department
            else:
                day, pack, offset = piece
                self._packs.get(day, pack, offset, 1)
        except StoreError as error:
            return f"{error.what}: {error.cure}" if error.cure else error.what
        except OSError as error:
            return error.strerror or type(error).__name__
        return ""

    def _newest_piece(self) -> tuple[int, str, int] | None:
        """(day, pack, offset) of one image of the newest day of receipt; None if that day has none."""
        e = elements.c
        with self._store.read() as connection:
            day = connection.scalar(sa.select(sa.func.max(e.day)))
            if day is None:
                return None
            query = sa.select(e.pack, e.offset).where(e.day == day, e.pack.is_not(None)).limit(1)
            row = connection.execute(query).first()
        return None if row is None else (int(day), str(row.pack), int(row.offset))
