"""Each call at the keys opens only what the shown entry permits: its action and its reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from log_twins import look_up, stamp

from storage import merkle, sealing
from storage.checkpoint import NoteKey
from storage.codec import to_bytes
from storage.leaf import ENTRY, Leaf, Mark
from storage.read_records import ReadPlace, ReadText
from storage.record_base import ClockState, KeyClass
from storage.sealing import Opened
from storage.times import DAY_US
from sync.department.content import alert_facts, key_guard
from sync.department.content.key_door import Cover, Row, read_name
from sync.department.content.key_guard import GuardedKeys
from sync.department.content.opened_list import OpenedList
from sync.department.content.search_tokens import StoredElement
from sync.department.journal.entries import EntryOf
from sync.department.journal.inquiry_entries import Access, Query
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import DeskRefusal

LOG, UNIT, OTHER_UNIT = bytes(32), bytes([1]) * 32, bytes([2]) * 32
COVER = Cover(
    leaf=b"", sequence=9, salt=b"", content=b"", size=10, inclusion=(), checkpoint="", unwitnessed=False
)
TEXT = ReadText(
    text="7ABC001", confidence=0.9, jurisdiction=None, slots=b"", candidates=(), frames_voted=1,
    plate_box=(0.0, 0.0, 1.0, 1.0), corners=(), models=(), software="", demo=False,
)  # fmt: skip
PLACE = ReadPlace(
    first_us=3 * DAY_US, last_us=3 * DAY_US + 1, time_error_us=0, clock_state=next(iter(ClockState)),
    position=None, direction="away", lane=None, camera="c",
)  # fmt: skip


class Service:
    """The keys behind the guard, with content stored in the clear; records what they are asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def _opened(self, *said: str, wanted: Sequence[StoredElement]) -> list[Opened]:
        self.asked.append(said)
        return [sealing.fresh(one.name, one.stored) for one in wanted]

    def open_stored(self, why: str, _day: int, _log: bytes, wanted: Sequence[StoredElement]) -> list[Opened]:
        return self._opened("open", why, wanted=wanted)

    def open_held(self, why: str, name: str, _log: bytes, wanted: Sequence[StoredElement]) -> list[Opened]:
        return self._opened("held", why, name, wanted=wanted)

    def hold_stored(
        self, why: str, name: str, _day: int, _log: bytes, wanted: Sequence[StoredElement]
    ) -> list[bytes]:
        return [one.content for one in self._opened("hold", why, name, wanted=wanted)]


class Guard:
    """A guard that is shown an entry of `action` that names reads 1 and 2 of a unit's log."""

    def __init__(self, opened: OpenedList) -> None:
        self.service, self.opened = Service(), opened
        log = NoteKey("log", Ed25519PrivateKey.generate().public_key())
        self.keys = GuardedKeys(
            cast(Any, self.service), log, LOG, cast(Any, None), opened, grace_minutes=15, clock=lambda: 7
        )

    def show(self, action: str, *, signed: bytes = b"", **changes: Any) -> None:
        reads = tuple(read_name(UNIT, number) for number in (1, 2))
        facts: dict[str, Any] = {"action": action, "reads": reads, "request": 5} | changes
        access = replace(look_up(1), **facts)
        entry: EntryOf[Access] = EntryOf(9, stamp(1), access, signed)  # empty: from before the first key
        self.keys._shown = lambda *_: (access, "why", entry)  # type: ignore[method-assign, assignment]

    def call(self, name: str, *rows: Row, log_id: bytes = UNIT) -> Any:
        if name == "open_held":
            return self.keys.open_held(COVER, 4, log_id, rows)
        return getattr(self.keys, name)(COVER, 3, log_id, rows)


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    opened = OpenedList(tmp_path / "keys")
    yield Guard(opened)
    opened.close()


def row(number: int, *names: str, log_id: bytes = UNIT, **contents: bytes) -> Row:
    elements = {name: name.encode() for name in names} | contents
    marks = {name: Mark(bytes(32), bytes(32)) for name in elements}
    leaf = Leaf(log_id=log_id, sequence=number, kind="read", epoch=1, key_class=KeyClass.READ, elements=marks)
    return Row.of(leaf.sign(Ed25519PrivateKey.from_private_bytes(bytes(32))), elements)


@pytest.mark.parametrize(
    ("name", "action", "asked"),
    [
        ("open", "image", ("open", "why")),
        ("open", "search", ("open", "why")),
        ("open", "answer", ("open", "why")),
        ("hold", "hold", ("hold", "why", f"{'00' * 8}-9")),
        ("open_held", "export", ("held", "why", f"{'00' * 8}-4")),
    ],
)
def test_each_call_opens_by_an_entry_of_its_action_and_no_other(
    guard: Guard, name: str, action: str, asked: tuple[str, ...]
) -> None:
    guard.show(action)
    result = guard.call(name, row(1, "text", "place"), row(2, "text"))
    assert guard.service.asked == [asked]
    assert [{key: getattr(one, "content", one) for key, one in each.items()} for each in result] == [
        {"text": b"text", "place": b"place"}, {"text": b"text"},
    ]  # fmt: skip
    for other in ("search", "delivery", "answer", "image", "alert", "alert-image", "hold", "export"):
        if name == "open" and other not in {"hold", "export"}:
            continue
        if other != action:
            guard.show(other)
            with pytest.raises(DeskRefusal) as refused:
                guard.call(name, row(1, "text"))
            assert refused.value.code == "other-action"
    assert len(guard.service.asked) == 1


