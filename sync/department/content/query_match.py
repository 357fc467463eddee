"""Matches queries with opened reads: by plate, place and time. No I/O."""

from __future__ import annotations

import hmac
import math

from storage.read_records import Position, ReadPlace, ReadText
from sync.department.content.likeness import is_near
from sync.department.content.read_times import is_asked_for
from sync.department.journal.inquiry_entries import Area, Query

EARTH_M = 6_371_008.8


def can_be_one(first: str, second: str) -> bool:
    """Whether some plate fits both patterns. Takes at most the product of their lengths in steps.

    In either, `*` is any characters and `?` any one character, as in a read with an unreadable character.
    """
    ends = _past_stars(second, {0})  # places in `second` up to which it fits the part of `first` so far
    for one in first:
        if one == "*":
            ends = set(range(min(ends), len(second) + 1)) if ends else ends
            continue
        fitting = {one, "?"} if one != "?" else set(second) - {"*"}
        stay = {at for at in ends if second[at : at + 1] == "*"}
        ends = _past_stars(second, stay | {at + 1 for at in ends if second[at : at + 1] in fitting})
    return len(second) in ends


def _past_stars(plate: str, places: set[int]) -> set[int]:
    """The places, and those after any stars that follow, since a star may match nothing."""
    for at, one in enumerate(plate):
        if one == "*" and at in places:
            places.add(at + 1)
    return places


def distance_m(area: Area, position: Position) -> float:
    """Great-circle distance from the center of an area, in meters."""
    first, second = math.radians(area.latitude), math.radians(position.latitude)
    east = math.radians(position.longitude - area.longitude)
    half = math.sin((second - first) / 2) ** 2 + math.cos(first) * math.cos(second) * math.sin(east / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(half))


def matches(query: Query, text: ReadText, place: ReadPlace, day: int | None = None) -> bool:
    """Whether a read matches the query, or is near it. The store matches the unit.

    `day`: of receipt, for reads that are found by it because their time is not trusted.
    """
    if not is_asked_for(place, query.since_us, query.until_us, day):
        return False
    if query.area is not None and (
        place.position is None or distance_m(query.area, place.position) > query.area.radius_m
    ):
        return False
    if not query.plate:
        return True
    if set(query.plate) & {"*", "?"}:
        return can_be_one(query.plate, text.text)
    same = hmac.compare_digest(query.plate.encode(), text.text.encode())
    return same or is_near(query.plate, text)
