"""Purpose, basis, number and reason of a look: their fields, carried on through the looks for one case.

What a session gave last is filled in for its next look, and shown. A number that this person named before
brings its purpose, basis and reason back. Nothing comes from anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from sync.department.pages.values import Values
from sync.department.pages.visit import Visit
from sync.department.pages.wording import word_of
from sync.department.policy.desk_terms import NUMBER_KINDS

FIELDS = ("purpose", "basis", "number", "number_kind", "justification")
REMEMBERED = 12


def ground_of(values: Values) -> dict[str, str]:
    """The ground as typed, in the calls' form."""
    return {name: values.text(name) for name in FIELDS}


def remember(visit: Visit, ground: Mapping[str, str]) -> None:
    """Keep a ground that a call accepted for the session's next look."""
    known = _known(visit)
    known.pop(ground["number"], None)
    known[ground["number"]] = dict(ground)
    visit.shelf.put("grounds", dict(list(known.items())[-REMEMBERED:]), visit.now_us)


def _known(visit: Visit) -> dict[str, Mapping[str, str]]:
    """The grounds of this session's looks by number, newest last."""
    return dict(visit.shelf.get("grounds", visit.now_us) or {})


def carried(visit: Visit) -> dict[str, Any]:
    """What the ground's fields show (as typed, else carried on, else empty), and the known numbers."""
    known, asked = _known(visit), visit.request.query_params
    newest_first = list(known.values())[::-1]
    last = newest_first[0] if newest_first and "fresh" not in asked else {}
    if "number" in asked:  # what is opened here has its own
        last = known.get(asked["number"], {"number": asked["number"]})
    return {
        "ground": {name: visit.values.get(name) or last.get(name, "") for name in FIELDS},
        "grounds": newest_first,
        "carried": "purpose" in last and not visit.values,
        "another": _another(visit),
        **choices(visit),
    }


def _another(visit: Visit) -> str:
    """The address of the same page with an empty ground: whatever else the address names stays."""
    given = visit.request.query_params.multi_items()
    kept = [one for one in given if one[0] not in {"number", "fresh"}]
    return f"{visit.request.url.path}?{urlencode([*kept, ('fresh', 'yes')])}"


def completed(visit: Visit, ground: dict[str, str]) -> dict[str, str]:
    """A ground with its empty fields filled in, if this session named its number before."""
    before = _known(visit).get(ground["number"], {})
    return {name: value or before.get(name, "") for name, value in ground.items()}


def choices(visit: Visit) -> dict[str, Any]:
    """The purposes, bases and kinds of number that the policy offers."""
    policy = visit.calling.front.desk.policy
    return {
        "purposes": [(one.id, one.text) for one in policy.purposes],
        "bases": [(one, word_of(one)) for one in policy.inquiry.bases],
        "kinds": [(one, word_of(one)) for one in NUMBER_KINDS],
        "examples": {one.kind: one.text for one in policy.inquiry.numbers},
        "least": policy.inquiry.justification_min,
    }