@pytest.mark.parametrize(
    ("name", "action"),
    [("open", "image"), ("open", "answer"), ("open", "alert"), ("hold", "hold"), ("open_held", "export")],
)
def test_no_call_opens_a_read_that_its_entry_does_not_name(guard: Guard, name: str, action: str) -> None:
    guard.show(action)
    for log_id, rows in (
        (UNIT, [row(1, "text"), row(3, "text")]),
        (OTHER_UNIT, [row(1, "text", log_id=OTHER_UNIT)]),
        (UNIT, [row(1, "text", log_id=OTHER_UNIT)]),
    ):
        with pytest.raises(DeskRefusal) as refused:
            guard.call(name, *rows, log_id=log_id)
        assert refused.value.code == "other-read"
    assert guard.service.asked == []


@pytest.mark.parametrize(
    ("action", "element", "opens"),
    [
        ("search", "place", True), ("search", "patch", False), ("search", "overview", False),
        ("answer", "text", True), ("answer", "overview", False), ("image", "overview", True),
        ("image", "text", True), ("alert", "text", False), ("alert", "patch", False),
        ("alert-image", "text", False), ("alert-image", "place", False),
    ],
)  # fmt: skip
def test_an_entry_opens_the_elements_of_its_action_alone(
    guard: Guard, action: str, element: str, opens: bool
) -> None:
    guard.show(action)
    if opens:
        assert list(guard.call("open", row(1, element))[0]) == [element]
        return
    with pytest.raises(DeskRefusal, match="needs an entry of its own") as refused:
        guard.call("open", row(2, "text") if action == "search" else row(2, element), row(1, element))
    assert refused.value.code == "other-action"
    assert guard.service.asked == []


def test_a_picture_of_an_alert_opens_once_that_alert_was_opened(guard: Guard) -> None:
    guard.show("alert-image")
    with pytest.raises(DeskRefusal, match="no alert of that read was opened") as refused:
        guard.call("open", row(1, "patch"))
    assert refused.value.code == "other-alert"
    guard.opened.add_alerts(9, [alert_facts.of_read(read_name(UNIT, 1))], at_us=0)
    assert list(guard.call("open", row(1, "patch"))[0]) == ["patch"]
    with pytest.raises(DeskRefusal, match="no alert of that read was opened"):
        guard.call("open", row(1, "patch"), row(2, "patch"))


def test_what_an_alert_says_is_kept_when_it_is_opened_and_of_nothing_else(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_facts, "of_content", lambda _log, name, _content: [name.encode()[-32:]])
    kept = [read_name(UNIT, number).encode()[-32:] for number in (1, 2)]
    guard.show("image")
    guard.call("open", row(1, ENTRY))
    assert not guard.opened.has_alert(kept[0])
    guard.show("alert")
    guard.call("open", row(1, ENTRY), row(2, ENTRY))
    assert all(guard.opened.has_alert(one) for one in kept)


@pytest.mark.parametrize(("action", "request_kept"), [("search", 5), ("delivery", -1)])
def test_a_search_gives_and_keeps_what_matches_alone(guard: Guard, action: str, request_kept: int) -> None:
    query = Query(plate="7ABC001", since_us=3 * DAY_US, until_us=4 * DAY_US)
    guard.show(action, plate=query.plate, elements=query.text())
    rows = [
        row(number, text=to_bytes(replace(TEXT, text=text)), place=to_bytes(PLACE))
        for number, text in ((7, "8XYZ123"), (8, "7ABC001"))
    ]
    (found,) = guard.keys.match(COVER, query, 3, UNIT, rows)
    assert (found.sequence, found.text, found.place) == (8, TEXT, PLACE)
    assert guard.service.asked == [("open", "why: match")]
    names, user, listed = [_name(one) for one in rows], stamp(1).user, guard.opened.found
    assert [listed.by_access(LOG, name, (9,), user) for name in names] == [False, True]
    assert [listed.by_request(LOG, name, 5) for name in names] == [False, request_kept == 5]
    assert not listed.by_access(LOG, names[1], (9,), "another")
    assert not listed.by_access(LOG, names[1], (8,), user)
    with pytest.raises(DeskRefusal, match="to the named log"):
        guard.keys.match(COVER, query, 3, OTHER_UNIT, rows)
    with pytest.raises(DeskRefusal, match="begins after"):
        guard.keys.match(COVER, query, 2, UNIT, rows)
    with pytest.raises(DeskRefusal, match="belongs to another search"):
        guard.keys.match(COVER, replace(query, plate="7ABC002"), 3, UNIT, rows)
    assert guard.keys.match(COVER, query, 3, UNIT, []) == []


