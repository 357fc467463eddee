"""What a query matches: plate, place and time of one opened read. No I/O."""

from __future__ import annotations

import hmac
import math
import re

from storage.read_records import Position, ReadPlace, ReadText
from sync.department.content.likeness import is_near
from sync.department.content.read_times import is_asked_for
from sync.department.journal.inquiry_entries import Area, Query

EARTH_M = 6_371_008.8


def pattern_of(plate: str) -> re.Pattern[str]:
    """A wildcard plate as an expression; an unreadable character of a read (?) matches any."""
    parts = [".*" if one == "*" else "." if one == "?" else f"[{one}?]" for one in plate]
    return re.compile("".join(parts))


def distance_m(area: Area, position: Position) -> float:
    """Great-circle distance from the center of an area."""
    first, second = math.radians(area.latitude), math.radians(position.latitude)
    east = math.radians(position.longitude - area.longitude)
    half = math.sin((second - first) / 2) ** 2 + math.cos(first) * math.cos(second) * math.sin(east / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(half))


def matches(query: Query, text: ReadText, place: ReadPlace, day: int | None = None) -> bool:
    """Whether a read is what the query asks for, or near it (the unit is matched by the store).

    `day`: of receipt, where a read whose time is not believed is found by it.
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
        return pattern_of(query.plate).fullmatch(text.text) is not None
    same = hmac.compare_digest(query.plate.encode(), text.text.encode())
    return same or is_near(query.plate, text)
