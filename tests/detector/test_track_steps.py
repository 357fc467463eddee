"""The tracker's conditions on passes, one at a time, with passes that have only what is asked of them."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from detector_twins import DECODING, box_at, evidence, frame, labels, slot_logits

from detector import track as tracking
from detector.ballot import head_scores, one_slot_scores
from detector.jurisdictions import LEAST_TOLD, NO_PLACE, name_places
from detector.likeness import TRUSTED
from detector.meetings import Meetings
from detector.pairing import Pace
from detector.passes import Sighting
from detector.track import Tracker
from detector.vote import Vote

GAP_US = int(Pace().gap_us)
SHAPE = (720, 1280)
SECOND_US = 1_000_000


def a_pass(pass_id: int, first_us: int = 0, last_us: int = 0, **facts: Any) -> Any:
    """A pass seen between two times; by default it meets every condition for a rest, a part or a glimpse."""
    motion = SimpleNamespace(
        first_us=first_us, last_us=last_us, sightings=facts.pop("sightings", 1),
        direction=facts.pop("direction", "unknown"), box=box_at(0, 0, facts.pop("width", 100.0)),
        leaves=facts.pop("leaves", lambda _time_us, _shape: False),
    )  # fmt: skip
    usual = {
        "pass_id": pass_id, "motion": motion, "began_us": first_us, "rival": None, "tells_nothing": True,
        "spelt_nearly": lambda _other: True, "nears": lambda _other: True, "begins": lambda _other: True,
        "is_far": False, "came_near": True, "gave_way": False, "shows_rest_of": lambda _other: False,
        "vote": SimpleNamespace(cut=facts.pop("cut", True), leader=facts.pop("leader", "7ABC")),
    }  # fmt: skip
    return SimpleNamespace(**(usual | facts))


def tracker(*tracks: Any, near: bool = True, met: bool = False, interval_us: float = 66_000.0) -> Tracker:
    """A tracker with these passes; each began while the others were missed, or was seen beside them."""
    made = Tracker(DECODING)
    made._tracks = list(tracks)
    made._pace = Pace(interval_us=interval_us, frame_shape=SHAPE)
    pairs = {
        (one.pass_id, other.pass_id) for one in tracks for other in tracks if one.pass_id < other.pass_id
    }
    made._meetings = meetings(pairs if near else set(), pairs if met else set())
    return made


def meetings(near: set[tuple[int, int]], met: set[tuple[int, int]]) -> Meetings:
    made = Meetings()
    made._near, made._met = near, met
    return made


REST: dict[str, Any] = {"first_us": SECOND_US, "last_us": SECOND_US}


@pytest.mark.parametrize(
    ("facts", "options", "is_rest"),
    [
        ({}, {}, True), ({"rival": "another text"}, {}, False),
        ({"first_us": 0, "sightings": 3}, {}, False), ({"first_us": 0, "sightings": 2}, {}, True),
        ({"first_us": 1}, {}, True), ({"last_us": 2 * SECOND_US - GAP_US}, {}, True),
        ({"last_us": 2 * SECOND_US - GAP_US + 1}, {}, False), ({}, {"near": False}, False),
        ({}, {"met": True}, False), ({"spelt_nearly": lambda _other: False}, {}, False),
        ({"tells_nothing": False}, {}, False),
        ({"tells_nothing": False, "first_us": 200_000, "last_us": 200_000, "sightings": 2}, {}, True),
    ],
)  # fmt: skip
def test_a_rest_of_a_pass_that_ends_is_all_that_a_rest_must_be(
    facts: dict[str, Any], options: dict[str, bool], is_rest: bool
) -> None:
    ending, rest = a_pass(1), a_pass(2, **(REST | facts))
    made = tracker(ending, rest, **options)
    assert made._rests_of(ending, 2 * SECOND_US) == [rest] * is_rest


def test_a_part_of_a_pass_that_ends_is_its_rest_once_and_after_a_gap() -> None:
    ending, part = a_pass(1), a_pass(2, **REST)
    made = tracker(ending, part)
    made._wholes = {2: ending}
    assert made._rests_of(ending, SECOND_US + GAP_US) == [part]
    assert made._rests_of(ending, SECOND_US + GAP_US - 1) == []
    made._meetings = Meetings()
    assert made._rests_of(ending, SECOND_US + GAP_US) == [part]
    made._wholes = {2: part}
    assert made._rests_of(ending, SECOND_US + GAP_US) == []


@pytest.mark.parametrize(
    ("interval_us", "first_us", "sightings", "nears", "glimpse"),
    [
        (200_000, 200_000, 2, False, True), (200_000, 200_001, 2, True, False), (66_000, 1, 3, True, False),
        (66_000, 0, 2, False, True), (200_001, 1, 9, True, True), (200_001, 0, 9, True, False),
        (200_001, 1, 1, False, False), (200_001, GAP_US - 1, 1, True, True), (200_001, GAP_US, 1, True, None),
    ],
)  # fmt: skip
def test_a_glimpse_is_a_moment_beside_a_pass(
    interval_us: float, first_us: int, sightings: int, nears: bool, glimpse: bool | None
) -> None:
    """None: nor beyond the gap at this rate."""
    beside = a_pass(1, nears=lambda _other: nears)
    other = a_pass(2, first_us, first_us, sightings=sightings)
    made = tracker(beside, other, interval_us=interval_us)
    expected = first_us < made._pace.gap_us if glimpse is None else glimpse
    assert made._meetings.is_glimpse(other, beside, made._pace) is expected


@pytest.mark.parametrize(
    ("facts", "fragment", "met", "whole"),
    [
        ({}, {}, False, True), ({"cut": True}, {}, False, False), ({}, {"cut": False}, False, False),
        ({}, {}, True, False), ({"leader": "4XYZ999"}, {}, False, False),
        ({}, {"first_us": SECOND_US}, False, True), ({}, {"first_us": SECOND_US + 1}, False, False),
    ],
)  # fmt: skip
def test_what_an_edge_cut_off_belongs_to_a_whole_plate_of_that_moment(
    facts: dict[str, Any], fragment: dict[str, Any], met: bool, whole: bool
) -> None:
    whole_plate: dict[str, Any] = {"cut": False, "leader": "7ABC123"}
    apart: dict[str, Any] = {"last_us": 2 * SECOND_US}
    track, cut = a_pass(1, **(whole_plate | facts)), a_pass(2, **(apart | fragment))
    assert tracker(cut, track, met=met)._whole_of(cut) is (track if whole else None)


@pytest.mark.parametrize(
    ("near", "spelt", "sightings", "torn"),
    [(True, True, 2, True), (False, True, 2, False), (True, False, 2, False), (True, True, 3, False)],
)
def test_a_moment_is_torn_off_the_pass_that_was_missed_meanwhile(
    near: bool, spelt: bool, sightings: int, torn: bool
) -> None:
    track, glimpse = a_pass(1), a_pass(2, sightings=sightings, spelt_nearly=lambda _other: spelt)
    assert tracker(glimpse, track, near=near)._torn_from(glimpse) is (track if torn else None)


@pytest.mark.parametrize(("near", "begins"), [(True, True), (False, True), (True, False)])
def test_a_far_pass_is_the_beginning_of_a_nearer_one(near: bool, begins: bool) -> None:
    track, far = a_pass(1), a_pass(2, begins=lambda _other: begins)
    assert tracker(far, track, near=near)._nearer_of(far) is (track if near and begins else None)


def test_no_pass_is_a_part_a_beginning_or_a_moment_of_itself() -> None:
    alone = a_pass(1, cut=True)
    made = tracker(alone)
    made._meetings = meetings({(1, 1)}, set())
    assert made._torn_from(alone) is None
    assert made._nearer_of(alone) is None
    assert made._whole_of(alone) is None
    assert made._rests_of(alone, 9 * SECOND_US) == []


@pytest.mark.parametrize(
    ("facts", "patience_us"),
    [
        ({"direction": "parked"}, 8_000_000), ({"leaves": lambda _time_us, _shape: True}, 1_000_000),
        ({"direction": "away", "width": 29.9}, 2_000_000), ({"direction": "away", "width": 30.0}, 2_900_000),
        ({"direction": "towards", "width": 29.9}, 2_900_000),
    ],
)  # fmt: skip
def test_a_plate_may_be_out_of_sight_for_as_long_as_its_way_makes_likely(
    facts: dict[str, Any], patience_us: int
) -> None:
    assert tracking._patience_us(a_pass(1, **facts), 5, SHAPE) == patience_us


# --- reading again --------------------------------------------------------------------------------------


def test_of_two_boxes_at_one_settled_pass_the_second_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "at_its_place", lambda _motion, _time_us, _box: True)
    made = tracker(a_pass(1, wants_text=lambda *_: False))
    made._now_us = 1
    boxes = [box_at(0, 0), box_at(9, 0)]
    assert [made.wants_text(one) for one in boxes] == [False, True]
    assert list(made._spared) == boxes[:1]


@pytest.mark.parametrize(
    ("last_us", "wants", "passes", "read"),
    [
        (SECOND_US, False, 1, False), (SECOND_US, True, 1, True), (SECOND_US, False, 2, True),
        (SECOND_US, False, 0, True), (SECOND_US + 66_000 - GAP_US, False, 1, True),
        (SECOND_US + 66_000 - GAP_US + 1, False, 1, False),
    ],
)  # fmt: skip
def test_a_box_is_read_unless_its_one_pass_is_settled_and_was_just_seen(
    monkeypatch: pytest.MonkeyPatch, last_us: int, wants: bool, passes: int, read: bool
) -> None:
    monkeypatch.setattr(tracking, "at_its_place", lambda _motion, _time_us, _box: True)
    there = [a_pass(at, 0, last_us, wants_text=lambda *_: wants) for at in range(passes)]
    made = tracker(*there)
    assert made.wants_text(box_at(0, 0))  # before the first frame
    made._now_us = SECOND_US
    assert made.wants_text(box_at(0, 0)) is read


def test_a_box_left_unread_for_one_pass_goes_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "pair_cost", lambda _track, _sighting, _pace: 1.0)
    one, other = a_pass(1), a_pass(2)
    made, box = tracker(one, other), box_at(0, 0)
    unread, read = Sighting(0, 0, box, None), Sighting(0, 0, box, cast(Any, "a reading"))
    assert made._cost(one, unread) == 1.0
    made._spared = {box: one}
    assert [made._cost(track, unread) for track in (one, other)] == [1.0, math.inf]
    assert [made._cost(track, read) for track in (one, other)] == [1.0, 1.0]


def test_two_frames_may_have_one_time_and_time_never_falls() -> None:
    made = Tracker(DECODING)
    for time_us in (5, 5, 6):
        made.update(0, time_us, SHAPE, frame())
    with pytest.raises(ValueError, match="time falls: 5 us after 6 us"):
        made.update(0, 5, SHAPE, frame())


def test_without_a_weight_of_the_formats_a_text_has_what_its_frames_say() -> None:
    plain = replace(DECODING, text=replace(DECODING.text, prior_weight=0.0))
    sure = evidence("7ABO123", sure=2.0)
    both = replace(sure, candidates=(labels("7ABO123"), labels("7AB0123")))
    vote = Vote(plain, [both, both])
    ranking = vote._rank()
    assert np.allclose(ranking.totals, vote._weight() * 2 * vote._scores.mean(axis=0))
    weighed = Vote(DECODING, [both, both])
    assert not np.allclose(weighed._rank().totals, ranking.totals)


@pytest.mark.parametrize(("alike", "gone"), [("same", True), ("misread", False), ("unclear", False)])
def test_a_rival_goes_where_the_pass_itself_is_read_again(alike: str, gone: bool) -> None:
    rival = a_pass(2)
    track = a_pass(1, rival=rival, likeness=lambda _reading: alike, take=lambda _sighting: True)
    changes = tracking._Changes()
    tracker(track)._continue(track, Sighting(0, 0, box_at(0, 0), cast(Any, "a reading")), changes)
    assert track.rival is (None if gone else rival)
    assert (changes.dropped, changes.best_for) == ([2] * gone, [1])


def test_the_five_likeliest_places_are_named_and_the_one_that_means_none_is_not() -> None:
    codes = (*(f"US-{letter}" for letter in "ABCDEFG"), NO_PLACE)
    found = name_places(codes, np.array([0.05, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.2]))
    assert [code for code, _ in found] == ["US-G", "US-F", "US-E", "US-D"]
    assert len(name_places(codes, np.array([0.1] * 7 + [0.0]))) == 5
    assert [code for code, _ in name_places(codes[:3], np.array([0.9, LEAST_TOLD, 0.0009]))] == [
        "US-A",
        "US-B",
    ]


# --- two boxes of one plate, and how a pass ends --------------------------------------------------------


@pytest.mark.parametrize(
    ("dx", "dy", "width", "part"),
    [
        (0, 0, 40, True), (50, 0, 40, True), (50.1, 0, 40, False), (-50, 0, 40, True), (0, 10, 40, True),
        (0, 10.1, 40, False), (0, -10, 40, True), (0, 0, 99.9, True), (0, 0, 100, False),
    ],
)  # fmt: skip
def test_a_part_of_a_plate_is_smaller_and_was_where_the_plate_was(
    dx: float, dy: float, width: float, part: bool
) -> None:
    asked: list[int] = []

    def predicted(time_us: int) -> tuple[float, float, float]:
        asked.append(time_us)
        return 300.0, 200.0, 100.0

    box = SimpleNamespace(center=(300.0 + dx, 200.0 + dy), height_px=20.0, width_px=width)
    whole = SimpleNamespace(
        vote=SimpleNamespace(leader="7ABC123"), motion=SimpleNamespace(predicted=predicted)
    )
    fragment = SimpleNamespace(
        vote=SimpleNamespace(leader="7ABC"), motion=SimpleNamespace(box=box, last_us=9)
    )
    assert tracking._shows_part(cast(Any, fragment), cast(Any, whole)) is part
    assert asked == [9]
    fragment.vote.leader = "4XYZ9"
    assert not tracking._shows_part(cast(Any, fragment), cast(Any, whole))


@pytest.mark.parametrize(
    ("leader", "confidence", "apart", "twice"),
    [
        ("7ABC123", TRUSTED, 200.0, True), ("7ABC123", TRUSTED, 200.1, False),
        ("7ABC123", TRUSTED - 0.01, 200.0, False), ("7ABC123", TRUSTED - 0.01, 10.0, True),
        ("4XYZ999", 1.0, 10.0, False), ("4XYZ999", 1.0, 200.0, False),
    ],
)  # fmt: skip
def test_a_plate_is_shown_twice_near_its_place_or_in_it(
    leader: str, confidence: float, apart: float, twice: bool
) -> None:
    track = a_pass(
        1, leader="7ABC123", likeness=lambda one: "same" if one.leader == "7ABC123" else "different"
    )
    reading = SimpleNamespace(leader=leader, confidence=confidence)
    assert tracking._shown_twice(track, box_at(apart, 0), cast(Any, reading)) is twice


@pytest.mark.parametrize("rival", [None, a_pass(3)])
def test_the_poorer_pass_of_a_torn_one_goes_with_its_rival(
    monkeypatch: pytest.MonkeyPatch, rival: Any
) -> None:
    monkeypatch.setattr(tracking, "_one_plate", lambda _one, _other: True)
    joined: list[int] = []
    good = a_pass(1, picture_quality=2.0, absorb=lambda other: joined.append(other.pass_id))
    poor = a_pass(2, picture_quality=1.0, rival=rival)
    for present in ([good], [poor]):
        made, changes = tracker(good, poor), tracking._Changes()
        made._join_torn(present, changes)
        assert made._tracks == [good]
        assert changes.dropped == [2] + [3] * (rival is not None)
    assert joined == [2, 2]
    made, changes = tracker(good, poor), tracking._Changes()
    made._join_torn([good, poor], changes)  # one frame shows both
    assert (made._tracks, changes.dropped) == ([good, poor], [])


@pytest.mark.parametrize(
    ("found", "tells", "dropped", "ended", "called"),
    [
        ("_whole_of", True, [1], [], ["absorb"]), ("_torn_from", True, [1], [], ["absorb"]),
        ("_nearer_of", True, [1], [], ["begin_with"]), ("_wholes", True, [1], [], ["begin_with"]),
        ("", True, [], ["the pass"], []), ("", False, [1], [], []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rival", [None, a_pass(3)])
def test_a_pass_that_ends_is_reported_or_goes_into_another(
    monkeypatch: pytest.MonkeyPatch, found: str, tells: bool, dropped: list[int], ended: list[str],
    called: list[str], rival: Any,
) -> None:  # fmt: skip
    done: list[str] = []
    other = a_pass(
        2, absorb=lambda _one: done.append("absorb"), begin_with=lambda _one: done.append("begin_with")
    )
    for name in ("_whole_of", "_torn_from", "_nearer_of"):
        monkeypatch.setattr(Tracker, name, lambda _self, _track, name=name: other if name == found else None)
    ending = a_pass(1, rival=rival, worth_telling=tells, ended=lambda _together: "the pass")
    made, changes = tracker(ending, other), tracking._Changes()
    made._wholes = {1: other} if found == "_wholes" else {}
    made._end(ending, changes)
    assert changes.dropped == [3] * (rival is not None) + dropped
    assert (list(map(str, changes.ended)), done) == (ended, called)


def test_one_slot_is_judged_as_the_text_with_that_slot_changed_or_left_out() -> None:
    logits = np.random.default_rng(7).normal(size=slot_logits("7ABC123").shape)
    slots = (np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)).astype(np.float32)
    one, text = replace(evidence("7ABC123", sure=3.0), slots=slots), labels("7AB0123")
    found = one_slot_scores(one, text, 1.0) - one_slot_scores(one, text, 0.0)
    for slot in range(len(text)):
        changed = [(*text[:slot], at, *text[slot + 1 :]) for at in range(found.shape[1] - 1)]
        shorter = (*text[:slot], *text[slot + 1 :])
        assert np.allclose(found[slot], head_scores([one], [*changed, shorter])[0])
    assert np.ptp(found) > 1.0


def test_the_formats_count_in_each_slot_by_their_weight() -> None:
    one, winner = evidence("7ABC123", sure=2.0), labels("7ABC123")
    chances = np.full(len(DECODING.prior.codes), 1 / len(DECODING.prior.codes))
    plain = replace(DECODING, text=replace(DECODING.text, prior_weight=0.0))
    without, weighed = (
        Vote(decoding, [one])._slot_posterior(winner, chances) for decoding in (plain, DECODING)
    )
    scores = one_slot_scores(one, winner, DECODING.text.slots_weight)
    alone = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert np.allclose(without, alone / alone.sum(axis=1, keepdims=True))
    assert not np.allclose(weighed, without)
