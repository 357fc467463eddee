"""Holds and evidence: place, export onto portable media, book, release by two people (463.8)."""

from __future__ import annotations

from typing import Any

from storage.counts import counted
from sync.department.pages.fields import Options
from sync.department.pages.sheets import Ask, File, Listing, Opening, PageLink, Sheet, pages_of
from sync.department.pages.visit import Visit


def _grounds(visit: Visit) -> Options:
    return [(one.id, one.text) for one in visit.calling.front.desk.policy.holds]


def _package(answer: Any) -> File:
    return File(name=f"evidence-{answer.hold}.zip", kind="application/zip", data=answer.package)


def _reads(visit: Visit) -> str:
    """The reads that a page of results handed over."""
    names = visit.request.query_params.getlist("read")
    return "\n".join(name for name in names[:200] if len(name) < 100)


SHEET = Sheet(
    path="/holds",
    title="Holds and evidence",
    duty="463.8: what is or will be evidence, or is requested by a court, is kept past its "
    "year: held, downloaded "
    "onto portable media, booked; released by two people.",
    links=(PageLink("/holds/new", "Hold reads", "hold/place"),),
    listings=(
        Listing(
            operation="hold/list",
            title="Holds",
            columns=(
                *("hold", "at_us", "placed_by", "reads", "ground", "authority", "number"),
                *("evidence_item", "state"),
            ),
            under={"state": "reason"},
            empty="Nothing is held.",
            opens=(
                Opening(
                    operation="hold/export",
                    path="/holds/{}/export",
                    text="Export",
                    when=lambda row, _visit: row.state in {"placed", "export begun", "exported", "booked"},
                ),
            ),
            acts=(
                Ask(
                    operation="hold/book",
                    title="Book into evidence",
                    button="Book",
                    fixed={"hold": "hold"},
                    when=lambda row, _visit: row.state in {"exported", "booked"},
                    said=lambda answer: f"Booked, entry {answer.entry}.",
                ),
                Ask(
                    operation="hold/ask-release",
                    title="Ask for the release",
                    button="Ask",
                    lead="The first of two people. A hold that was never exported has no item number: "
                    "say why it ends.",
                    fixed={"hold": "hold"},
                    when=lambda row, _visit: row.state in {"placed", "booked"},
                    said=lambda _answer: "Requested. A second person releases it.",
                ),
                Ask(
                    operation="hold/release",
                    title="Release: the held content is destroyed",
                    button="Release",
                    fixed={"hold": "hold"},
                    when=lambda row, visit: (
                        row.state == "release asked" and row.asked_by != visit.person.user
                    ),
                    said=lambda _answer: "Released: its key and content are destroyed.",
                ),
            ),
        ),
    ),
)
PLACE = Sheet(
    path="/holds/new",
    title="Hold reads",
    duty="463.8: one of five grounds, and whose authority. If your own searches found the reads, you can "
    "hold them alone; otherwise a second person approves.",
    asks=(
        Ask(
            operation="hold/place",
            title="What is held, and why",
            button="Hold",
            options={"hold_ground": _grounds},
            first={
                "reads": _reads,
                "accesses": lambda visit: visit.request.query_params.get("access", "")[:20],
            },
            said=lambda answer: (
                f"Hold {answer.hold}: {counted(answer.reads, 'read')}. Next: export it, and book the medium."
            ),
            to="/holds",
        ),
    ),
)
EXPORT = Sheet(
    path="/holds/{number:int}/export",
    title="Export a hold",
    duty="463.8: downloaded onto portable media and booked into evidence. Anyone can verify the package: "
    "cover sheet, C2PA manifests, signatures and proofs are inside.",
    asks=(
        Ask(
            operation="hold/export",
            title="The medium, and why",
            button="Download the package",
            from_path={"hold": "number"},
            file=_package,
            after="copy the package to the medium, and book the medium into evidence. The form is in the "
            "hold's row.",
            said=lambda answer: f"Hold {answer.hold} is exported. Next: book the medium into evidence.",
            to="/holds",
        ),
    ),
)
PAGES = (*pages_of(PLACE), *pages_of(SHEET), *pages_of(EXPORT))
