"""Matching reads with lists: what sounds, what is listed silently and why, and what does not match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from alert_twins import HEAD, KNOWN, NOW_US, Held, entry, seen
from alert_twins import plate_box as box

from detector.plates import PlateBox, PlateText
from firmware.alerts.agreement import contradicts_class, contradicts_state
from firmware.alerts.matching import MOST_LOOKED_AT, MOST_OF_A_PLATE, ListMatch, match
from storage.alert_terms import DEFAULT_ALERTS, AlertTerms
from storage.times import HOUR_US
from sync.hot_lists.document import ListHead, digest_of
from sync.hot_lists.entry import ListEntry, cleared_name


def matched(
    text: PlateText,
    entries: Iterable[ListEntry] = (entry(),),
    *,
    plate: PlateBox | None = None,
    head: ListHead = HEAD,
    terms: AlertTerms = DEFAULT_ALERTS,
    now_us: int = NOW_US,
    cleared: frozenset[bytes] = frozenset(),
    muted: frozenset[str] = frozenset(),
) -> list[ListMatch]:
    held = Held(list(entries), head)
    return match(text, plate or box(), [held], terms, KNOWN, now_us, cleared=cleared, muted=muted)


def test_a_sure_read_of_an_entry_sounds() -> None:
    (one,) = matched(seen("7XKR219"))
    assert one.sounds
    assert one.score == pytest.approx(0.97)
    assert (one.twin, one.disagrees, one.stale) == (False, (), False)


def test_an_entry_with_o_for_zero_is_the_same_and_says_so() -> None:
    (one,) = matched(seen("7XKR209"), [entry("7XKR2O9")])
    assert one.sounds
    assert one.twin


def test_forms_of_one_plate_in_one_list_are_found_together() -> None:
    found = matched(seen("7XKR209"), [entry("7XKR2O9"), entry("7XKR209", reason="other")])
    assert len(found) == 2


def test_a_list_that_has_one_plate_ten_thousand_times_raises_no_ten_thousand_alerts() -> None:
    """Once, each match had the digests of all, so the first such car used up the memory."""
    entries = [entry(reason=f"reason {number}") for number in range(MOST_OF_A_PLATE + 9)]
    found = matched(seen("7XKR219"), entries)
    assert len(found) == MOST_OF_A_PLATE
    assert len({id(one.listed) for one in found}) == 1
    assert {one.entry_digest for one in found} == set(sorted(found[0].listed)[:MOST_OF_A_PLATE])
    assert len(found[0].listed) == len(entries)
    assert len(matched(seen("7XKR219"), reversed(entries))) == MOST_OF_A_PLATE


class Endless(Held):
    """A broken list, all of whose entries, in any number, have the same plate."""

    def under(self, key: int) -> Iterator[bytes]:
        self.asked = [0]
        while True:
            self.asked[0] += 1
            yield entry(reason=f"{self.asked[0] % (MOST_OF_A_PLATE + 9)}").to_bytes()


def test_a_sighting_looks_at_no_more_entries_of_a_plate_than_a_reader_has_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once, all of them were read and kept at each sighting."""
    held, real, parsed = Endless([]), ListEntry.from_bytes, list[bytes]()

    def parse(data: bytes) -> ListEntry:
        parsed.append(data)
        return real(data)

    monkeypatch.setattr(ListEntry, "from_bytes", parse)
    found = match(seen("7XKR219"), box(), [held], DEFAULT_ALERTS, KNOWN, NOW_US)
    assert held.asked == [MOST_LOOKED_AT]
    assert len(parsed) == MOST_OF_A_PLATE
    assert len({one.entry_digest for one in found}) == len(found) == MOST_OF_A_PLATE


def _digest(one: ListEntry) -> bytes:
    return digest_of(one.to_bytes())


OTHERS = [
    pytest.param({"until_us": NOW_US - 1}, id="ended"),
    pytest.param({"from_us": NOW_US + 1}, id="not begun"),
    pytest.param({"category": "parking"}, id="a category that the policy does not allow"),
    pytest.param({"state": "US-CO"}, id="silent, as its state is another"),
]


