"""The cells of a page's lists: what a value of a call's answer looks like in its column. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sync.department.ground.local_time import clock_text
from sync.department.pages.visit import Visit
from sync.department.pages.wording import (
    act_of,
    done_of,
    elements_of,
    in_local_time,
    promise_of,
    title_of,
    word_of,
)
from sync.department.policy.policy import Policy
from sync.health import Alarm


class Columns(Protocol):
    """What a list says of its columns: `Listing` has the words on each."""

    @property
    def plain(self) -> frozenset[str]: ...

    @property
    def codes(self) -> Mapping[str, Mapping[str, str]]: ...

    @property
    def links(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `kind`: text, time, read, link. `small`: what is shown under it."""

    text: str
    kind: str = "text"
    path: str = ""
    small: str = ""


HEADINGS = {
    "at": "When",
    "to": "Until",
    "from": "From",
    "organisation": "Organization",
    "unit name": "Unit",
    "unit names": "Units",
    "disk free mb": "Free, MB",
    "rms number": "RMS number",
    "on behalf of": "For",
    "seen": "Last heard",
    "report": "Report of",
    "how": "How it is kept",
    "test": "What its test proves",
    "duty": "It",
}


def heading(column: str) -> str:
    """A column's heading in words."""
    words = column.removesuffix("_us").replace("_", " ")
    return HEADINGS.get(words, words[:1].upper() + words[1:])


def cell_of(  # noqa: PLR0911, PLR0912 - one case per kind
    column: str, value: Any, listing: Columns, visit: Visit
) -> Cell:
    """One cell."""
    if column in listing.links and value not in {"", -1}:
        return Cell(str(value), "link", listing.links[column].format(value))
    if column.endswith("_us"):
        shown_at = value if isinstance(value, int) and value > 0 else -1
        zone = visit.calling.front.desk.policy.zone
        return Cell(clock_text(shown_at, zone, "%Y-%m-%d %H:%M") if shown_at > 0 else "–", "time")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if column in ROLES and value:
        policy = visit.calling.front.desk.policy
        held = [value] if isinstance(value, str) else value
        return Cell(", ".join(title_of(policy, one) for one in held))
    if column == "alarms":
        return Cell(", ".join(Alarm(one).words for one in value) or "none")
    if column in listing.plain:
        return Cell(str(value))
    if column in listing.codes:
        return Cell(listing.codes[column].get(str(value), str(value)))
    if isinstance(value, tuple | list):
        words = str if column in NAMES else word_of
        return Cell(", ".join(words(one) for one in value) or "–")
    if value is None or value == -1:
        return Cell("–")
    if column in {"call", "about"}:
        return Cell(act_of(value) if column == "call" else done_of(value))
    if column == "data_elements":
        return Cell(elements_of(str(value), visit.calling.front.desk.policy.zone))
    if column in {"what", "detail", "summary"}:
        return Cell(in_local_time(str(value), visit.calling.front.desk.policy.zone))
    if column == "test":
        return Cell(promise_of(value))
    if column in WORDED:
        return Cell(in_policy(visit.calling.front.desk.policy, column, word_of(value), str(value)))
    return Cell(str(value), CODED.get(column, "text"))


def in_policy(policy: Policy, column: str, words: str, code: str) -> str:
    """A code in the policy's own words if it has some, else `words`."""
    if column == "ground":
        return next((one.text for one in policy.holds if one.id == code), words)
    if column == "category":
        known = policy.alerts.category(code)
        return known.says if known is not None else words
    return words


CODED = {"plate": "read"}
WITH_PLATES = frozenset({"plate", "data_elements"})
NAMES = frozenset({"units", "unit_names", "recipients"})
ROLES = frozenset({"role", "roles", "keep_roles"})
WORDED = frozenset(
    {
        "state",
        "kind",
        "agency_kind",
        "ground",
        "category",
        "detector",
        "verdict",
        "outcome",
        "purpose",
        "action",
        "clock",
        "about_what",
    }
)
