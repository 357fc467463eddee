"""`department inquiry`: ask, propose, approve, run, answer, dispute and file look-ups (463.2, 463.5)."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync.department.commands import desk_access as desk
from sync.department.commands import out_files
from sync.department.desk.audit.rules import csv_text
from sync.department.desk.inquiry import calls as forms
from sync.department.desk.inquiry.rules import normal_plate
from sync.department.desk.operations import OPERATIONS
from sync.department.journal.entries import InquiryAsked, SearchProposed
from sync.department.journal.marking import WORDS

_READ = ("first_us", "plate", "confidence", "unit", "camera", "direction", "read")


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    search = "--plate 7ABC123 --purpose investigation --case 26-001234 --why 'hit and run on Myrtle Avenue'"
    example = f"department inquiry run {search} --user comm1"
    parent = desk.verbs(subparsers, "inquiry", "look-ups, each an ALPR Request in the log", example)
    for name, about in (
        ("run", "run a search (CCAT supervisor, communications)"),
        ("propose", "propose a search without a full plate to a second person"),
        ("request", "ask for a search through the queue"),
    ):
        wide = search.replace("7ABC123", "'7ABC*'") if name == "propose" else search
        who = "o1" if name == "request" else "comm1"
        one = desk.verb(parent, name, about, f"department inquiry {name} {wide} --user {who}")
        desk.add_query(one)
        desk.add_ground(one)
        if name != "request":
            one.add_argument("--request", type=int, default=-1, help="the queued request that this answers")
        if name == "run":
            one.add_argument("--proposal", type=int, default=-1, help="the approved proposal")
    desk.verb(parent, "queue", "requests and proposals that wait", "department inquiry queue --user comm1")
    one = desk.verb(
        parent,
        "approve",
        "be the second person",
        "department inquiry approve 41 --why 'known case' --user comm2",
    )
    one.add_argument("entry", type=int)
    one.add_argument("--no", action="store_true", help="say no")
    one.add_argument("--why", required=True)
    one = desk.verb(
        parent, "decline", "say no to a request", "department inquiry decline 41 --why 'no case' --user comm1"
    )
    one.add_argument("entry", type=int)
    one.add_argument("--why", required=True)
    one = desk.verb(
        parent, "answer", "see the answer to your request", "department inquiry answer 41 --user o1"
    )
    one.add_argument("entry", type=int)
    desk.verb(parent, "mine", "what was accessed by you or in your name", "department inquiry mine --user o1")
    one = desk.verb(
        parent,
        "dispute",
        "say that an entry in your name is not yours",
        "department inquiry dispute 41 --why 'I was on leave' --user o1",
    )
    one.add_argument("entry", type=int)
    one.add_argument("--why", required=True)
    one = desk.verb(
        parent,
        "image",
        "view the images of a read that you found",
        "department inquiry image READ --access 41 --out images --purpose investigation --case 26-001234 "
        "--why 'compare with the witness' --user comm1",
    )
    one.add_argument("read", metavar="READ", help="as the search printed it: LOG/NUMBER")
    one.add_argument("--access", type=int, required=True, help="the search that found it")
    one.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the two images go")
    desk.add_ground(one)
    one = desk.verb(
        parent,
        "unfiled",
        "the hand-over to the RMS: what has no number there yet",
        "department inquiry unfiled --csv --user comm1",
    )
    one.add_argument("--csv", action="store_true", help="one ALPR Request a line, for the RMS's import")
    one = desk.verb(
        parent,
        "file",
        "enter an access's RMS number; of several the last one counts",
        "department inquiry file 41 --rms RMS-26-77 --user comm1",
    )
    one.add_argument("entry", type=int)
    one.add_argument("--rms", required=True)


def run(args: argparse.Namespace) -> int:
    """Make the call."""
    verb = args.verb
    if verb in {"run", "propose", "request"}:
        return _search(args)
    if verb == "unfiled":
        found = desk.call(args, "inquiry/unfiled", forms.NothingForm())
        if args.csv:
            print(csv_text(found), end="")
        else:
            desk.show(args, found, ("entry", "date_time", "username", "action", "purpose", "number"))
    elif verb == "queue":
        waiting = desk.call(args, "inquiry/queue", forms.NothingForm())
        desk.show(args, waiting if args.json else tuple(_waiting(one) for one in waiting))
    elif verb == "mine":
        columns = ("entry", "date_time", "username", "on_behalf_of", "action", "purpose", "number", "results")
        desk.show(args, desk.call(args, "inquiry/mine", forms.NothingForm()), columns)
    elif verb == "approve":
        form = forms.DecideForm(proposal=args.entry, granted=not args.no, reason=args.why)
        desk.show(args, desk.call(args, "inquiry/approve", form))
    elif verb == "decline":
        form_no = forms.DeclineForm(request=args.entry, reason=args.why)
        desk.show(args, desk.call(args, "inquiry/decline", form_no))
    elif verb == "answer":
        _show_answer(args, desk.call(args, "inquiry/answer", forms.RequestForm(request=args.entry)))
    elif verb == "dispute":
        form_d = forms.DisputeForm(entry=args.entry, reason=args.why)
        desk.show(args, desk.call(args, "inquiry/dispute", form_d))
    elif verb == "file":
        form_f = forms.FileForm(access=args.entry, rms_number=args.rms)
        desk.show(args, desk.call(args, "inquiry/file", form_f))
    else:
        _images(args)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """What whoever answers or approves must see of a request or a proposal, in the order of a line."""

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


def _search(args: argparse.Namespace) -> int:
    query, ground = desk.query_of(args), desk.ground_of(args)
    if args.verb == "request":
        desk.show(args, desk.call(args, "inquiry/request", forms.AskForm(query=query, ground=ground)))
        return 0
    with desk.session(args) as (front, token):
        pending = front.desk.book.queue
        proposal = pending.proposed.get(args.proposal) if args.verb == "run" else None
        source = proposal or pending.asked.get(args.request)
        note = source.note if source is not None else None
        if isinstance(note, InquiryAsked) and normal_plate(args.plate) in {"", note.query.plate}:
            query, ground = note.query, note.ground
        if isinstance(note, SearchProposed) and normal_plate(args.plate) in {"", note.query.plate}:
            query, ground, args.request = note.query, note.ground, note.request
        if args.verb == "propose":
            form = forms.ProposeForm(query=query, ground=ground, request=args.request)
            desk.show(args, OPERATIONS["inquiry/propose"].run(front, token, form))
            return 0
        run_form = forms.RunForm(query=query, ground=ground, request=args.request, proposal=args.proposal)
        answer = OPERATIONS["inquiry/run"].run(front, token, run_form)
    _show_answer(args, answer)
    return 0


def _show_answer(args: argparse.Namespace, answer: forms.Answer) -> None:
    if args.json:
        desk.show(args, answer)
        return
    desk.show(args, answer.reads, _READ)
    mark = f"  {WORDS}" if answer.unwitnessed else ""
    print(f"ALPR Request: entry {answer.access}, {answer.count} results{mark}")


def _images(args: argparse.Namespace) -> None:
    form = forms.ImageForm(read=args.read, access=args.access, ground=desk.ground_of(args))
    out_files.folder(args.out)
    images = desk.call(args, "inquiry/image", form)
    made = []
    for name, data in (("patch", images.patch), ("overview", images.overview)):
        if data:
            kind = "png" if data.startswith(b"\x89PNG") else "jpg"
            made.append(args.out / f"{name}-{images.access}.{kind}")
            out_files.write_new(made[-1], data)
    facts = {"access": images.access, "read": images.read, "files": [str(path) for path in made]}
    words = f"ALPR Request: entry {images.access}, images in {args.out}"
    desk.told(args, facts, words, unwitnessed=images.unwitnessed)
