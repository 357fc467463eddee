"""What a query matches, at each of its limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.read_records import Position, ReadPlace, ReadText
from storage.record_base import ClockState
from sync.department.content import query_match
from sync.department.journal.inquiry_entries import Area, Query

TEXT = ReadText(
    text="7ABC00?", confidence=0.9, jurisdiction=None, slots=b"", candidates=(), frames_voted=1,
    plate_box=(0, 0, 1, 1), corners=(), models=(), software="", demo=False,
)  # fmt: skip
PLACE = ReadPlace(
    first_us=1000, last_us=2000, time_error_us=0, clock_state=next(iter(ClockState)),
    position=Position(latitude=34.0, longitude=-118.0, error_m=3.0), direction="away", lane=None, camera="c",
)  # fmt: skip
ALL = Query(since_us=0, until_us=9000)


@pytest.mark.parametrize(
    ("since_us", "until_us", "found"),
    [(2000, 9000, True), (2001, 9000, False), (0, 1001, True), (0, 1000, False)],
)
def test_a_search_finds_a_pass_of_which_a_moment_is_in_its_time(
    since_us: int, until_us: int, found: bool
) -> None:
    assert query_match.matches(Query(since_us=since_us, until_us=until_us), TEXT, PLACE) is found


@pytest.mark.parametrize(
    ("plate", "found"),
    [
        ("", True), ("7ABC00?", True), ("7ABC009", True), ("7ABC*", True), ("?ABC009", True), ("*BC0*", True),
        ("7ABC00", False), ("8ABC*", False), ("7ABC00??", False), ("ABC*", False), ("*ABC", False),
    ],
)  # fmt: skip
def test_a_plate_with_wildcards_fits_whole_and_what_was_not_read_fits_any(plate: str, found: bool) -> None:
    assert query_match.matches(replace(ALL, plate=plate), TEXT, PLACE) is found


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("8XY*", "8XYZ???", True), ("8XY*", "8XZZ???", False), ("*23", "8X*", True), ("8*3", "*4", False),
        ("**", "", True), ("*?", "", False), ("A*", "*B", True), ("?", "*", True), ("??", "A*", True),
        ("??", "A", False), ("[^A]", "[^A]", True), ("[^A]", "B", False), ("*A*", "B?B", True),
    ],
)  # fmt: skip
def test_two_plates_with_wildcards_can_be_one_where_some_plate_fits_both(
    first: str, second: str, found: bool
) -> None:
    assert query_match.can_be_one(first, second) is found
    assert query_match.can_be_one(second, first) is found


def test_wildcards_cost_no_more_the_more_there_are() -> None:
    """A regular expression would try each split of the text, and take longer than any test."""
    assert not query_match.can_be_one("*A" * 40, "A" * 39 + "B" * 39)


def test_an_area_is_a_circle_on_the_earth_and_a_read_without_a_place_is_in_none() -> None:
    north = Position(latitude=35.0, longitude=-118.0, error_m=0.0)
    degree_m = 6_371_008.8 * 3.141592653589793 / 180
    area = Area(latitude=34.0, longitude=-118.0, radius_m=degree_m)
    assert query_match.distance_m(area, north) == pytest.approx(degree_m)
    east = Position(latitude=34.0, longitude=-117.0, error_m=0.0)
    assert query_match.distance_m(area, east) == pytest.approx(92_180, abs=20)
    for radius_m, found in ((degree_m + 1, True), (degree_m - 1, False)):
        query = replace(ALL, area=replace(area, radius_m=radius_m))
        assert query_match.matches(query, TEXT, replace(PLACE, position=north)) is found
    assert not query_match.matches(replace(ALL, area=area), TEXT, replace(PLACE, position=None))
