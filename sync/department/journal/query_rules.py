"""What a search, and an emergency search, may ask for. No I/O.

The desk refuses searches by these rules; the key service and `verify` judge their entries by them.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from storage.counts import counted
from storage.plate_text import normal_plate
from storage.times import DAY_US, HOUR_US
from sync.department.journal.inquiry_entries import Area, Query
from sync.department.policy.desk_terms import BreakGlassTerms, InquiryTerms
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError, demand, refuse_each

PLATE = re.compile(r"[A-Z0-9?*]{1,16}")
EMERGENCY_CLAUSE = "463.5 (a)"
NEAR_M = 2000.0  # everything around a place, if no character of the plate is known
MOST_UNJUDGED = 30  # a person's emergency searches that wait for judgment, as in a night alone
LEAST_KNOWN = 2  # characters of the plate; a single one would match a thirtieth of the town
FORM_US = HOUR_US  # "last 7 days" is computed when a form is sent, but judged after a fresh proof


def plate_of(text: str) -> str:
    """Convert a plate to the normal form for searches, in ASCII. Raises FormError.

    Upper case would turn a dotless i into I, a sharp s into SS and the ligature into FI, so that a letter
    that no plate has would be searched as one that plates have.
    """
    if not all(one.isascii() or one.isspace() or one in "·•" for one in text):
        raise FormError("a plate has only the letters A-Z and digits 0-9", code="plate", clause="463.5 (b)")
    return normal_plate(text)


def asked_plate(text: str) -> str:
    """Convert a plate or wildcards, of at most 16 characters; empty matches any. Raises FormError."""
    plate = plate_of(text)
    demand(
        not plate or PLATE.fullmatch(plate),
        "a plate is 1 to 16 of A-Z, 0-9, with * and ? as wildcards",
        code="plate",
        clause="463.5 (b)",
    )
    return plate


def check_query(terms: InquiryTerms, query: Query, now_us: int) -> None:
    """Raises FormError for a query for everything, for nothing, or beyond the policy's days."""
    refuse_each(
        lambda: _check_plate(query.plate),
        lambda: demand(
            query.plate or query.area is not None or query.unit,
            "name a plate, an area or a unit",
            code="elements",
            clause="463.5 (b) 2",
            fields=("plate",),
        ),
        lambda: _check_area(query.area),
        lambda: _check_time(terms, query.since_us, query.until_us, now_us),
    )


def _check_area(area: Area | None) -> None:
    if area is not None:
        area.check()


def _check_plate(text: str) -> None:
    plate = asked_plate(text)
    demand(
        not plate or set(plate) - {"*", "?"},
        "a plate of only wildcards asks for everything",
        code="plate",
        clause="463.5 (a)",
    )


def _check_time(terms: InquiryTerms, since_us: int, until_us: int, now_us: int) -> None:
    days, clause = terms.days_max, "463.5 (b) 2"
    demand(
        0 <= since_us < until_us,
        "the time asked for ends before it begins",
        code="time",
        clause=clause,
        fields=("since", "until"),
    )
    demand(
        terms.may_span(since_us, until_us),
        f"this asks for more than {counted(days, 'day')} at once",
        code="time",
        clause="463.5 (a)",
    )
    demand(since_us <= now_us, "this asks for a time that has not come yet", code="time", clause=clause)


def check_emergency_query(terms: BreakGlassTerms, query: Query, now_us: int) -> None:
    """Raises DeskRefusal if an emergency search looks back too far or names too little."""
    if not terms.allowed:
        raise DeskRefusal(
            "this policy has no emergency searches", code="no-break-glass", clause=EMERGENCY_CLAUSE
        )
    if query.since_us < now_us - terms.days_max * DAY_US - FORM_US:
        raise FormError(
            f"an emergency search looks back {counted(terms.days_max, 'day')} at most",
            code="time",
            clause=EMERGENCY_CLAUSE,
        )
    known = sum(character not in "*?" for character in query.plate)
    near = query.area is not None and query.area.radius_m <= NEAR_M
    least = f"{LEAST_KNOWN} characters of the plate"
    demand(
        known >= LEAST_KNOWN or near,
        f"an emergency search names {least}, or a place within {NEAR_M / 1000:.0f} km",
        code="elements",
        clause=EMERGENCY_CLAUSE,
        fields=("plate",),
    )


def demand_few_waiting(terms: BreakGlassTerms, due_us: Collection[int], now_us: int) -> None:
    """Raises NotYetError if too many of a person's emergency searches wait for judgment.

    `due_us`: when each is due.
    """
    late = sum(now_us >= one for one in due_us)
    if late >= terms.open_max or len(due_us) >= MOST_UNJUDGED:
        raise NotYetError(
            f"{len(due_us)} of your emergency searches wait for a second person, {late} of them overdue",
            code="break-glass-open",
            clause=EMERGENCY_CLAUSE,
            cure="have a second person judge them, under Emergencies",
        )
