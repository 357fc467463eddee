"""The templates and what they share: local times, words for codes, addresses of styles and scripts."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Any

import jinja2

from storage.counts import counted
from storage.times import margin_text
from sync.department.desk.field_help import label_of
from sync.department.ground.local_time import clock_text
from sync.department.pages.handing import secrets_of
from sync.department.pages.wording import act_of, word_of

FOLDER = Path(__file__).parent
ASSETS = {"desk.css": "text/css", "desk.js": "text/javascript"}
MAP_ASSETS = {  # only for pages with a map
    "vendored/leaflet.css": "text/css",
    "map.js": "text/javascript",
    "vendored/leaflet.js": "text/javascript",
    "vendored/protomaps-leaflet.js": "text/javascript",
}


@functools.cache
def templates() -> jinja2.Environment:
    """The pages' templates. Everything is escaped, and an unknown name is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        auto_reload=False,  # it would look at the disk for each page and each part
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["word"] = word_of
    made.filters["act"] = act_of
    made.filters["label"] = lambda name: (words := label_of(name))[:1].upper() + words[1:]
    made.filters["margin"] = margin_text
    made.filters["base64"] = lambda data: base64.b64encode(data).decode()
    made.globals["secrets"] = secrets_of
    made.globals["counted"] = counted
    made.tests["given"] = lambda value: value not in {None, "", -1, 0}
    return made


@functools.cache
def asset(name: str) -> bytes:
    """The content of a file that pages name."""
    return (FOLDER / "assets" / name).read_bytes()


@functools.cache
def asset_path(name: str) -> str:
    """The address of a file that pages name, which changes with its content."""
    return f"/assets/{hashlib.sha256(asset(name)).hexdigest()[:16]}/{Path(name).name}"


def clock_of(zone: tzinfo) -> Callable[[int], str]:
    """Make a function that formats times as the department's clocks show them: 2026-11-26 14:05:09."""

    def text(at_us: int) -> str:
        return clock_text(at_us, zone, "%Y-%m-%d %H:%M:%S") if at_us > 0 else "never"

    return text


def ago(at_us: int, now_us: int) -> str:
    """How long ago, in one unit: 4 min."""
    seconds = max(0, (now_us - at_us) // 1_000_000)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit != "d" and seconds >= length):
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def render(name: str, context: dict[str, Any]) -> str:
    """Render one page."""
    return templates().get_template(name).render(context)
