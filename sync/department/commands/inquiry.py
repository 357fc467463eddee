"""`department inquiry`: request, propose, approve, run, answer, dispute and file lookups (463.2, 463.5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from storage.counts import counted
from sync.command_frame import noun
from sync.department.commands import desk_access, given_files, out_files
from sync.department.commands.stepping import run_by_steps
from sync.department.content.reads import left_out
from sync.department.desk.audit.rules import csv_text
from sync.department.desk.break_glass.calls import GlassForm
from sync.department.desk.inquiry import forms
from sync.department.desk.inquiry.filing import read_filings
from sync.department.desk.inquiry.searching import MUCH
from sync.department.journal.inquiry_entries import Ground, Query
from sync.department.journal.marking import WORDS
from sync.department.policy.refusals import NotYetError
from sync.errors import DONE, InvalidInputError

READ_COLUMNS = (
    *(
        "local_time",
        "time_error_us",
        "clock",
        "time_doubt",
        "received",
        "plate",
        "jurisdiction",
        "confidence",
    ),
    *("unit", "camera", "direction", "read"),
)
SEARCH = frozenset({
    "plate", "since_us", "until_us", "area", "unit", "purpose", "basis", "case", "cad", "action", "why",
})  # fmt: skip
WHY = "--purpose investigation --case 26-001234 --why 'hit and run on Myrtle Avenue'"
RUN = f"department inquiry run --plate 7ABC123 {WHY} --user comm1"

inquiry = noun("inquiry", "Lookups, each an ALPR Request in the log (463.5).", example=RUN)

answers = click.option(
    "--request", type=int, default=-1, metavar="ENTRY", help="The queued request that this answers."
)


@desk_access.desk_verb(inquiry, "run", example=RUN)
@desk_access.query
@desk_access.ground
@answers
@click.option(
    "--proposal",
    type=int,
    default=-1,
    metavar="ENTRY",
    help="The approved proposal, which names the search.",
)
@click.option("--steps", is_flag=True, help="Step by step, with progress, even if it opens little.")
def run_search(
    terminal: desk_access.Terminal, *, query: Query, ground: Ground, request: int, proposal: int, steps: bool
) -> int:
    """Run a search (CCAT supervisor, communications). A large search first says how much it opens; Ctrl-C
    cancels it."""
    form = forms.RunForm(query=query, ground=ground, request=request, proposal=proposal)
    if not query.plate and (request >= 0 or proposal >= 0):  # the waiting search, as it was asked
        _demand_alone()
        form = forms.RunForm(request=request, proposal=proposal)
    with desk_access.seat(terminal) as call:
        if steps:
            return run_by_steps(terminal, call, form, READ_COLUMNS)
        try:
            answer = call("inquiry/run", form)
        except NotYetError as refusal:
            if refusal.code != MUCH:
                raise
            return run_by_steps(terminal, call, form, READ_COLUMNS)
    return _show_answer(terminal, answer)


def _demand_alone() -> None:
    """Refuse a search besides the request or proposal that has one, since it would be ignored.

    Raises InvalidInputError.
    """
    context = click.get_current_context()
    for one in context.command.params:
        typed = context.get_parameter_source(one.name or "") is ParameterSource.COMMANDLINE
        if typed and one.name in SEARCH:
            raise InvalidInputError(
                "says what to search beside a request or proposal that says it",
                where=one.opts[0],
                cure="give the request or proposal alone, or the whole search with its --plate",
            )


desk_access.form_verb(
    inquiry,
    "stop",
    "inquiry/stop",
    "End a search of yours that is run step by step, and see how far it went.",
    desk_access.entry("access"),
    example="department inquiry stop 41 --user comm1",
)


@desk_access.desk_verb(
    inquiry, "propose", example=f"department inquiry propose --plate '7ABC*' {WHY} --user comm1"
)
@desk_access.query
@desk_access.ground
@answers
def propose(terminal: desk_access.Terminal, *, query: Query, ground: Ground, request: int) -> int:
    """Propose a search without a full plate to a second person."""
    form = forms.ProposeForm(query=query, ground=ground, request=request)
    if not query.plate and request >= 0:
        _demand_alone()
        form = forms.ProposeForm(request=request)
    return terminal.show(terminal.call("inquiry/propose", form))


desk_access.form_verb(
    inquiry,
    "request",
    "inquiry/request",
    "Request a search through the queue.",
    desk_access.query,
    desk_access.ground,
    example=f"department inquiry request --plate 7ABC123 {WHY} --user o1",
)


desk_access.form_verb(
    inquiry,
    "estimate",
    "inquiry/estimate",
    "Show how many days and reads a search would open, before you run it.",
    desk_access.query,
    desk_access.ground,
    example=f"department inquiry estimate --plate '7AB*' {WHY} --user comm1",
)


@desk_access.desk_verb(
    inquiry,
    "break-glass",
    example="department inquiry break-glass --plate '7AB*' --since 2026-11-25 --purpose investigation "
    "--cad CAD-2611-0042 --why 'kidnapping on Myrtle Avenue' --danger 'child in the car' --user comm1",
)
@desk_access.query
@desk_access.ground
@desk_access.text("--danger", "danger", "The person in danger, and the danger.")
def break_glass(terminal: desk_access.Terminal, *, query: Query, ground: Ground, danger: str) -> int:
    """Search now, alone, because a life is in danger. A second person judges it within hours."""
    form = GlassForm(query=query, ground=ground, danger=danger)
    return _show_answer(terminal, terminal.call("inquiry/break-glass", form))


desk_access.form_verb(
    inquiry,
    "emergencies",
    "inquiry/emergencies",
    "List emergency searches that wait for a second person.",
    example="department inquiry emergencies --user super",
    columns=("access", "at_us", "user", "due_us", "overdue", "number", "danger", "justification", "elements"),
)
desk_access.form_verb(
    inquiry,
    "judge",
    "inquiry/judge",
    "Judge an emergency search as the second person.",
    desk_access.entry("access"),
    click.option("--yes/--no", "justified", default=True, help="Justified (the default), or not."),
    desk_access.text("--why", "reason", "What you found."),
    example="department inquiry judge 41 --why 'call 0042 reports the kidnapping' --user super",
)


@desk_access.desk_verb(inquiry, "more", example="department inquiry more 41 --after CURSOR --user comm1")
@desk_access.entry("access")
@desk_access.text("--after", "after", "The cursor at the end of the last page.")
def more(terminal: desk_access.Terminal, *, access: int, after: str) -> int:
    """Show the next page of your search, within the hour."""
    return _show_answer(terminal, terminal.call("inquiry/more", forms.PageForm(access=access, after=after)))


@desk_access.desk_verb(inquiry, "queue", example="department inquiry queue --user comm1")
def queue(terminal: desk_access.Terminal) -> int:
    """List requests and proposals that wait."""
    waiting = terminal.call("inquiry/queue", forms.NothingForm())
    return terminal.show(waiting if terminal.common.json else tuple(_waiting(one) for one in waiting))


desk_access.form_verb(
    inquiry,
    "approve",
    "inquiry/approve",
    "Decide on a proposal as the second person.",
    desk_access.entry("proposal"),
    click.option("--yes/--no", "granted", default=True, help="Approve (the default) or refuse."),
    desk_access.text("--why", "reason", "The reason."),
    example="department inquiry approve 41 --why 'known case' --user comm2",
)
desk_access.form_verb(
    inquiry,
    "decline",
    "inquiry/decline",
    "Decline a request.",
    desk_access.entry("request"),
    desk_access.text("--why", "reason", "The reason."),
    example="department inquiry decline 41 --why 'no case' --user comm1",
)


@desk_access.desk_verb(inquiry, "answer", example="department inquiry answer 41 --user o1")
@desk_access.entry("request")
def answer(terminal: desk_access.Terminal, *, request: int) -> int:
    """Show the answer to your request."""
    return _show_answer(terminal, terminal.call("inquiry/answer", forms.RequestForm(request=request)))


desk_access.form_verb(
    inquiry,
    "mine",
    "inquiry/mine",
    "List accesses by you or in your name.",
    example="department inquiry mine --user o1",
    columns=(
        *("entry", "date_time", "username", "on_behalf_of", "action", "purpose", "number", "results"),
        "dispute",
    ),
)
desk_access.form_verb(
    inquiry,
    "requests",
    "inquiry/requests",
    "List your requests: waiting, out of date, answered, or declined with the reason.",
    example="department inquiry requests --user o1",
    columns=("request", "at_us", "state", "reason"),
)
desk_access.form_verb(
    inquiry,
    "proposals",
    "inquiry/proposals",
    "List your searches that take a second person: waiting, approved, refused, run.",
    example="department inquiry proposals --user comm1",
    columns=("proposal", "at_us", "state", "until_us", "second", "reason"),
)
desk_access.form_verb(
    inquiry,
    "dispute",
    "inquiry/dispute",
    "Dispute an entry in your name: not made by you, or with a mistake, such as a wrong case number.",
    desk_access.entry("entry"),
    desk_access.text("--why", "reason", "The reason."),
    example="department inquiry dispute 41 --why 'I was on leave' --user o1",
)


@desk_access.desk_verb(
    inquiry,
    "image",
    example="department inquiry image READ --access 41 --out images --purpose investigation "
    "--case 26-001234 --why 'compare with the witness' --user comm1",
)
@click.argument("read", metavar="READ")
@click.option("--access", type=int, required=True, help="The search that found it.")
@desk_access.out_option("FOLDER", "Where the two images go.")
@desk_access.ground
def image(terminal: desk_access.Terminal, *, read: str, access: int, out: Path, ground: Ground) -> int:
    """View the images of a read that you found. READ is LOG/NUMBER, as the search printed it."""
    out_files.folder(out)
    form = forms.ImageForm(read=read, access=access, ground=ground)
    return out_files.save_images(terminal, terminal.call("inquiry/image", form), out)


@desk_access.desk_verb(
    inquiry, "answer-image", example="department inquiry answer-image 41 READ --out images --user o1"
)
@desk_access.entry("request")
@click.argument("read", metavar="READ")
@desk_access.out_option("FOLDER", "Where the two images go.")
def answer_image(terminal: desk_access.Terminal, *, request: int, read: str, out: Path) -> int:
    """View the images of a read in the answer to your request."""
    out_files.folder(out)
    form = forms.AnswerImageForm(request=request, read=read)
    return out_files.save_images(terminal, terminal.call("inquiry/answer-image", form), out)


@desk_access.desk_verb(inquiry, "unfiled", example="department inquiry unfiled --csv --user comm1")
@click.option("--csv", is_flag=True, help="One ALPR Request per line, for the RMS import.")
def unfiled(terminal: desk_access.Terminal, *, csv: bool) -> int:
    """List the accesses that have no RMS number yet."""
    found = terminal.call("inquiry/unfiled", forms.NothingForm())
    if csv:
        print(csv_text(found), end="")
        return DONE
    return terminal.show(found, ("entry", "date_time", "username", "action", "purpose", "number"))


desk_access.form_verb(
    inquiry,
    "file",
    "inquiry/file",
    "Enter an access's RMS number. The last entry counts.",
    desk_access.entry("access"),
    desk_access.text("--rms", "rms_number", "The number in the RMS."),
    example="department inquiry file 41 --rms RMS-26-77 --user comm1",
)


desk_access.form_verb(
    inquiry,
    "file-case",
    "inquiry/file-case",
    "Enter one RMS number for all accesses of a case that have none.",
    click.argument("number", metavar="CASE"),
    desk_access.text("--rms", "rms_number", "The number in the RMS."),
    example="department inquiry file-case 26-001234 --rms RMS-26-77 --user comm1",
)


@desk_access.desk_verb(
    inquiry, "file-many", example="department inquiry file-many rms-numbers.csv --user comm1"
)
@click.argument("numbers", type=given_files.FILE, metavar="CSV")
def file_many(terminal: desk_access.Terminal, *, numbers: Path) -> int:
    """Enter RMS numbers from a CSV export: rms_number, and access or number (the case)."""
    form = forms.FileManyForm(filings=read_filings(given_files.read_bytes(numbers)))
    return terminal.show(terminal.call("inquiry/file-many", form))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """The fields that a person who answers or approves must see, in the order of a line."""

    kind: str
    entry: int
    user: str
    at_us: int
    search: str
    since_us: int
    until_us: int
    purpose: str
    number: str
    justification: str


def _waiting(one: forms.Pending) -> _Waiting:
    query, ground = one.query, one.ground
    parts = [query.plate, query.unit and f"unit {query.unit}"]
    if query.area is not None:
        parts.append(f"within {query.area.radius_m:g} m of {query.area.latitude},{query.area.longitude}")
    return _Waiting(
        kind=one.kind,
        entry=one.entry,
        user=one.user,
        at_us=one.at_us,
        search=", ".join(part for part in parts if part),
        since_us=query.since_us,
        until_us=query.until_us,
        purpose=ground.purpose,
        number=f"{ground.number_kind} {ground.number}",
        justification=ground.justification,
    )


def _show_answer(terminal: desk_access.Terminal, answer: forms.Answer) -> int:
    if terminal.common.json:
        return terminal.show(answer)
    terminal.show(answer.reads, READ_COLUMNS)
    if answer.near:
        print("near match, not this exact plate: compare each with its image")
        terminal.show(answer.near, READ_COLUMNS)
    mark = f"  {WORDS}" if answer.unwitnessed else ""
    over = left_out(answer.days_left_out)
    print(f"ALPR Request: entry {answer.access}, {counted(answer.count, 'result')}{over}{mark}")
    if answer.next:
        asker = f" --user {terminal.user}" if terminal.user else ""
        print(f"more: department inquiry more {answer.access} --after {answer.next}{asker}")
    return DONE
