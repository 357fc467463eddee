"""The watch over the lists, with lists and a board in memory: what it reports, recalls and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from alert_twins import HEAD, KNOWN, NOW_US, Held, entry, plate_box, seen

from firmware.alerts.lasting_time import ListTime
from firmware.alerts.matching import MOST_LOOKED_AT, MOST_OF_A_PLATE
from firmware.alerts.watch import HotListWatch
from firmware.frames.pipeline import EndedPass
from firmware.health.list_health import ListHealth
from storage import codec
from storage.alert_terms import DEFAULT_ALERTS
from storage.errors import LedgerError, RecordError
from storage.hot_list_file import HotListFile, write_list
from storage.times import HOUR_US
from sync.hot_lists.document import ListHead
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import HeldList


def change(what: str, list_id: str = "doj") -> SimpleNamespace:
    return SimpleNamespace(what=what, list_id=list_id, sequence=2, count=3, why="damaged")


@dataclass
class Shelf:
    """The lists on the unit; `changes`: what each refresh finds."""

    lists: list[Held]
    changes: list[list[SimpleNamespace]] = field(default_factory=list)
    missing: tuple[str, ...] = ()
    error: Exception | None = None
    dropped: int = 0

    def drop_unreadable(self) -> None:
        self.dropped += 1

    def refresh(self) -> list[SimpleNamespace]:
        if self.error is not None:
            raise self.error
        return self.changes.pop(0) if self.changes else []

    def cleared(self) -> frozenset[bytes]:
        return frozenset()

    def muted(self) -> frozenset[str]:
        return frozenset({"SVS"}) if self.dropped else frozenset()


class Torn(Held):
    def under(self, key: int) -> Iterator[bytes]:
        raise OSError("the card")


class Board:
    """`gone`: what a recall finds."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.alerts: list[Any] = []
        self.gone: list[object] = []
        self.error: Exception | None = None

    def plan(self, found: Sequence[Any], at_us: int) -> list[Any]:
        return [SimpleNamespace(at_us=at_us, is_new=True, record=self.record) for _ in found]

    def record(self, read: int) -> object:
        if self.error is not None:
            raise self.error
        return read

    def raise_alerts(self, read: int, planned: Sequence[Any], numbers: Sequence[int]) -> None:
        self.calls.append((read, [one.at_us for one in planned], *numbers))

    def follow_lists(self, _listed: object, now_us: int) -> list[object]:
        self.calls.append(now_us)
        return self.gone

    def open_alerts(self) -> list[Any]:
        return self.alerts


class Bench:
    def __init__(self, *lists: Held, sure_us: int = NOW_US) -> None:
        self.said: list[tuple[str, str, dict[str, object]]] = []
        self.shelf, self.board = Shelf(list(lists)), Board()

        def said(level: str) -> Any:
            return lambda event, **facts: self.said.append((level, event, facts))

        log = SimpleNamespace(info=said("info"), warning=said("warning"), error=said("error"))
        self.watch = HotListWatch(
            cast(Any, self.shelf), cast(Any, SimpleNamespace(all=frozenset())), cast(Any, self.board),
            terms=lambda: DEFAULT_ALERTS, known_states=KNOWN, now_us=lambda: NOW_US,
            of_lists=lambda: ListTime(likely_us=NOW_US, sure_us=sure_us),
            log=cast(Any, log),
        )  # fmt: skip

    def stores(self, number: int, *, last_us: int) -> None:
        """Store a read with its alerts, as Ledger.append_hit does."""
        made = self.watch.alerts(cast(Any, SimpleNamespace(last_us=last_us)))(number)
        self.watch.met(number, [number + at + 1 for at in range(len(made))])

    def events(self) -> list[tuple[str, str]]:
        found, self.said = [(level, event) for level, event, _ in self.said], []
        return found


def a_pass(text: str = "7XKR219", frames: int = 2) -> EndedPass:
    vehicle = SimpleNamespace(text=seen(text), best_box=plate_box(), frames_voted=frames)
    return cast(EndedPass, SimpleNamespace(vehicle=vehicle))


def test_each_trouble_is_reported_once_and_an_update_each_time() -> None:
    bench = Bench()
    found = [change("refused"), change("updated"), change("refused", "own"), change("updated", "own")]
    bench.shelf.changes = [found, found]
    bench.watch.refresh()
    assert bench.events() == [
        ("warning", "hot_list_refused"), ("info", "hot_list_updated"),
        ("warning", "hot_list_refused"), ("info", "hot_list_updated"),
    ]  # fmt: skip
    assert bench.watch.health().refused == 2
    bench.watch.refresh()
    assert bench.events() == [("info", "hot_list_updated")] * 2
    bench.watch.refresh()
    assert (bench.events(), bench.watch.health().refused) == ([], 0)


