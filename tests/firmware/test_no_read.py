"""No-read zones: of thousands of simulated passes none is read inside, and those outside are.

With ALPR_FAULTS=full (make faults), 100,000 passes per zone.
"""

from __future__ import annotations

import math
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.frames.no_read import METERS_PER_DEGREE, NoReadRule, Place, Zone
from hw.position import Fix, FixQuality
from storage.policy import NoReadZone

pytestmark = pytest.mark.slow

PASSES = 100_000 if os.environ.get("ALPR_FAULTS") == "full" else 4000
CLINIC = NoReadZone(
    id="clinic", corners=((34.15, -118.01), (34.16, -118.01), (34.16, -117.99), (34.15, -117.99))
)
# concave, and across the date line
COVE = NoReadZone(
    id="cove", corners=((-17.0, 179.9), (-16.8, 179.9), (-16.9, -179.95), (-16.8, -179.8), (-17.0, -179.8))
)


def is_inside(latitude: float, longitude: float, zone: NoReadZone) -> bool:
    """Whether a place is inside, by winding angles: not the method under test."""
    turned = 0.0
    points = [(lat - latitude, (lon - longitude + 180) % 360 - 180) for lat, lon in zone.corners]
    for (y0, x0), (y1, x1) in zip(points, points[1:] + points[:1], strict=True):
        turned += math.atan2(x0 * y1 - x1 * y0, x0 * x1 + y0 * y1)
    return abs(turned) > math.pi


def fix(latitude: float, longitude: float, error_m: float, quality: FixQuality = FixQuality.SATELLITE) -> Fix:
    return Fix(
        latitude_deg=latitude, longitude_deg=(longitude + 180) % 360 - 180, error_m=error_m, quality=quality,
        utc_us=0, heard_s=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("zone", [CLINIC, COVE], ids=lambda zone: str(zone.id))
def test_of_thousands_of_passes_none_is_read_inside_a_zone(zone: NoReadZone) -> None:
    """The unit's position is off by up to the receiver's stated error; the true position decides."""
    draw = random.Random(zone.id)
    south, north = min(c[0] for c in zone.corners), max(c[0] for c in zone.corners)
    first = zone.corners[0][1]
    east = [(c[1] - first + 180) % 360 - 180 for c in zone.corners]
    height, width = north - south, max(east) - min(east)
    inside = read = 0
    place: list[Fix | None] = [None]
    rule = NoReadRule(lambda: (zone,), lambda _ago_s: place[0], mobile=True)
    for _ in range(PASSES):
        latitude = draw.uniform(south - height, north + height)
        longitude = first + draw.uniform(min(east) - width, max(east) + width)
        error_m = draw.choice((0.0, 2.0, 15.0, 200.0, 3000.0))
        off_m, way = draw.uniform(0, error_m), draw.uniform(0, 2 * math.pi)
        believed = fix(
            latitude + off_m * math.cos(way) / METERS_PER_DEGREE,
            longitude + off_m * math.sin(way) / METERS_PER_DEGREE / math.cos(math.radians(latitude)),
            error_m,
        )
        place[0] = None if draw.random() < 0.05 else believed
        permitted = rule.permits(0.0)
        truly_inside = is_inside(latitude, longitude, zone)
        inside += truly_inside
        read += permitted
        assert not (permitted and truly_inside)
        assert not (permitted and place[0] is None)
    assert inside > PASSES / 20
    assert read > PASSES / 4  # the rule does not forbid everything


@given(latitude=st.floats(34.0, 34.3), longitude=st.floats(-118.2, -117.8), error_m=st.floats(0.0, 50.0))
def test_far_from_every_zone_a_unit_reads(latitude: float, longitude: float, error_m: float) -> None:
    place = Place(latitude=latitude, longitude=longitude, error_m=error_m)
    near = max(34.15 - latitude, latitude - 34.16, (-118.01 - longitude), longitude + 117.99) < 0.01
    assert Zone(CLINIC).reaches(place) or not is_inside(latitude, longitude, CLINIC)
    if not near:
        assert not Zone(CLINIC).reaches(place)


@pytest.mark.parametrize(
    ("found", "mobile", "fixed", "read"),
    [
        pytest.param(None, True, None, False, id="no one knows where a vehicle is"),
        pytest.param(None, False, None, True, id="a pole stays where it was put"),
        pytest.param(
            None, False, Place(latitude=34.155, longitude=-118.0, error_m=5), False, id="a pole inside"
        ),
        pytest.param(
            None, False, Place(latitude=34.2, longitude=-118.0, error_m=5), True, id="a pole outside"
        ),
        pytest.param(fix(34.2, -118.0, 3.0, FixQuality.GUESSED), True, None, False, id="dead reckoning"),
        pytest.param(fix(34.2, -118.0, 3.0), True, None, True, id="outside"),
        pytest.param(fix(34.155, -118.0, 3.0), True, None, False, id="inside"),
        pytest.param(fix(34.1605, -118.0, 3.0), True, None, True, id="56 m outside, sure"),
        pytest.param(fix(34.1605, -118.0, 60.0), True, None, False, id="56 m outside, unsure by 60"),
        pytest.param(fix(34.2, -118.0, math.inf), True, None, False, id="no idea how sure"),
    ],
)
def test_what_is_known_of_the_place_decides(
    found: Fix | None, mobile: bool, fixed: Place | None, read: bool
) -> None:
    rule = NoReadRule(lambda: (CLINIC,), lambda _ago_s: found, mobile=mobile, fixed=fixed)
    assert rule.permits(0.0) is read


def test_without_zones_everything_is_read_and_a_new_policy_counts_at_once() -> None:
    zones: list[NoReadZone] = []
    rule = NoReadRule(lambda: zones, lambda _ago_s: fix(34.155, -118.0, 3.0), mobile=True)
    assert rule.permits(0.0)
    zones.append(CLINIC)
    assert not rule.permits(0.0)
    zones.clear()
    assert rule.permits(0.0)


def test_a_stage_that_still_asks_by_other_zones_opens_no_new_one() -> None:
    """Capture and reading share the rule, and a policy may come between their two questions."""
    zones = iter([(CLINIC,), (COVE,)])
    asked: list[bool] = []

    def fix_at(_ago_s: float) -> Fix:
        if not asked:
            asked.append(True)
            rule.permits(0.0)  # the other stage, by the zones that it was given before
        return fix(34.155, -118.0, 3.0)

    rule = NoReadRule(lambda: next(zones), fix_at, mobile=True)
    assert not rule.permits(0.0)
