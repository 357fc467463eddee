"""The department's own street map: tiles of one PMTiles file (version 3), read a tile at a time.

The format: https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md. Nothing is fetched from another
host, so that no map server learns where a department looks.
"""

from __future__ import annotations

import functools
import html
import json
import math
import os
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pmtiles.reader import Reader
from pmtiles.tile import Compression, MagicNumberNotFound, SpecVersionUnsupported, TileType

from storage.errors import ExplainedError

MAX_PIECE_BYTES = 16 << 20  # a directory or a tile: a header that says more is damaged
MAX_ZOOM = 24
TILES_IN_MEMORY = 512
OPENSTREETMAP = "© OpenStreetMap contributors"  # the attribution that ODbL 4.3 requires
MEDIA = {
    TileType.MVT: "application/vnd.mapbox-vector-tile",
    TileType.PNG: "image/png",
    TileType.JPEG: "image/jpeg",
    TileType.WEBP: "image/webp",
}
UNTYPED_READER: Any = Reader  # the library has no types
_TAG = re.compile(r"<[^>]*>")
_DAMAGE = (
    *(MagicNumberNotFound, SpecVersionUnsupported, struct.error, zlib.error),
    *(OSError, EOFError, ValueError, KeyError, IndexError, TypeError, OverflowError),
)


class MapError(ExplainedError):
    """A map file cannot be used. The message names the file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreetMap:
    """A map to draw. `bounds`: south, west, north, east in degrees; `encoding`: that of each tile."""

    media: str
    encoding: str
    min_zoom: int
    max_zoom: int
    bounds: tuple[float, float, float, float]
    attribution: str
    _get: Callable[[int, int, int], bytes | None] = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> StreetMap:
        """Open the file and check its header. Raises MapError."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            reader: Any = UNTYPED_READER(_pieces(file))
            head = reader.header()
            if os.fstat(file).st_size < head["tile_data_offset"] + head["tile_data_length"]:
                raise EOFError  # a copy that was cut short
            media = MEDIA[head["tile_type"]]
            encoding = {Compression.NONE: "", Compression.UNKNOWN: "", Compression.GZIP: "gzip"}[
                head["tile_compression"]
            ]
            attribution = attribution_of(reader.metadata())
            made = cls(
                media=media,
                encoding=encoding,
                min_zoom=int(head["min_zoom"]),
                max_zoom=min(MAX_ZOOM, int(head["max_zoom"])),
                bounds=(
                    head["min_lat_e7"] / 1e7,
                    head["min_lon_e7"] / 1e7,
                    head["max_lat_e7"] / 1e7,
                    head["max_lon_e7"] / 1e7,
                ),
                attribution=attribution,
                _get=functools.lru_cache(maxsize=TILES_IN_MEMORY)(reader.get),
            )
        except FileNotFoundError:
            raise MapError(f"{path}: there is no such file; correct map_file in department.toml") from None
        except _DAMAGE:
            raise MapError(
                f"{path}: is not a PMTiles file (version 3) with vector, PNG, JPEG or WebP tiles, plain or "
                "gzip; make one with: pmtiles extract"
            ) from None
        if not made.is_sound():
            raise MapError(f"{path}: its zooms or bounds are impossible; make it again with: pmtiles extract")
        return made

    def is_sound(self) -> bool:
        """Whether zooms and bounds are possible values."""
        south, west, north, east = self.bounds
        spans = -90 <= south < north <= 90 and -180 <= west < east <= 180
        return spans and 0 <= self.min_zoom <= self.max_zoom

    @property
    def kind(self) -> str:
        """The kind of its tiles: vector or raster."""
        return "raster" if self.media.startswith("image/") else "vector"

    def tile(self, zoom: int, x: int, y: int) -> bytes | None:
        """One tile, compressed as in the file; None if there is none. Raises MapError for a damaged file."""
        if not (self.min_zoom <= zoom <= self.max_zoom and 0 <= x < 1 << zoom and 0 <= y < 1 << zoom):
            return None
        try:
            return self._get(zoom, x, y)
        except _DAMAGE:
            raise MapError("the map file is damaged: a tile cannot be read; replace the file") from None

    def covers(self, latitude: float, longitude: float) -> bool:
        """Whether a place is on the map."""
        south, west, north, east = self.bounds
        return south <= latitude <= north and west <= longitude <= east

    def for_page(self) -> dict[str, Any]:
        """What the page's script needs to draw the map."""
        return {
            "kind": self.kind,
            "zooms": [self.min_zoom, self.max_zoom],
            "bounds": [round(one, 6) for one in self.bounds],
        }


def attribution_of(metadata: Any) -> str:
    """The map's attribution without markup; OpenStreetMap's if the file has none."""
    said = metadata.get("attribution") if isinstance(metadata, dict) else None
    plain = " ".join(html.unescape(_TAG.sub(" ", said)).split()) if isinstance(said, str) else ""
    return "".join(one for one in plain if one.isprintable())[:300] or OPENSTREETMAP


def _pieces(file: int) -> Callable[[int, int], bytes]:
    """Make a reader of parts of an open file. A file that shrinks then is an error and not a memory fault."""

    def piece(offset: int, length: int) -> bytes:
        if not 0 <= length <= MAX_PIECE_BYTES:
            raise ValueError("a piece is too long")
        data = os.pread(file, length, offset)
        if len(data) != length:
            raise EOFError
        return data

    return piece


def opened(name: str) -> StreetMap | None:
    """Open the map of a setting; None for an empty one. Raises MapError."""
    return StreetMap.open(Path(name)) if name else None


def spots_text(rows: list[tuple[float, float, int, bool]]) -> str:
    """Places for the page's script: [latitude, longitude, row, near]."""
    good = [one for one in rows if math.isfinite(one[0]) and math.isfinite(one[1])]
    return json.dumps([[round(lat, 6), round(lon, 6), row, int(near)] for lat, lon, row, near in good])
