"""Street maps for tests: PMTiles files with raster or vector tiles of a few square kilometers."""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

UNTYPED_WRITER: Any = Writer  # the library has no types
MIDDLE = (34.1443, -118.0019)  # latitude, longitude: near the reads of the desk's twins
SPAN = 0.2
GREEN = (40, 160, 80)
ZOOMS = (8, 12)


def drawn_map(path: Path, *, attribution: str = "") -> Path:
    """A map of green PNG tiles."""
    data = io.BytesIO()
    Image.new("RGB", (256, 256), GREEN).save(data, "PNG")
    return write_map(path, TileType.PNG, Compression.NONE, lambda *_: data.getvalue(), attribution)


def vector_map(path: Path, *, attribution: str = "") -> Path:
    """A map of vector tiles, each of them land with one road."""
    data = gzip.compress(_layer("earth", 3, _square(4096)) + _layer("roads", 2, _line(4096)))
    return write_map(path, TileType.MVT, Compression.GZIP, lambda *_: data, attribution)


def write_map(
    path: Path,
    kind: TileType,
    compression: Compression,
    tile: Callable[[int, int, int], bytes],
    attribution: str,
) -> Path:
    """Write a PMTiles file with every tile that intersects the area."""
    latitude, longitude = MIDDLE
    with path.open("wb") as file:
        writer: Any = UNTYPED_WRITER(file)
        places = sorted(
            (zxy_to_tileid(zoom, x, y), zoom, x, y)
            for zoom in range(ZOOMS[0], ZOOMS[1] + 1)
            for x, y in _tiles(zoom)
        )
        for number, zoom, x, y in places:
            writer.write_tile(number, tile(zoom, x, y))
        writer.finalize(
            {
                "tile_type": kind,
                "tile_compression": compression,
                "min_zoom": ZOOMS[0],
                "max_zoom": ZOOMS[1],
                "min_lon_e7": round((longitude - SPAN) * 1e7),
                "min_lat_e7": round((latitude - SPAN) * 1e7),
                "max_lon_e7": round((longitude + SPAN) * 1e7),
                "max_lat_e7": round((latitude + SPAN) * 1e7),
                "center_zoom": 10,
                "center_lon_e7": round(longitude * 1e7),
                "center_lat_e7": round(latitude * 1e7),
            },
            {"attribution": attribution} if attribution else {},
        )
    return path


def _tiles(zoom: int) -> list[tuple[int, int]]:
    """The tiles at a zoom that intersect the area (Web Mercator, EPSG:3857)."""

    def row(latitude: float) -> int:
        turned = math.asinh(math.tan(math.radians(latitude)))
        return int((1 - turned / math.pi) / 2 * (1 << zoom))

    def column(longitude: float) -> int:
        return int((longitude + 180) / 360 * (1 << zoom))

    latitude, longitude = MIDDLE
    return [
        (x, y)
        for x in range(column(longitude - SPAN), column(longitude + SPAN) + 1)
        for y in range(row(latitude + SPAN), row(latitude - SPAN) + 1)
    ]


# Vector tiles (https://github.com/mapbox/vector-tile-spec, version 2.1): the few messages for a shape.


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _square(side: int) -> list[int]:
    points = [_zigzag(one) for one in (side, 0, 0, side, -side, 0)]
    return [1 << 3 | 1, 0, 0, 3 << 3 | 2, *points, 1 << 3 | 7]


def _line(side: int) -> list[int]:
    return [1 << 3 | 1, 0, 0, 1 << 3 | 2, _zigzag(side), _zigzag(side)]


def _layer(name: str, shape: int, geometry: list[int]) -> bytes:
    tags = b"".join(_varint(one) for one in (0, 0))
    drawn = b"".join(_varint(one) for one in geometry)
    feature = _bytes(2, tags) + _number(3, shape) + _bytes(4, drawn)
    body = _bytes(1, name.encode()) + _bytes(2, feature) + _bytes(3, b"kind")
    body += _bytes(4, _bytes(1, b"earth" if name == "earth" else b"highway"))
    return _bytes(3, body + _number(5, 4096) + _number(15, 2))
