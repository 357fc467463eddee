"""Sharing with other agencies: the written request, its review, the decision, the delivery (463.6)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from sync.department.desk.sharing.rules import is_late
from sync.department.pages.fields import Options
from sync.department.pages.sheets import Ask, File, Listing, Opening, Sheet, download, pages_of
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


SHEET = Sheet(
    path="/sharing",
    title="Sharing with other agencies",
    duty="463.6: a written request names agency, person and purpose (a); it is reviewed and "
    "approved before it is "
    "fulfilled (b); it stays on file (c).",
    listings=(
        Listing(
            operation="share/list",
            title="Written requests",
            columns=(
                *("request", "at_us", "agency", "agency_kind", "agency_state", "person", "purpose"),
                *("number", "state", "entered_by", "reviewed_by", "decided_by", "delivered"),
            ),
            empty="No request was entered.",
            plain=frozenset({"purpose"}),
            opens=(
                Opening(operation="share/letter", path="/sharing/{}/letter", text="Letter"),
                Opening(
                    operation="share/deliver",
                    path="/sharing/{}/deliver?number={number}",
                    text="Deliver",
                    when=lambda row, visit: row.state == "approved" and row.decided_by != visit.person.user,
                ),
            ),
            late=lambda row, now_us: row.state in {"asked", "reviewed"} and is_late(row.at_us, now_us),
            acts=(
                Ask(
                    operation="share/review",
                    title="Review",
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
            to="/sharing",
        ),
    ),
)


async def letter(visit: Visit) -> Response:
    """Answer with the letter as received, to download. Reading it makes an entry."""
    found = await visit.call("share/letter", request=int(visit.request.path_params["number"]))
    return download(File(name=found.name, kind="application/octet-stream", data=found.letter), visit)


PAGES = (*pages_of(SHEET), *pages_of(DELIVERY), Page(path="/sharing/{number:int}/letter", show=letter))