def test_a_list_with_a_plate_too_often_is_named_once_and_not_where_it_matches() -> None:
    """An event at a match would reveal the hit."""
    bench = Bench(Held([entry(reason=f"{number}") for number in range(MOST_OF_A_PLATE + 1)]), Held([entry()]))
    assert bench.watch.matches(a_pass())
    assert bench.events() == []
    for _ in range(2):
        bench.watch.refresh()
    assert bench.events() == [("warning", "hot_list_crowded")]


@pytest.mark.parametrize("ended", [0, 1])
def test_entries_that_have_ended_crowd_no_list(tmp_path: Path, ended: int) -> None:
    """Once, a list whose source ends entries instead of withdrawing them was reported as wrong forever."""
    ends = NOW_US - 1
    entries = [entry(reason=f"{n}", until_us=ends if n < ended else None) for n in range(MOST_OF_A_PLATE + 1)]
    entries += [entry("5ABC123", reason=f"{n}", until_us=ends) for n in range(MOST_OF_A_PLATE + 9)]
    path = tmp_path / "doj.list"
    write_list(path, bytes(32), "doj", codec.to_plain(HEAD), [(one.key, one.to_bytes()) for one in entries])
    held = HeldList(HEAD, HotListFile(path, bytes(32), "doj"))
    bench = Bench(cast(Any, held))
    for _ in range(2):
        bench.watch.refresh()
    assert bench.events() == ([] if ended else [("warning", "hot_list_crowded")])


def test_a_crowded_key_is_looked_through_entry_by_entry_and_no_further_than_needed(tmp_path: Path) -> None:
    """Once, all its entries were in memory at once, for each version and each hour."""
    entries = [entry(reason=f"{number}") for number in range(1200)]
    path = tmp_path / "doj.list"
    write_list(path, bytes(32), "doj", codec.to_plain(HEAD), [(one.key, one.to_bytes()) for one in entries])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # the last block no longer opens
    path.write_bytes(data)
    held = HeldList(HEAD, HotListFile(path, bytes(32), "doj"))
    assert held.is_crowded(MOST_OF_A_PLATE, NOW_US, at_most_us=NOW_US, looked_at=MOST_LOOKED_AT)


@pytest.mark.parametrize(("looked_at", "is_named"), [(59, True), (60, False)])
def test_an_entry_in_force_where_no_match_looks_is_named(
    tmp_path: Path, looked_at: int, is_named: bool
) -> None:
    """Once, it silently never matched, because ended entries came before it and do not crowd a list."""
    ended = [entry(reason=f"{number}", until_us=NOW_US - 1).to_bytes() for number in range(59)]
    key, path = entry().key, tmp_path / "doj.list"
    in_order = [(key, data) for data in (*ended, entry().to_bytes())]
    write_list(path, bytes(32), "doj", codec.to_plain(HEAD), in_order)
    held = HeldList(HEAD, HotListFile(path, bytes(32), "doj"))
    assert list(held.file.under(key))[-1] == entry().to_bytes()
    assert held.is_crowded(MOST_OF_A_PLATE, NOW_US, at_most_us=NOW_US, looked_at=looked_at) is is_named


def test_a_list_that_could_not_be_looked_through_is_looked_at_again() -> None:
    """It counted as looked at until the next hour."""

    def unreadable(*_: object, at_most_us: int, looked_at: int) -> bool:
        raise OSError(f"the card, at {at_most_us}, {looked_at}")

    one = Held([entry(reason=f"{number}") for number in range(MOST_OF_A_PLATE + 1)])
    bench = Bench(one)
    with pytest.MonkeyPatch.context() as failing:
        failing.setattr(Held, "is_crowded", unreadable)
        bench.watch.refresh()
    assert bench.events() == []
    bench.watch.refresh()
    assert bench.events() == [("warning", "hot_list_crowded")]


def test_a_change_of_the_own_list_is_reported_without_its_figures() -> None:
    """They would show when a covert entry came."""
    bench = Bench()
    bench.shelf.changes = [[change("updated"), change("updated", "local")]]
    bench.watch.refresh()
    figures = [{"version", "entries"} & set(facts) for _level, _event, facts in bench.said]
    assert figures == [{"version", "entries"}, set()]


