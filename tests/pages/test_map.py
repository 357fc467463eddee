"""The department's own street map: its file, its tiles, and the pages that have room for it."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from desk_twins import Department
from hypothesis import given, settings
from hypothesis import strategies as st
from page_reader import WHY, Reader
from PIL import Image
from pmtiles.tile import Compression, TileType
from street_map_twin import GREEN, MIDDLE, ZOOMS, drawn_map, vector_map, write_map
from structlog.testing import capture_logs

from sync.department.commands.serve import _map_of
from sync.department.pages import rendering
from sync.department.pages.street_map import OPENSTREETMAP, MapError, StreetMap

TILE = (12, 705, 1635)  # at MIDDLE


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_map(tmp_path_factory.mktemp("maps") / "streets.pmtiles")


@pytest.fixture
def mapped(department: Department, drawn: Path) -> Iterator[Reader]:
    """The browser of a dispatcher whose department has a map."""
    with Reader.desk(department, StreetMap.open(drawn)) as make:
        one = make()
        one.logon("disp1")
        yield one


def test_a_map_file_says_what_it_is(drawn: Path, tmp_path: Path) -> None:
    streets = StreetMap.open(drawn)
    assert (streets.kind, streets.media, streets.encoding) == ("raster", "image/png", "")
    assert (streets.min_zoom, streets.max_zoom) == ZOOMS
    assert streets.covers(*MIDDLE)
    assert not streets.covers(-MIDDLE[0], MIDDLE[1])
    assert streets.attribution == OPENSTREETMAP
    said = '<a href="https://www.openstreetmap.org/copyright">&copy; OpenStreetMap</a> and\nthe  County'
    vector = StreetMap.open(vector_map(tmp_path / "v.pmtiles", attribution=said))
    assert (vector.kind, vector.encoding) == ("vector", "gzip")
    assert vector.attribution == "© OpenStreetMap and the County"


def test_a_tile_is_given_as_the_file_has_it_and_none_beyond_the_map(drawn: Path) -> None:
    streets = StreetMap.open(drawn)
    data = streets.tile(*TILE)
    assert data is not None
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.getpixel((9, 9)) == GREEN
    for place in ((12, 0, 0), (7, 22, 51), (13, 1411, 3271), (12, -1, 5), (12, 1 << 12, 5), (31, 1, 1)):
        assert streets.tile(*place) is None


@pytest.mark.parametrize("size", [0, 6, 126, 127, 300, -1])
def test_a_cut_map_file_is_refused_by_name(drawn: Path, tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.pmtiles"
    cut.write_bytes(drawn.read_bytes()[:size])
    with pytest.raises(MapError, match=r"cut\.pmtiles: is not a PMTiles file .* with: pmtiles extract"):
        StreetMap.open(cut)


def test_what_no_browser_can_draw_is_refused(tmp_path: Path) -> None:
    brotli = write_map(tmp_path / "b.pmtiles", TileType.MVT, Compression.BROTLI, lambda *_: b"x", "")
    avif = write_map(tmp_path / "a.pmtiles", TileType.AVIF, Compression.NONE, lambda *_: b"x", "")
    for path in (brotli, avif, tmp_path):
        with pytest.raises(MapError, match="is not a PMTiles file"):
            StreetMap.open(path)
    with pytest.raises(MapError, match="there is no such file; correct map_file"):
        StreetMap.open(tmp_path / "none.pmtiles")


def test_a_map_that_is_cut_while_it_is_open_is_an_error_of_one_tile(drawn: Path, tmp_path: Path) -> None:
    """A memory-mapped file would end the process here."""
    copy = tmp_path / "copy.pmtiles"
    copy.write_bytes(drawn.read_bytes())
    streets = StreetMap.open(copy)
    copy.write_bytes(copy.read_bytes()[:200])
    with pytest.raises(MapError, match="damaged"):
        streets.tile(*TILE)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_map_file_is_refused_or_gives_a_tile_or_none(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path, bad = folder / "whole.pmtiles", folder / "bad.pmtiles"
    whole = bytearray((path if path.exists() else drawn_map(path)).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, min(len(whole), 600) - 1))] = data.draw(st.integers(0, 255))
    bad.write_bytes(whole)
    try:
        streets = StreetMap.open(bad)
        found = streets.tile(*TILE)
    except MapError:
        return
    assert found is None or isinstance(found, bytes)
    assert streets.is_sound()


def test_tiles_are_for_who_is_logged_on(mapped: Reader, department: Department) -> None:
    path = "/map/{}/{}/{}".format(*TILE)
    answer = mapped.ask("GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["cache-control"] == "no-store"
    assert mapped.ask("GET", "/map/12/0/0").status_code == 204
    stranger = Reader(department, mapped.base)
    assert stranger.get(path).status == 401
    stranger.client.close()


def test_vector_tiles_say_how_they_are_packed(department: Department, tmp_path: Path) -> None:
    with Reader.desk(department, StreetMap.open(vector_map(tmp_path / "v.pmtiles"))) as make:
        one = make()
        one.logon("disp1")
        answer = one.ask("GET", "/map/{}/{}/{}".format(*TILE))
    assert answer.headers["content-encoding"] == "gzip"
    assert b"roads" in answer.content  # unpacked by the client
    assert gzip.decompress(gzip.compress(answer.content)) == answer.content


def test_a_search_shows_its_places_on_the_map_and_as_a_plot(mapped: Reader) -> None:
    search = mapped.get("/search")
    scripts = [one["src"] for tag, one in search.tags if tag == "script"]
    assert [path.rpartition("/")[2] for path in scripts] == [
        *("desk.js", "map.js", "leaflet.js", "protomaps-leaflet.js")
    ]
    assert OPENSTREETMAP in search.text
    found = mapped.send(search, "/search", **WHY, do="run", plate="8XYZ123")
    assert 'class="plot"' in found.html  # it stays with scripts off
    spots = re.search(r'data-spots="([^"]+)"', found.html)
    assert spots is not None
    assert unescape(spots[1]).count("[") == 1 + found.html.count('class="spot"')
    assert OPENSTREETMAP in found.text


def test_no_page_loads_the_map_without_need(mapped: Reader, department: Department) -> None:
    for path in ("/", "/alerts", "/help", "/account"):
        assert "leaflet" not in mapped.get(path).html
    with Reader.desk(department) as make:
        one = make()
        one.logon("disp1")
        for sheet in (one.get("/search"), one.get("/logon")):
            assert "leaflet" not in sheet.html
            assert OPENSTREETMAP not in sheet.text


def test_a_bad_map_costs_the_map_and_not_the_desk(drawn: Path, tmp_path: Path) -> None:
    with capture_logs() as said:
        assert _map_of("") is None
        assert _map_of(str(drawn)) is not None
        assert said == []
        assert _map_of(str(tmp_path / "none.pmtiles")) is None
    assert [one["event"] for one in said] == ["map_not_used"]
    assert "none.pmtiles" in said[0]["reason"]


def test_vendored_files_are_those_of_their_releases() -> None:
    """The files of leaflet 1.9.4 and protomaps-leaflet 5.1.0 as npm has them, byte for byte."""
    known = {
        "leaflet.js": "db49d009c841f5ca34a888c96511ae936fd9f5533e90d8b2c4d57596f4e5641a",
        "leaflet.css": "a7837102824184820dfa198d1ebcd109ff6d0ff9a2672a074b9a1b4d147d04c6",
        "protomaps-leaflet.js": "26af014f7b1af308ec120b791cff76657bb9c3383633b52033e6edf9e5e4cdb5",
    }
    for name, digest in known.items():
        assert hashlib.sha256(rendering.asset(f"vendored/{name}")).hexdigest() == digest
    licenses = rendering.asset("vendored/LICENSES.txt").decode()
    assert "leaflet 1.9.4" in licenses
    assert "protomaps-leaflet 5.1.0" in licenses