@pytest.mark.parametrize("fields", OTHERS)
def test_no_entry_that_sounds_none_takes_the_place_of_one_that_does(fields: dict[str, Any]) -> None:
    """Once, the limit per plate was applied before checking which entries match."""
    others = [replace(entry(reason=f"reason {number}"), **fields) for number in range(MOST_OF_A_PLATE + 9)]
    wanted = max((entry(reason=f"live {number}") for number in range(20)), key=_digest)
    others = sorted(others, key=_digest)[:MOST_OF_A_PLATE]
    found = matched(seen("7XKR219", state="US-CA"), [wanted, *others])
    assert [one.entry for one in found if one.sounds] == [wanted]
    assert len(found) == (MOST_OF_A_PLATE if "state" in fields else 1)


def test_cleared_entries_take_no_place_of_another() -> None:
    entries = sorted(
        (entry(reason=f"reason {number}") for number in range(MOST_OF_A_PLATE + 1)),
        key=_digest,
    )
    cleared = frozenset(cleared_name(_digest(one), "7XKR279") for one in entries[:-1])
    other = replace(seen("7XKR279", 0.6), candidates=(("7XKR279", 0.6), ("7XKR219", 0.35)))
    assert [one.entry for one in matched(other, entries, cleared=cleared)] == entries[-1:]


SILENT = [
    pytest.param(seen("7XKR219", 0.65), {}, ("score",), id="not sure enough"),
    pytest.param(seen("7XKR219", state="US-CO"), {}, ("state",), id="another state is named"),
    pytest.param(
        seen("7XKR219"), {"plate_class": "motorcycle"}, ("plate_class",), id="too long for a motorcycle"
    ),
]


@pytest.mark.parametrize(("text", "fields", "silent"), SILENT)
def test_what_contradicts_the_entry_is_listed_silently_with_its_reason(
    text: PlateText, fields: dict[str, Any], silent: tuple[str, ...]
) -> None:
    (one,) = matched(text, [entry(**fields)], plate=box(4.6))
    assert not one.sounds
    assert one.silent == silent


def test_what_is_not_said_contradicts_nothing() -> None:
    assert matched(seen("7XKR219", state=""))[0].sounds
    assert matched(seen("7XKR219"), [entry(state="")])[0].sounds
    assert matched(seen("7XKR219", state="US-CO", sure=0.4))[0].sounds


NOTHING = [
    pytest.param(seen("7XKR218"), {}, id="one character away"),
    pytest.param(seen("7XKR219", 0.1), {}, id="hardly read"),
    pytest.param(seen("7XKR21"), {}, id="a part of the plate"),
    pytest.param(seen("7XKR219"), {"until_us": NOW_US}, id="an entry that ended"),
    pytest.param(seen("7XKR219"), {"from_us": NOW_US + 1}, id="an entry that has not begun"),
]


@pytest.mark.parametrize(("text", "fields"), NOTHING)
def test_what_is_not_the_entry_matches_nothing(text: PlateText, fields: dict[str, Any]) -> None:
    assert matched(text, [entry(**fields)]) == []


def test_an_expired_list_matches_nothing_and_an_old_extract_is_stale() -> None:
    assert matched(seen("7XKR219"), now_us=HEAD.expires_us) == []
    assert matched(seen("7XKR219"), now_us=HEAD.expires_us - 1)
    old = replace(HEAD, extracted_us=NOW_US - 24 * HOUR_US - 1)
    assert matched(seen("7XKR219"), head=old)[0].stale
    assert not matched(seen("7XKR219"), head=replace(old, list_id="local"))[0].stale  # not an extract


def test_a_category_that_the_policy_does_not_name_matches_nothing() -> None:
    stranger = ListEntry(plate="7XKR219", category="immigration", state="US-CA")
    assert matched(seen("7XKR219"), [stranger]) == []


