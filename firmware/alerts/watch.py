"""Hot lists of a running reader: refreshed after a sync, matched with every pass, hits put on the board.

A list that fails or expires never stops a read. Events name lists and counts, never a plate.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from firmware.alerts.board import AlertBoard, PlannedAlert
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.lasting_time import ListTime
from firmware.alerts.list_age import has_ended, health_of
from firmware.alerts.matching import MOST_LOOKED_AT, MOST_OF_A_PLATE, ListMatch, match
from firmware.frames.pipeline import EndedPass
from firmware.health.list_health import ListHealth
from firmware.threads import working
from storage.alert_terms import AlertTerms
from storage.errors import StorageError
from storage.read_records import Alert, Read
from storage.times import HOUR_US
from sync.hot_lists.document import LOCAL
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import HeldList, HeldLists

if TYPE_CHECKING:
    from firmware.alerts.board import OpenAlert

EVERY_S = 30.0
FAILED = "hot_lists_failed"  # the event
CROWDED_CURE = (
    f"a plate has over {MOST_OF_A_PLATE} entries in force, or one after its first {MOST_LOOKED_AT:,} of any "
    "kind: the rest matches nothing; ask for a corrected list"
)


class HotListWatch:
    """Matches passes with the current lists.

    Only the storing thread may call methods other than `refresh`, `doubt` and `health`.
    """

    def __init__(
        self,
        held: HeldLists,
        cleared: ClearedPlates,
        board: AlertBoard,
        *,
        terms: Callable[[], AlertTerms],
        known_states: Sequence[str],
        now_us: Callable[[], int],
        of_lists: Callable[[], ListTime],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._held, self._cleared, self._board = held, cleared, board
        self._terms, self._known, self._now_us, self._log = terms, known_states, now_us, log
        self._of_lists = of_lists
        self._found: list[ListMatch] = []
        self._planned: list[PlannedAlert] = []
        self._found_in: Sequence[HeldList] = ()
        self._must_follow = False  # open alerts may lag: raised from replaced lists, or a refresh failed
        self._cleared_there: frozenset[bytes] = frozenset()
        self._muted: frozenset[str] = frozenset()
        self._reported: set[tuple[str, str]] = set()
        self._crowd_at: dict[str, tuple[int, int]] = {}  # by list: version and hour of the last look
        self._refused = 0
        self._doubted = True  # the lists of an earlier run have not been checked yet
        self._refreshing = threading.Lock()

    def matches(self, ended: EndedPass) -> bool:
        """Whether a pass matches an entry; the matches are kept for `alerts`."""
        vehicle, self._found_in, time = ended.vehicle, self._held.lists, self._of_lists()
        try:
            self._found = match(
                vehicle.text,
                vehicle.best_box,
                self._found_in,
                self._terms(),
                self._known,
                time.likely_us,
                sure_us=time.sure_us,
                vague=time.vague,
                frames=vehicle.frames_voted,
                cleared=self._cleared.all | self._cleared_there,
                muted=self._muted,
            )
        except (StorageError, OSError) as error:
            self._report("hot_list_unreadable", why=type(error).__name__)
            self.doubt()
            self._found = []
        return bool(self._found)

    def doubt(self) -> None:
        """Note that a list did not open: the next refresh finds out which one, and requests it again."""
        self._doubted = True

    def sounds(self, going: EndedPass) -> bool:
        """Whether an unfinished pass matches an entry for which an alert sounds."""
        return self.matches(going) and any(one.sounds for one in self._found)

    def alerts(self, read: Read) -> Callable[[int], list[Alert]]:
        """The function for `Ledger.append_hit` that gives the read's new alerts, to be stored with it."""
        planned = self._board.plan(self._found, read.last_us)

        def records(number: int) -> list[Alert]:
            made, self._planned = [], []
            for one in planned:
                try:
                    if one.is_new:
                        made.append(one.record(number))
                except StorageError as error:  # still store the read and its other alerts
                    self._log.error("alert_not_recorded", why=type(error).__name__)
                else:
                    self._planned.append(one)
            return made

        return records

    def unstored(self, read: Read) -> None:
        """Note that the read of the pass just matched could not be stored."""
        self._board.unstored.miss(self._found, read.last_us)

    def met(self, number: int, alerts: Sequence[int]) -> None:
        """Raise the alerts of the read just stored. alerts: the record numbers of the new ones."""
        planned, self._planned, self._found = self._planned, [], []
        self._board.raise_alerts(number, planned, alerts)
        if planned and self._found_in != self._held.lists:
            self._must_follow = True  # the next refresh recalls it if its entry was withdrawn

    def refresh(self) -> None:
        """Apply what a sync delivered, and recall alerts of withdrawn entries. From any thread.

        An error, such as no memory for a large list, is an event: the lists in use stay, and the next refresh
        tries again.
        """
        with self._refreshing:
            try:
                self._refresh()
            except Exception as error:  # noqa: BLE001 - a silent thread would take no new list
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Report a refresh that ended early, and let the next one look at the open alerts: a list that this
        one took is no change then."""
        self._must_follow = True
        # once, since a recall that fails again and again would reveal a hit
        self._report(FAILED, is_error=True, why=type(error).__name__)

    def _refresh(self) -> None:
        try:
            if self._doubted:
                self._doubted = False
                self._held.drop_unreadable()
            changes = self._held.refresh()
            self._refused = sum(one.what == "refused" for one in changes)
            for one in changes:
                if one.what == "updated":
                    shown = {} if one.list_id == LOCAL else {"version": one.sequence, "entries": one.count}
                    self._log.info("hot_list_updated", list=one.list_id, **shown)
                else:
                    self._report(f"hot_list_{one.what}", list=one.list_id, why=one.why)
            if any(one.what == "updated" for one in changes) or self._must_follow:
                self._must_follow = False  # before the look, since `met` may ask for another meanwhile
                self._board.follow_lists(self._listed, self._now_us())  # no event, which would reveal hits
        except (StorageError, OSError) as error:
            self._fail(error)
        else:  # the next failure is another one
            self._reported = {one for one in self._reported if one[0] != FAILED}
        self._cleared_there = self._held.cleared()
        self._muted = self._held.muted()
        time = self._of_lists()
        for held in self._held.lists:
            if has_ended(held.head, time):
                self._report("hot_list_expired", list=held.head.list_id)
            if self._is_crowded(held, time):  # here and not when matching, which would reveal a hit
                self._report("hot_list_crowded", list=held.head.list_id, cure=CROWDED_CURE)

    def _is_crowded(self, held: HeldList, time: ListTime) -> bool:
        """Whether a plate has more entries than can match; checked once per version and hour."""
        name, place = held.head.list_id, (held.head.sequence, time.sure_us // HOUR_US)
        if self._crowd_at.get(name) == place:
            return False
        try:
            crowded = held.is_crowded(
                MOST_OF_A_PLATE, time.sure_us, at_most_us=time.likely_us, looked_at=MOST_LOOKED_AT
            )
        except (StorageError, OSError):  # the next refresh looks again
            self.doubt()
            return False
        self._crowd_at[name] = place
        return crowded

    def health(self) -> ListHealth:
        """How many lists match, and how many fail to."""
        found = health_of([one.head for one in self._held.lists], self._of_lists(), self._terms())
        return replace(found, refused=self._refused, missing=len(self._held.missing))

    def _listed(self, alert: OpenAlert) -> ListEntry | None:
        for held in self._held.lists:
            if held.head.list_id == alert.match.head.list_id:
                key, unchanged = alert.entry.key, alert.entry.to_bytes()
                if any(data == unchanged for data in held.under(key)):
                    return alert.entry
                found = map(ListEntry.from_bytes, islice(held.under(key), MOST_LOOKED_AT))
                time, wanted = self._of_lists(), alert.entry.subject
                others = list[ListEntry]()
                for one in found:
                    if one.subject != wanted or not one.runs(time.sure_us, at_most_us=time.likely_us):
                        continue
                    # only here, since most of a thousand entries withdrawn at once do not need it
                    others = others or [open_one.entry for open_one in self._board.open_alerts()]
                    if one not in others:
                        return one
                return None
        return alert.entry  # the list is missing here, which withdraws nothing

    def _report(self, event: str, *, is_error: bool = False, **facts: str) -> None:
        """Report each problem once, not at every read."""
        key = (event, str(sorted(facts.items())))
        if key not in self._reported:
            self._reported.add(key)
            (self._log.error if is_error else self._log.warning)(event, **facts)


def watching_lists(watch: HotListWatch, came: threading.Event) -> contextlib.AbstractContextManager[None]:
    """A thread that refreshes the lists while the block runs, and at once when `came` is set."""

    def work(stop: threading.Event) -> None:
        while not stop.is_set():
            watch.refresh()
            came.wait(EVERY_S)
            came.clear()

    return working("hot-lists", work, wakes=came, join_s=30)
