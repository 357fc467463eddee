"""Changes: what waits for a second person, and own proposals until they are carried out (463.4)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from sync.department.desk.changes.calls import Decided, MyChange, ShownProposal, may_know
from sync.department.desk.field_help import label_of
from sync.department.desk.operations import OPERATIONS
from sync.department.pages.paging import cut
from sync.department.pages.sheets import PROPOSALS, Ask, Listing, Sheet, answered, pages_of
from sync.department.pages.visit import Page, Visit
from sync.department.pages.wording import act_of, done_of
from sync.department.policy.refusals import DeskRefusal, FormError

TICKED = {"True": "yes", "False": "no"}
YES_NO = (("Approve", "granted", "yes"), ("Refuse", "granted", "no"))


def _decided(answer: Decided) -> str:
    did = "Approved" if answer.granted else "Refused"
    what = f"{act_of(answer.call)}: {done_of(answer.about)}"
    return f"{did}: proposal {answer.proposal} ({what}), entry {answer.entry}."


def _shown(answer: ShownProposal) -> str:
    known = OPERATIONS.get(answer.call)
    form = known.form.__name__ if known is not None else ""
    return f"Proposal {answer.proposal} asks for: " + "; ".join(
        f"{label_of(name, form)}: {TICKED.get(value, value)}" for name, value in answer.fields if value
    )


async def _kept(visit: Visit) -> dict[str, Any]:
    """The approved proposals whose form this session still has."""
    rows = await visit.call("change/mine")
    kept = visit.shelf.get(PROPOSALS, visit.now_us) or {}
    shown = cut(visit, rows, "mine", key=lambda one: one.proposal, texts=_texts)
    return {"mine": shown, "kept": set(kept)}


def _texts(row: MyChange) -> tuple[str, ...]:
    """The searchable texts of a proposal, without its plate."""
    return (str(row.proposal), act_of(row.call), row.about, row.summary, row.state, row.second)


SHEET = Sheet(
    path="/changes",
    title="Changes that take two people",
    duty="463.4: an account, a reset, a list for units, a hold without a search, a grant that can destroy: a "
    "second person approves, who is neither the proposer nor the person concerned. An approval is valid for "
    "exactly that form, once.",
    listings=(
        Listing(
            operation="change/list",
            title="Waits for a second person",
            columns=("proposal", "at_us", "user", "call", "about", "summary"),
            empty="No change waits.",
            acts=(
                Ask(
                    operation="change/show",
                    title="Everything it asks for",
                    button="Show",
                    lead="The log has an entry of your look.",
                    fixed={"proposal": "proposal"},
                    said=_shown,
                ),
                Ask(
                    operation="change/approve",
                    title="Your word",
                    fixed={"proposal": "proposal"},
                    buttons=YES_NO,
                    when=lambda row, visit: visit.person.user not in {row.user, row.about},
                    said=_decided,
                ),
                Ask(
                    operation="change/approve",
                    title="Take it back",
                    fixed={"proposal": "proposal"},
                    buttons=(("Take it back", "granted", "no"),),
                    when=lambda row, visit: visit.person.user == row.user != row.about,
                    said=_decided,
                ),
            ),
        ),
    ),
    more=_kept,
    template="changes.html",
)


async def carry_out(visit: Visit) -> Response:
    """Make the proposed call, after a second person agreed."""
    number = int(visit.request.path_params["number"])
    kept = visit.shelf.get(PROPOSALS, visit.now_us) or {}
    desk, user = visit.calling.front.desk, visit.person.user
    made = desk.book.changes.proposed.get(number)
    if made is not None and made.stamp.user != user and may_know(desk, made, user, visit.now_us):
        raise DeskRefusal(
            "that proposal was made by another person",
            code="other-approval",
            clause="463.4",
            cure="who proposed it carries it out",
        )
    if number not in kept:
        raise FormError(
            "this session no longer keeps that form",
            code="approval",
            clause="463.4",
            cure=f"fill it in again exactly as it was, with approved proposal {number}",
        )
    ask, value, path = kept[number]
    answer = await visit.call(ask.operation, **value, approval=number)
    return answered(ask, answer, visit, path)  # the form is kept, so that sent twice it gets the same answer


_SHOW, *_REST = pages_of(SHEET)
PAGES = (_SHOW, *_REST, Page(path="/changes/{number:int}", send=carry_out, again=_SHOW.show))