@pytest.mark.parametrize(
    ("changes", "gone", "calls", "events"),
    [
        (["updated"], 2, [NOW_US], ["hot_list_updated"]),  # a recall in the events would tell of a hit
        (["updated"], 0, [NOW_US], ["hot_list_updated"]), (["refused"], 2, [], ["hot_list_refused"]),
        ([], 2, [], []),
    ],
)  # fmt: skip
def test_alerts_follow_their_lists_where_one_was_updated(
    changes: list[str], gone: int, calls: list[int], events: list[str]
) -> None:
    bench = Bench()
    bench.shelf.changes, bench.board.gone = [[change(one) for one in changes]], [None] * gone
    bench.watch.refresh()
    assert bench.board.calls == calls
    assert [event for _, event in bench.events()] == events


def test_an_alert_that_a_refresh_overtook_is_looked_at_by_the_next_one() -> None:
    """Its entry may have been withdrawn between the match and the alert, when nothing was there to recall."""
    old, new = Held([entry()]), Held([])
    bench = Bench(old)
    assert bench.watch.matches(a_pass())
    bench.shelf.lists, bench.shelf.changes = [new], [[change("updated")]]
    bench.watch.refresh()
    bench.stores(7, last_us=5)
    assert bench.board.calls == [NOW_US, (7, [5], 8)]
    bench.board.gone = [None]
    bench.watch.refresh()
    bench.watch.refresh()
    assert bench.board.calls == [NOW_US, (7, [5], 8), NOW_US]


def test_a_refresh_that_fails_is_reported_and_what_is_held_still_matches() -> None:
    bench = Bench(Held([entry()]))
    bench.shelf.error = LedgerError("a full card")
    bench.watch.refresh()
    assert bench.events() == [("error", "hot_lists_failed")]
    assert bench.watch.matches(a_pass())
    assert not bench.watch.sounds(a_pass())  # its source was muted meanwhile


def test_a_refresh_without_memory_is_reported_and_the_next_one_takes_the_list() -> None:
    """Once, the thread of the lists ended without a word, and no new list came into use until a restart."""
    bench = Bench(Held([entry()]))
    bench.shelf.error, bench.shelf.changes = MemoryError(), [[change("updated")]]
    bench.watch.refresh()
    assert bench.events() == [("error", "hot_lists_failed")]
    assert bench.watch.matches(a_pass())
    bench.shelf.error = None
    bench.watch.refresh()
    assert bench.board.calls == [NOW_US]


@pytest.mark.parametrize("error", [MemoryError(), LedgerError("a full card")], ids=["memory", "card"])
@pytest.mark.parametrize("fails", ["follow_lists", "taking"])
def test_a_recall_that_failed_is_done_by_the_next_refresh(
    monkeypatch: pytest.MonkeyPatch, fails: str, error: Exception
) -> None:
    """Once, the alert of a withdrawn entry stayed open until another version came: the list was taken."""
    bench = Bench(Held([entry()]))
    errors = [error]

    def fail_once(*parts: Any) -> Any:
        if errors:
            raise errors.pop()
        return there(*parts)

    there: Any = bench.board.follow_lists
    if fails == "follow_lists":
        bench.shelf.changes = [[change("updated")]]
        monkeypatch.setattr(bench.board, "follow_lists", fail_once)
    else:  # it took one of several lists, and failed at the next
        there = bench.shelf.refresh
        monkeypatch.setattr(bench.shelf, "refresh", fail_once)
    for _ in range(3):
        bench.watch.refresh()
    assert bench.board.calls == [NOW_US]
    assert ("error", "hot_lists_failed") in bench.events()


