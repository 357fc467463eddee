"""No-read zones on the pages, in words, on the plot and on the map; units and roles by name, not by code."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import unescape
from pathlib import Path

from desk_twins import Department
from hypothesis import given
from hypothesis import strategies as st
from page_reader import WHY, Reader
from street_map_twin import drawn_map

from storage.policy import NoReadZone
from sync.department.pages.plotting import EDGE, SIDE, PlotFrame
from sync.department.pages.street_map import StreetMap
from sync.department.pages.wording import title_of, word_of
from sync.department.pages.zones import plot_of_zones, rows_of, zones_text
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.roles import Role
from sync.department.server.open_desk import adopt_root

Browser = Callable[[], Reader]
CLINIC = NoReadZone(
    id="womens-clinic", corners=((34.15, -118.0), (34.16, -118.0), (34.16, -117.99), (34.15, -117.99))
)


def test_a_zone_in_words_says_how_large_it_is_and_where() -> None:
    (row,) = rows_of([CLINIC])
    assert (row.name, row.size) == ("womens clinic", "about 1.0 km²")  # 1.11 km by 0.92 km
    assert row.corners == CLINIC.corners
    yard = NoReadZone(id="a", corners=tuple((34 + x / 10, -118 + y / 10) for x, y in CLINIC.corners))
    assert rows_of([yard, CLINIC])[0].size == "about 1 ha"


def test_the_map_gets_the_corners_as_the_policy_has_them() -> None:
    assert zones_text([]) == ""
    assert json.loads(zones_text([CLINIC])) == [
        ["No-read zone: womens clinic", [list(corner) for corner in CLINIC.corners]]
    ]
    assert plot_of_zones([]) is None


PLACES = st.lists(st.tuples(st.floats(-80, 80), st.floats(-179, 179)), min_size=1, max_size=30)


@given(PLACES)
def test_every_place_of_a_frame_is_on_its_plot_with_north_up(places: list[tuple[float, float]]) -> None:
    frame = PlotFrame.around(places)
    drawn = [frame.place(*one) for one in places]
    assert all(EDGE - 1 <= value <= SIDE - EDGE + 1 for one in drawn for value in one)
    northmost, southmost = max(range(len(places)), key=lambda at: places[at][0]), 0
    southmost = min(range(len(places)), key=lambda at: places[at][0])
    assert drawn[northmost][1] <= drawn[southmost][1]


def with_zone(department: Department) -> Department:
    """The department under a policy that two offices signed, with a zone around the reads."""
    document = department.desk.policy_document.replace(
        b"no_read_zones = []",
        b'no_read_zones = [{id = "womens-clinic", corners = [[34.15, -118.0], [34.16, -118.0], '
        b"[34.16, -117.99]]}]",
    ).replace(b"version = 2\n", b"version = 3\n", 1)
    root = department.new_root(policy_version=3, policy_digest=policy_digest(document))
    adopt_root(department.home, department.desk, root, document)
    return department


def test_the_policy_page_and_the_results_show_the_zones(department: Department, tmp_path: Path) -> None:
    with_zone(department)
    streets = StreetMap.open(drawn_map(tmp_path / "streets.pmtiles"))
    with Reader.desk(department, streets) as make:
        one = make()
        one.logon("comm1")
        policy = one.get("/policy")
        assert "womens clinic" in policy.text
        assert "34.15000, -118.00000; 34.16000, -118.00000; 34.16000, -117.99000" in policy.text
        assert policy.html.count('<polygon class="zone"') == 1
        given = next(facts for tag, facts in policy.tags if tag == "div" and "data-zones" in facts)
        assert json.loads(unescape(given["data-zones"]))[0][1][0] == [34.15, -118.0]
        assert given["data-shows"] == "zones"
        results = one.send(one.get("/search"), "/search", **WHY, plate="8XYZ123")
        assert "no-read zone womens clinic" in results.text
        assert "data-zones" in results.html
        assert "data-zones" in one.get("/search").html


def test_without_zones_the_policy_page_says_so_and_no_page_draws_one(reader: Browser) -> None:
    one = reader()
    one.logon("comm1")
    assert "The policy names none: units read everywhere." in one.get("/policy").text
    results = one.send(one.get("/search"), "/search", **WHY, plate="8XYZ123")
    assert 'class="plot"' in results.html
    assert "zone" not in results.text


def test_roles_are_shown_by_their_titles(department: Department, reader: Browser) -> None:
    policy = department.desk.policy
    assert title_of(policy, Role.CCAT_SUPERVISOR) == "CCAT Supervisor"
    assert title_of(policy, "technician") == word_of("technician")
    one = reader()
    page = one.logon("super")
    assert "CCAT Supervisor" in page.text
    people = one.get("/training")
    assert policy.title(Role.COMMUNICATIONS) in people.text
    assert "ccat supervisor" not in people.text
