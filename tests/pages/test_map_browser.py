"""The map in real Chromium: drawn from both kinds of tiles, without errors, and a plot with scripts off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from desk_twins import Department, open_copy
from page_reader import WHY
from street_map_twin import drawn_map, vector_map
from waiting import until

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page is opened")
from page_browser import CHROMIUM, Window, Windows, windows
from playwright.sync_api import expect

from sync.department.pages.street_map import StreetMap

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: no page is opened"),
]
INKED = """box => [...box.querySelectorAll('canvas')].some(one => {
  const all = one.getContext('2d').getImageData(0, 0, one.width, one.height).data;
  const seen = new Set();
  for (let at = 0; at < all.length; at += 4) if (all[at + 3]) seen.add(all.slice(at, at + 3).join());
  return seen.size > 1;
})"""


@pytest.fixture(scope="module", params=["raster", "vector"])
def desk(
    request: pytest.FixtureRequest, founded: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Windows]:
    """One department, one server and one browser for each kind of map."""
    folder = tmp_path_factory.mktemp("mapped")
    shutil.copytree(founded, folder / "copy")
    made: Department = open_copy(folder / "copy")
    make = drawn_map if request.param == "raster" else vector_map
    with windows(made, StreetMap.open(make(folder / "streets.pmtiles"))) as chromium:
        yield chromium
    made.close()


def search(one: Window) -> None:
    """Search for something whose results have places."""
    one.go("/search")
    for name in ("number", "justification"):
        one.page.locator(f"#{name}").fill(WHY[name])
    for name in ("number_kind", "purpose", "basis"):
        one.page.locator(f"#{name}").select_option(WHY[name])
    one.page.locator("#plate").fill("8XYZ123")
    one.page.locator("button[value=run]").click()
    one.page.get_by_role("heading", name="8XYZ123").wait_for()


@pytest.mark.thorough_rows
def test_results_are_drawn_on_the_map_from_this_host_alone(desk: Windows) -> None:
    one = desk.open()
    asked: list[str] = []
    one.page.on("request", lambda each: asked.append(each.url))
    one.logon("disp1")
    search(one)
    page = one.page
    box = page.get_by_role("region", name="Map of the reads")
    expect(box.locator("path.leaflet-interactive")).to_have_count(3)
    raster = box.locator("img.leaflet-tile-loaded").first
    if "raster" in str(page.locator("[data-map]").get_attribute("data-map")):
        raster.wait_for()
        assert raster.evaluate("one => one.naturalWidth") == 256
    else:
        # polled from outside: the page's own policy refuses the eval that a wait inside it needs
        until(lambda: page.locator("[data-map]").evaluate(INKED))
    expect(page.locator("svg.plot")).to_be_hidden()
    expect(page.locator("figcaption .credit")).to_contain_text("OpenStreetMap")
    page.emulate_media(media="print")
    expect(page.locator("svg.plot")).to_be_visible()
    page.emulate_media(media="screen")
    assert one.faults_by_day_and_night() == []
    assert {urlsplit(each).netloc for each in asked} == {urlsplit(one.base).netloc}
    assert one.complaints == []
    box.locator("path.leaflet-interactive").first.click(force=True)
    assert "#row-" in page.url
    one.context.close()


@pytest.mark.thorough_rows
def test_a_click_on_the_map_sets_the_place_of_a_search(desk: Windows) -> None:
    one = desk.open()
    one.logon("disp1", then="/search")
    page = one.page
    page.get_by_text("Times and place").click()
    box = page.get_by_role("region", name="Map: a click sets the place")
    box.wait_for()
    box.click(position={"x": 200, "y": 150})
    expect(box.locator("path.leaflet-interactive")).to_have_count(1)
    assert 33.5 < float(page.locator("#latitude").input_value()) < 34.8
    assert -119 < float(page.locator("#longitude").input_value()) < -117
    page.locator("#radius_m").fill("900")
    page.keyboard.press("Tab")
    expect(box.locator("path.leaflet-interactive")).to_have_count(1)
    assert one.faults_by_day_and_night() == []
    assert one.complaints == []
    one.context.close()


@pytest.mark.thorough_rows
def test_with_scripts_off_the_plot_stays(desk: Windows) -> None:
    one = desk.open(java_script_enabled=False)
    one.logon("disp1")
    search(one)
    expect(one.page.locator("svg.plot")).to_be_visible()
    expect(one.page.locator("[data-map]")).to_be_hidden()
    one.context.close()