def test_a_recall_that_fails_at_every_refresh_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails only where an alert is open: an event every half a minute would reveal the hit."""
    bench = Bench(Held([entry()]))
    bench.shelf.changes = [[change("updated")]]

    def fail(*_parts: Any) -> None:
        raise LedgerError("a full card")

    monkeypatch.setattr(bench.board, "follow_lists", fail)
    for _ in range(3):
        bench.watch.refresh()
    assert bench.events() == [("info", "hot_list_updated"), ("error", "hot_lists_failed")]


def test_lists_are_looked_through_at_first_and_where_one_did_not_open() -> None:
    bench = Bench(Torn([entry()]))
    for _ in range(2):
        bench.watch.refresh()
    assert bench.shelf.dropped == 1
    for _ in range(2):
        assert not bench.watch.matches(a_pass())
    assert bench.events() == [("warning", "hot_list_unreadable")]
    for _ in range(2):
        bench.watch.refresh()
    assert bench.shelf.dropped == 2


@pytest.mark.parametrize(
    ("frames", "text", "sounds"), [(2, "7XKR219", True), (1, "7XKR219", False), (2, "8ABC123", False)]
)
def test_what_a_pass_matched_is_raised_once_with_its_read(frames: int, text: str, sounds: bool) -> None:
    bench = Bench(Held([entry()]))
    assert bench.watch.sounds(a_pass(text, frames)) is sounds
    bench.stores(4, last_us=9)
    assert bench.board.calls == [(4, [9], 5) if text == "7XKR219" else (4, [])]
    bench.stores(6, last_us=9)
    assert bench.board.calls[1:] == [(6, [])]


def test_an_alert_that_makes_no_record_keeps_no_read_from_the_store() -> None:
    bench = Bench(Held([entry()]))
    assert bench.watch.matches(a_pass())
    bench.board.error = RecordError("must be in 0 to 1")
    bench.stores(4, last_us=9)
    assert bench.board.calls == [(4, [])]
    assert bench.events() == [("error", "alert_not_recorded")]


def test_an_alert_that_makes_no_record_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(Held([entry()]))

    def bad(_read: int) -> object:
        raise RecordError("must be in 0 to 1")

    def plan(_found: Sequence[Any], at_us: int) -> list[Any]:
        return [
            SimpleNamespace(at_us=at_us + number, is_new=is_new, record=record)
            for number, (is_new, record) in enumerate(((True, bench.board.record), (True, bad), (False, bad)))
        ]

    assert bench.watch.matches(a_pass())
    monkeypatch.setattr(bench.board, "plan", plan)
    bench.stores(4, last_us=9)
    assert bench.board.calls == [(4, [9, 11], 5)]
    assert bench.events() == [("error", "alert_not_recorded")]


def head(list_id: str, **changes: int) -> ListHead:
    return replace(HEAD, list_id=list_id, **cast(Any, changes))


def test_health_counts_what_matches_what_is_old_and_what_is_lacking() -> None:
    oldest = NOW_US - round(DEFAULT_ALERTS.stale_hours * HOUR_US)
    bench = Bench(
        Held([], head("a", count=5, extracted_us=oldest)),
        Held([], head("b", count=7, extracted_us=oldest - 1, expires_us=NOW_US)),
        Held([], head("c", count=9, expires_us=NOW_US - 1)),
        sure_us=NOW_US - 1,
    )
    bench.shelf.missing = ("d", "e")
    bench.watch.refresh()
    assert bench.events() == [("warning", "hot_list_expired")]
    made = bench.watch.health()
    assert made == ListHealth(lists=2, expired=1, stale=1, refused=0, missing=2, in_doubt=1)
    assert made.failing == 3
    assert replace(made, refused=4).failing == 7


SAME = replace(entry(), reason="in other words")


@pytest.mark.parametrize(
    ("list_id", "there", "others", "kept"),
    [
        ("doj", [entry(), SAME], [], entry()), ("doj", [SAME], [], SAME), ("doj", [SAME], [SAME], None),
        ("doj", [], [], None), ("own", [], [], entry()),
        ("doj", [entry(state="US-TX")], [], None),
        ("doj", [replace(SAME, until_us=NOW_US)], [], None),
        ("doj", [replace(SAME, until_us=NOW_US + 1)], [], replace(SAME, until_us=NOW_US + 1)),
    ],
    ids=["as it was", "reworded", "of another alert", "withdrawn", "of a list that is not here",
         "of another vehicle", "ended", "not ended yet"],
)  # fmt: skip
def test_an_alert_follows_its_entry_into_other_words_and_no_further(
    list_id: str, there: list[ListEntry], others: list[ListEntry], kept: ListEntry | None
) -> None:
    bench = Bench(Held([entry("8ABC123")], head("first")), Held(there, head("doj")))
    mine = SimpleNamespace(entry=entry(), match=SimpleNamespace(head=head(list_id)))
    bench.board.alerts = [mine, *(SimpleNamespace(entry=one) for one in others)]
    assert bench.watch._listed(cast(Any, mine)) == kept


def test_a_failure_after_a_recovery_is_another_one() -> None:
    """A unit on a pole was silent about a list that it could not take months later."""
    bench = Bench(Held([entry()]))
    for _ in range(2):
        bench.shelf.error = LedgerError("a full card")
        bench.watch.refresh()
        bench.watch.refresh()
        bench.shelf.error = None
        bench.watch.refresh()
    assert bench.events() == 2 * [("error", "hot_lists_failed")]
