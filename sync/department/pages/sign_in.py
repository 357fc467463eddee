"""The sign-in sheet of a class: on paper, and as the list that the Training page reads (463.9)."""

from __future__ import annotations

from starlette.responses import Response

from storage.spreadsheet import csv_of
from storage.times import DAY_US
from sync.department.desk.people.calls import Person
from sync.department.pages import offers
from sync.department.pages.fields import Field, Options, suggested
from sync.department.pages.sheets import File, download
from sync.department.pages.values import local_input
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Role

PATH = "/training/sheet"
WITHIN: Options = (
    ("all", "everybody"),
    ("60", "whose training expires within 60 days"),
    ("180", "whose training expires within 180 days"),
)
FREE_LINES = 5  # for people who are not on the list


def people_of(rows: tuple[Person, ...], trainer: str, within: str, now_us: int) -> list[Person]:
    """The people on the sheet, by name: active people except vendors and the trainer. Raises FormError."""
    if within not in dict(WITHIN):
        raise FormError("within: use all, 60 or 180", code="within", clause="463.9")
    until_us = now_us + int(within) * DAY_US if within != "all" else None
    return sorted(
        (
            one
            for one in rows
            if one.active
            and set(one.roles) != {Role.VENDOR}
            and one.user != trainer
            and (until_us is None or one.training_ends_us < until_us)
        ),
        key=lambda one: (one.name.casefold(), one.user),
    )


async def _asked(visit: Visit) -> tuple[dict[str, str], list[Person]]:
    """The header of the requested sheet, and its people."""
    await visit.demand("training/record-class")
    given = visit.request.query_params
    policy = visit.calling.front.desk.policy
    head = {
        "course": given.get("course", "") or policy.training.courses[0],
        "trainer": given.get("trainer", "").strip() or visit.person.user,
        "held": given.get("held", "") or local_input(visit.now_us, policy.zone),
        "within": given.get("within", "") or WITHIN[0][0],
    }
    rows = await visit.call("training/list")
    return head, people_of(rows, head["trainer"], head["within"], visit.now_us)


async def show(visit: Visit) -> Response:
    """Show the sheet: three topics, a line per person, free lines."""
    head, people = await _asked(visit)
    policy = visit.calling.front.desk.policy
    courses = [(one, one) for one in policy.training.courses]
    fields = [
        Field(name="course", kind="choice", label="Course", help="", required=True, options=courses),
        Field(name="trainer", kind="text", label="Trainer", help="", required=True).offering(
            offers.trainers(visit)
        ),
        Field(name="held", kind="time", label="Held", help="department's time", required=True),
        Field(name="within", kind="choice", label="Who", help="", required=True, options=WITHIN),
    ]
    trainer = visit.calling.front.desk.book.roster.accounts.get(head["trainer"])
    return visit.page(
        "sign_in.html",
        head=head,
        fields=fields,
        suggested=suggested(fields),
        people=people,
        free=FREE_LINES,
        topics=policy.training.topics,
        version=policy.version,
        trainer=trainer.name if trainer else head["trainer"],
    )


async def as_csv(visit: Visit) -> Response:
    """Answer with the same people as a list, where an x in the column `signed` marks who signed."""
    _, people = await _asked(visit)
    text = csv_of(("user", "name", "signed"), ((one.user, one.name, "") for one in people))
    return download(File(name="class.csv", kind="text/csv", data=text.encode()), visit)


PAGES = (Page(path=PATH, show=show), Page(path=f"{PATH}.csv", show=as_csv))