def _name(one: Row) -> str:
    return merkle.leaf_hash(one.leaf).hex()


def test_a_search_of_one_unit_opens_no_log_that_is_not_known_as_its_own(guard: Guard) -> None:
    query = Query(plate="7ABC001", since_us=3 * DAY_US, until_us=4 * DAY_US, unit="car 5")
    guard.show("search", plate=query.plate, elements=query.text())
    with pytest.raises(DeskRefusal, match="is of one unit") as refused:
        guard.keys.match(COVER, query, 3, UNIT, [])
    assert refused.value.code == "other-unit"


# --- entries that their person signed ---------------------------------------------------------------------

MINE, ASKED = 3, 6  # the search and the request that a signed call names


@pytest.fixture
def signed(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> Guard:
    """The same guard, with fixed answers for what a statement names: `b"approved"` names an approval."""
    monkeypatch.setattr(key_guard, "said_in", lambda data: data)
    monkeypatch.setattr(key_guard, "approval_of", lambda said: 3 if said == b"approved" else -1)
    monkeypatch.setattr(key_guard, "rests_on", lambda _said: ((MINE,), ASKED))
    return guard


def opens(guard: Guard, action: str, said: bytes = b"alone", name: str = "open") -> bool:
    """Whether a signed entry opens the first read. Raises KeyError for an unexpected refusal."""
    guard.show(action, signed=said)
    try:
        guard.call(name, row(1, "text"))
    except DeskRefusal as refused:
        return {"other-read": False}[refused.code]
    return True


@pytest.mark.parametrize(
    ("access", "user", "request_", "finds", "rests"),
    [
        pytest.param(9, stamp(1).user, -1, True, False, id="the search at hand"),
        pytest.param(MINE, stamp(1).user, -1, False, True, id="the search that is named"),
        pytest.param(MINE, "another", -1, False, False, id="a search of another person"),
        pytest.param(5, stamp(1).user, -1, False, False, id="a search that is not named"),
        pytest.param(5, "another", ASKED, False, True, id="the answer to the request that is named"),
        pytest.param(5, "another", 7, False, False, id="the answer to another request"),
    ],
)  # fmt: skip
def test_a_signed_call_opens_what_the_searches_that_it_names_found(
    signed: Guard, access: int, user: str, request_: int, finds: bool, rests: bool
) -> None:
    signed.opened.found.add(LOG, access, user, request_, [_name(row(1, "text"))], 0)
    assert opens(signed, "search") is finds
    assert opens(signed, "search", b"approved") is finds
    assert opens(signed, "image") is rests
    assert opens(signed, "image", b"approved")  # a second person has approved it
    assert opens(signed, "hold", name="hold") is rests


def test_a_read_that_an_earlier_version_kept_by_its_number_opens_too(signed: Guard) -> None:
    assert not opens(signed, "image")
    signed.opened.found.add(LOG, MINE, stamp(1).user, -1, [read_name(UNIT, 1)], 0)
    assert opens(signed, "image")


@pytest.mark.parametrize(("said", "kept"), [(b"alone", True), (b"approved", False)])
def test_who_placed_a_hold_on_searches_exports_it_and_one_by_approval_is_not_kept(
    signed: Guard, said: bytes, kept: bool
) -> None:
    name = _name(row(1, "text"))
    signed.opened.found.add(LOG, MINE, stamp(1).user, -1, [name], 0)
    assert opens(signed, "hold", said, "hold")
    signed.opened.found.forget(1 << 62)
    assert signed.opened.found.by_access(LOG, name, (9,), stamp(1).user) is kept
    assert not signed.opened.found.by_access(LOG, name, (MINE,), stamp(1).user)


def test_a_signed_export_opens_the_hold_that_it_names(signed: Guard) -> None:
    asked: list[tuple[object, int]] = []

    def demand_hold(said: object, access: int) -> None:
        asked.append((said, access))
        if said == b"of another":
            raise UnsignedError("it is of another hold")

    signed.keys._followed = cast(Any, SimpleNamespace(demand_hold=demand_hold))
    assert not opens(signed, "export", name="open_held")
    signed.opened.found.add(LOG, 4, stamp(1).user, -1, [_name(row(1, "text"))], 0, held=True)
    assert opens(signed, "export", name="open_held")
    assert asked == [(b"alone", 4)] * 2
    signed.show("export", signed=b"of another")
    with pytest.raises(DeskRefusal, match="opens no such hold") as refused:
        signed.call("open_held", row(1, "text"))
    assert refused.value.code == "other-hold"
