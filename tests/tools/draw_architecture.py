"""Draws the README's picture: python -m tests.tools.draw_architecture firmware/architecture.svg."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 1120, 640
INK, SOFT, UNIT, OFFICE, OUTSIDE = "#1f2933", "#52606d", "#e3f2ec", "#e6eefb", "#fbf0dd"


@dataclass(frozen=True, slots=True)
class Box:
    """A part with its name and up to three lines; all lengths in px."""

    x: int
    y: int
    w: int
    h: int
    name: str
    lines: tuple[str, ...] = ()
    room: str = ""


AREAS = (
    (20, 64, 560, 470, UNIT, "On the unit (a Raspberry Pi)"),
    (620, 64, 300, 470, OFFICE, "At the department"),
    (950, 64, 150, 470, OUTSIDE, "Outside it"),
)
BOXES = (
    Box(40, 104, 160, 84, "Camera, clock, GPS", ("driver and twin each",), "hw/"),
    Box(224, 104, 160, 84, "Find, read, vote", ("three int8 nets;", "one text a pass"), "detector/"),
    Box(400, 104, 160, 84, "Hot lists, alerts", ("a person confirms",), "firmware/alerts/"),
    Box(
        224, 232, 336, 104, "The log",
        ("each read signed, sealed, in a Merkle log;", "keys per epoch, purged on their day;",
         "holds, evidence, access entries"), "storage/",
    ),
    Box(40, 232, 160, 104, "Key slot", ("TPM or secure element", "(or a file, and says so)"), "hw/"),
    Box(
        40, 384, 250, 120, "Technician console",
        ("serial or SSH, plates masked;", "grants, every line recorded"), "firmware/console/",
    ),
    Box(310, 384, 250, 120, "Uplink", ("mutual TLS, resumes,", "windows and limits"), "sync/"),
    Box(
        640, 384, 260, 120, "Receiver and store",
        ("checks every signature;", "SQLite or PostgreSQL, S3"), "sync/department/",
    ),
    Box(
        640, 232, 260, 104, "Key service",
        ("opens content only for an", "entry that is in the log"), "sync/department/content/",
    ),
    Box(
        640, 104, 260, 84, "Policy desk",
        ("role, training, purpose, case,", "second person"), "sync/department/desk/",
    ),
    Box(966, 104, 118, 84, "Witness", ("co-signs the", "access log")),
    Box(966, 232, 118, 104, "Three offices", ("2 of 3 root keys", "sign policy", "and keys")),
    Box(966, 384, 118, 120, "A stranger", ("verifies a", "package with", "a public key")),
)  # fmt: skip
CAPTION = (
    "Content is sealed on the unit and opened only by the key service, for an entry that a witness outside "
    "the department has co-signed.",
    "Nothing that leaves a box is believed by the next one without a signature; reader verify and "
    "department verify check all of it.",
)
ARROWS = (  # from, to, label, where the label goes
    ((200, 146), (224, 146), "", (0, 0)),
    ((384, 146), (400, 146), "", (0, 0)),
    ((304, 188), (304, 232), "reads", (312, 215)),
    ((480, 188), (480, 232), "decisions", (488, 215)),
    ((200, 284), (224, 284), "", (0, 0)),
    ((435, 336), (435, 384), "records, still sealed", (443, 365)),
    ((260, 384), (260, 336), "every line", (196, 365)),
    ((560, 424), (640, 424), "records", (572, 416)),
    ((640, 472), (560, 472), "lists, policy,", (562, 488)),
    ((770, 384), (770, 336), "", (0, 0)),
    ((770, 232), (770, 188), "", (0, 0)),
    ((900, 146), (966, 146), "", (0, 0)),
    ((966, 284), (900, 284), "", (0, 0)),
    ((900, 444), (966, 444), "", (0, 0)),
)


def box(one: Box) -> list[str]:
    """A part's rectangle and texts."""
    middle = one.x + one.w // 2
    made = [
        f'<rect x="{one.x}" y="{one.y}" width="{one.w}" height="{one.h}" rx="8" fill="#ffffff" '
        f'stroke="{INK}" stroke-width="1.4"/>',
        text(middle, one.y + 24, one.name, size=15, weight="600"),
    ]
    made += [text(middle, one.y + 44 + 17 * row, line, color=SOFT) for row, line in enumerate(one.lines)]
    if one.room:
        made.append(text(middle, one.y + one.h - 9, one.room, size=11, color="#3e6d9c", family="monospace"))
    return made


def text(
    x: int, y: int, words: str, *, size: int = 12, weight: str = "400", color: str = INK,
    family: str = "sans-serif", anchor: str = "middle",
) -> str:  # fmt: skip
    """One line of text."""
    return (
        f'<text x="{x}" y="{y}" font-family="{family}" font-size="{size}" font-weight="{weight}" '
        f'fill="{color}" text-anchor="{anchor}">{escape(words)}</text>'
    )


def picture() -> str:
    """The whole SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-labelledby="title description">',
        '<title id="title">Architecture of the ALPR reader</title>',
        '<desc id="description">A unit reads plates, stores signed and sealed reads in a log, and sends them '
        "to the department, which opens content only for logged requests. A witness, three offices and any "
        "stranger can check it from outside.</desc>",
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0L10 5L0 10z" fill="{INK}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        text(WIDTH // 2, 38, "From a frame to an answer, and who can check it", size=20, weight="600"),
    ]
    for x, y, w, h, color, name in AREAS:
        parts.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="14" fill="{color}"/>')
        parts.append(text(x + 16, y + 25, name, size=14, weight="600", color=SOFT, anchor="start"))
    for one in BOXES:
        parts += box(one)
    for (x1, y1), (x2, y2), label, (lx, ly) in ARROWS:
        parts.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{INK}" stroke-width="1.6" '
            'marker-end="url(#head)"/>'
        )
        if label:
            parts.append(text(lx, ly, label, size=11, color=SOFT, anchor="start"))
    parts.append(text(562, 501, "updates", size=11, color=SOFT, anchor="start"))
    for row, line in enumerate(CAPTION):
        parts.append(text(WIDTH // 2, 570 + 24 * row, line, size=13, color=SOFT))
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="where to write the picture")
    parser.parse_args().file.write_text(picture(), encoding="utf-8")
