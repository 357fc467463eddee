"""Wires the alerts of one run: lists, board and watch over one ledger."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from firmware.alerts.board import AlertBoard, OpenAlert
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.lasting_time import LastingTime, ListTime
from firmware.alerts.opened_lists import member_of, open_lists
from firmware.alerts.page_api import PageApi
from firmware.alerts.page_server import Feed, serving_page
from firmware.alerts.sessions import PageSessions
from firmware.alerts.watch import HotListWatch, watching_lists
from storage.ledger import Ledger
from sync.hot_lists.held import HeldLists, lists_folder
from sync.membership import SyncFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """The alert parts of a run."""

    watch: HotListWatch
    board: AlertBoard
    held: HeldLists
    of_lists: Callable[[], ListTime]


def unit_of(folder: SyncFolder) -> str:
    """The unit's id at its department; empty if it has none."""
    member = member_of(folder)
    return "" if member is None else member.unit_id


@contextlib.contextmanager
def alerting(  # noqa: PLR0917 - called once, where a run is wired
    home: Path,
    ledger: Ledger,
    folder: SyncFolder,
    known_states: Sequence[str],
    now_us: LastingTime,
    log: structlog.typing.FilteringBoundLogger,
    *,
    listen: str = "127.0.0.1",
    port: int | None = None,
    changed: Callable[[OpenAlert, str], None] = lambda _alert, _what: None,
    warn: Callable[[], None] = lambda: None,
    came: threading.Event | None = None,
) -> Iterator[Alerts]:
    """Match lists, raise alerts and serve the page while the block runs.

    changed: called after each change of an alert, in the thread that made it. warn: called for a hit that
    could not be stored. came: set when lists have come. Lists that cannot be opened do not stop a run: they
    are reported, and nothing matches.
    """
    cleared = ClearedPlates(lists_folder(home), ledger.hot_list_key())
    feed = Feed()

    def on_change(alert: OpenAlert, what: str) -> None:
        feed.changed(alert, what)
        changed(alert, what)

    def on_unstored() -> None:
        feed.unstored()
        warn()

    board = AlertBoard(
        ledger, cleared, terms=lambda: ledger.store.policy.alerts, changed=on_change, warn=on_unstored
    )
    held = open_lists(home, ledger, folder)
    watch = HotListWatch(
        held,
        cleared,
        board,
        terms=lambda: ledger.store.policy.alerts,
        known_states=known_states,
        now_us=now_us,
        of_lists=now_us.of_lists,
        log=log,
    )

    sessions = PageSessions(ledger, lambda: unit_of(folder))
    api = PageApi(ledger, board, sessions, now_us)
    with (
        contextlib.closing(held),
        watching_lists(watch, came or threading.Event()),
        serving_page(listen, port, folder, api, sessions, feed, log),
    ):
        yield Alerts(watch=watch, board=board, held=held, of_lists=now_us.of_lists)