def test_lists_of_other_agencies_are_off_until_they_are_switched_on() -> None:
    theirs = replace(HEAD, agency="LASD")
    assert matched(seen("7XKR219"), head=theirs) == []
    on = replace(DEFAULT_ALERTS, agencies=("LASD",))
    assert matched(seen("7XKR219"), head=theirs, terms=on)[0].sounds


def test_a_muted_source_is_listed_silently() -> None:
    assert matched(seen("7XKR219"), muted=frozenset({"SVS"}))[0].silent == ("source",)


def test_another_plate_that_was_cleared_matches_no_more_until_the_entry_changes() -> None:
    cleared = frozenset({cleared_name(digest_of(entry().to_bytes()), "7XKR279")})
    other = replace(seen("7XKR279", 0.6), candidates=(("7XKR279", 0.6), ("7XKR219", 0.35)))
    assert matched(other, cleared=cleared) == []
    assert matched(other, [entry(reason="seen again")], cleared=cleared)


def test_the_entrys_own_plate_is_never_left_out_and_listed_silently_once_two_people_cleared_it() -> None:
    digest = digest_of(entry().to_bytes())
    assert matched(seen("7XKR219"), cleared=frozenset({cleared_name(digest, "7XKR279")}))[0].sounds
    assert matched(seen("7XKR219"), cleared=frozenset({cleared_name(digest, "7XKR219")}))[0].silent == (
        "cleared",
    )


def test_what_sounds_comes_first() -> None:
    found = matched(seen("7XKR219"), [entry(state="US-TX"), entry(reason="x")])
    assert [one.sounds for one in found] == [True, False]


STATES = [
    pytest.param((("US-CA", 0.9),), "US-CA", False, id="the same"),
    pytest.param((("US-CA", 0.9), ("US-CO", 0.08)), "US-CO", False, id="another, but likely enough"),
    pytest.param((("US-CA", 0.9), ("US-CO", 0.01)), "US-CO", True, id="another, and unlikely"),
    pytest.param((("EU", 0.9),), "GB", False, id="a European code for Britain"),
    pytest.param((("US-CA", 0.95),), "GB", True, id="an American plate for a British entry"),
    pytest.param((("US-MT", 0.95),), "CA-ON", False, id="a province that the reader cannot name"),
    pytest.param((("US-CA", 0.95),), "MX-BCN", True, id="a Mexican state by its country"),
]


@pytest.mark.parametrize(("told", "state", "contradicts"), STATES)
def test_a_state_contradicts_only_where_another_is_named(
    told: tuple[tuple[str, float], ...], state: str, contradicts: bool
) -> None:
    assert contradicts_state(told, state, KNOWN) is contradicts


@pytest.mark.parametrize(
    ("aspect", "plate_class", "contradicts"),
    [
        (4.6, "motorcycle", True),
        (1.75, "motorcycle", False),
        (2.0, "car", False),
        (1.1, "car", True),
        (4.6, "", False),
    ],
)
def test_a_class_contradicts_only_by_proportions_far_from_its_own(
    aspect: float, plate_class: str, contradicts: bool
) -> None:
    assert contradicts_class(box(aspect), plate_class) is contradicts


@pytest.mark.parametrize(
    ("score", "frames", "silent"),
    [
        pytest.param(0.75, 2, (), id="a vote over frames"),
        pytest.param(0.985, 1, ("one look",), id="one look that is sure of itself"),
        pytest.param(0.995, 1, (), id="one look beyond doubt"),
        pytest.param(0.65, 1, ("score",), id="one look in doubt"),
    ],
)
def test_a_single_look_is_asked_for_more_than_a_vote(
    score: float, frames: int, silent: tuple[str, ...]
) -> None:
    held = Held([entry()])
    (found,) = match(seen("7XKR219", score), box(), [held], DEFAULT_ALERTS, KNOWN, NOW_US, frames=frames)
    assert found.silent == silent
