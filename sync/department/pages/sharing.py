"""Sharing with other agencies: the written request, its review, the decision, the delivery (463.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from storage.counts import counted
from sync.department.desk.sharing.rules import is_late
from sync.department.pages.fields import Options
from sync.department.pages.rendering import clock_of
from sync.department.pages.sheets import Ask, File, Listing, Opening, PageLink, Sheet, download, pages_of
from sync.department.pages.visit import Page, Visit
from sync.department.pages.wording import word_of

DECIDE = (("Approve", "approved", "yes"), ("Refuse", "approved", "no"))


def _kinds(visit: Visit) -> Options:
    terms = visit.calling.front.desk.policy.sharing
    return [(one, word_of(one)) for one in (*terms.allowed_kinds, *terms.refused_kinds)]


def _agreements(visit: Visit) -> Options:
    return [(one.id, one.agency) for one in visit.calling.front.desk.policy.sharing.agreements]


def _letter_name(visit: Visit) -> str:
    return visit.values.files["letter"][0] if "letter" in visit.values.files else ""


def _recorded(answer: Any) -> str:
    if answer.routed:
        return f"Not law enforcement, not a prosecutor: routed to {answer.routed}. Nothing is answered here."
    return f"Request {answer.entry} is entered, and waits for review (463.6 (b))."


def _package(answer: Any) -> File:
    return File(name=f"delivery-{answer.entry}.zip", kind="application/zip", data=answer.package)


def _delivered(answer: Any) -> str:
    return f"The package with {counted(answer.count, 'read')} is made, entry {answer.entry}. Hand it over."


def _is_here(row: Any, _visit: Visit) -> bool:
    """Whether a request is answered here: the letter of one that was routed away is not kept."""
    return not row.state.startswith("routed")


def _is_shown(row: Any, visit: Visit) -> bool:
    return bool(row.request == visit.request.path_params["number"])


async def _asked_for(visit: Visit) -> dict[str, Any]:
    """What the request asks for. Reading it makes an entry, as the letter does."""
    found = await visit.call("share/letter", request=int(visit.request.path_params["number"]))
    clock, scope = clock_of(visit.calling.front.desk.policy.zone), found.scope
    return {
        "facts": [
            ("Plates", ", ".join(scope.plates)),
            ("From", clock(scope.since_us)[:16]),
            ("To", clock(scope.until_us)[:16]),
            ("Images", "with images" if scope.images else "without images"),
            ("Letter", found.name),
        ]
    }


LIST = Listing(
    operation="share/list",
    title="Written requests",
    columns=(
        *("request", "at_us", "agency", "agency_state", "person", "purpose", "number", "state"),
        *("entered_by", "decided_by", "delivered"),
    ),
    under={"agency": "agency_kind", "entered_by": "reviewed_by"},
    empty="No request was entered.",
    plain=frozenset({"purpose"}),
    opens=(
        Opening(operation="share/letter", path="/sharing/{}", text="Open", when=_is_here),
        Opening(
            operation="share/deliver",
            path="/sharing/{}/deliver?number={number}",
            text="Deliver",
            when=lambda row, visit: row.state == "approved" and row.decided_by != visit.person.user,
        ),
    ),
    late=lambda row, now_us: row.state in {"asked", "reviewed"} and is_late(row.at_us, now_us),
)
SHEET = Sheet(
    path="/sharing",
    title="Sharing with other agencies",
    duty="463.6: a written request names agency, person and purpose (a); it is reviewed and "
    "approved before it is "
    "fulfilled (b); it stays on file (c).",
    listings=(LIST,),
    asks=(
        Ask(
            operation="share/record",
            title="Enter a written request",
            button="Enter the request",
            options={"agency_kind": _kinds, "agreement": _agreements},
            read={"letter_name": _letter_name},
            skip=frozenset({"letter_name"}),
            said=_recorded,
        ),
    ),
)
REQUEST = Sheet(
    path="/sharing/{number:int}",
    title="A written request",
    duty="463.6 (b): compare what was entered with the letter before you review or approve it. Only what is "
    "shown here leaves.",
    links=(PageLink("/sharing", "All requests", "share/list"),),
    listings=(
        replace(
            LIST,
            title="The request",
            shows=_is_shown,
            opens=(
                Opening(
                    operation="share/letter",
                    path="/sharing/{}/letter",
                    text="Download the letter",
                    when=_is_here,
                ),
                *LIST.opens[1:],
            ),
            acts=(
                Ask(
                    operation="share/review",
                    title="Review",
                    button="Enter the review",
                    fixed={"request": "request"},
                    when=lambda row, _visit: row.state == "asked",
                    said=lambda _answer: "Reviewed. It waits for the decision.",
                ),
                Ask(
                    operation="share/decide",
                    title="Decide",
                    fixed={"request": "request"},
                    buttons=DECIDE,
                    options={"agency_kind": _kinds},
                    when=lambda row, visit: row.state == "reviewed" and row.entered_by != visit.person.user,
                    said=lambda _answer: "Decided.",
                ),
            ),
        ),
    ),
    more=_asked_for,
    template="written_request.html",
)


DELIVERY = Sheet(
    path="/sharing/{number:int}/deliver",
    title="Deliver what was approved",
    duty="463.6: what leaves is what was approved, and no more; a person other than the one who "
    "approved delivers it.",
    asks=(
        Ask(
            operation="share/deliver",
            title="What leaves",
            button="Build the package",
            lead="Every plate is a search of yours, in the log before it. Leave the scope empty "
            "for all of it.",
            from_path={"request": "number"},
            file=_package,
            after="hand the package to the person who asked. The request stays on file (463.6 (c)).",
            said=_delivered,
            to="/sharing",
        ),
    ),
)


async def letter(visit: Visit) -> Response:
    """Answer with the letter as received, to download. Reading it makes an entry."""
    found = await visit.call("share/letter", request=int(visit.request.path_params["number"]))
    return download(File(name=found.name, kind="application/octet-stream", data=found.letter), visit)


PAGES = (
    *pages_of(SHEET),
    *pages_of(REQUEST),
    *pages_of(DELIVERY),
    Page(path="/sharing/{number:int}/letter", show=letter),
)
