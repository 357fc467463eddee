"""`department alert`: alerts from units, each verified and answered by a person (463.7)."""

from __future__ import annotations

from pathlib import Path

import click

from storage.alert_life import Fit, Outcome
from sync.command_frame import noun
from sync.department.commands import desk_access, out_files
from sync.department.desk.alerts import calls
from sync.department.desk.inquiry.forms import NothingForm
from sync.errors import DONE, FOUND_WRONG
from sync.plate_option import HELP, PLATE

LIST = "department alert list --user disp1"
HEADINGS = {
    "alert": "ALERT",
    "raised_us": "RAISED",
    "since_us": "WAITS SINCE",
    "unit": "UNIT",
    "sighting_of": "SIGHTING OF",
    "says": "CATEGORY",
    "sounded": "SOUNDED",
    "silent": "SILENT BECAUSE",
    "stale": "STALE LIST",
    "answer": "ANSWER",
    "next": "NEXT",
}

alert = noun(
    "alert", "Alerts of hot lists: view, type the plate, compare, answer, close (463.7).", example=LIST
)


@desk_access.desk_verb(alert, "list", example=LIST)
def list_alerts(terminal: desk_access.Terminal) -> int:
    """List open alerts; those that sounded come first. Exit 1 if one is overdue."""
    rows = terminal.call("alert/list", NothingForm())
    terminal.table(rows, HEADINGS)
    return FOUND_WRONG if any(one.overdue for one in rows) else DONE


@desk_access.desk_verb(alert, "show", example="department alert show 4711 --out images --user disp1")
@click.argument("name", metavar="ALERT")
@desk_access.out_option("FOLDER", "Where the two images go.")
def show(terminal: desk_access.Terminal, *, name: str, out: Path) -> int:
    """View the images of an alert. The list's entry appears after the transcription."""
    out_files.folder(out)
    return out_files.save_images(terminal, terminal.call("alert/show", calls.AlertForm(alert=name)), out)


@desk_access.desk_verb(
    alert,
    "transcribe",
    example="department alert transcribe 4711 --plate 7XKR219 --state US-CA --user disp1",
)
@click.argument("name", metavar="ALERT")
@click.option(
    "--plate",
    type=PLATE,
    required=True,
    help=f"The plate as the picture shows it; ? for an unreadable character. {HELP}",
)
@desk_access.text("--state", "state", "The state on the plate, e.g. US-CA.", required=False)
def transcribe(terminal: desk_access.Terminal, *, name: str, plate: str, state: str) -> int:
    """Type plate and state from the picture; the answer compares them with the list's entry."""
    form = calls.TranscribeForm(alert=name, plate=plate, state=state)
    return _compared(terminal, terminal.call("alert/transcribe", form))


@desk_access.desk_verb(alert, "answer", example="department alert answer 4711 --fits yes --user disp1")
@click.argument("name", metavar="ALERT")
@click.option(
    "--fits", type=click.Choice([one.value for one in Fit]), required=True, help="Does the vehicle fit?"
)
def answer(terminal: desk_access.Terminal, *, name: str, fits: str) -> int:
    """Answer whether the vehicle matches the entry. The alert's result is computed from your
    transcription."""
    return _compared(terminal, terminal.call("alert/answer", calls.AnswerForm(alert=name, fit=Fit(fits))))


@desk_access.desk_verb(
    alert, "clets", example="department alert clets 4711 --reference 'CLETS 4711' --user disp1"
)
@click.argument("name", metavar="ALERT")
@desk_access.text("--reference", "reference", "The CLETS reference.", required=False)
@desk_access.text("--not-practicable", "why", "The reason why it was not practicable.", required=False)
def clets(terminal: desk_access.Terminal, *, name: str, reference: str, why: str) -> int:
    """Enter the CLETS reference of a confirmed alert, or the reason for none."""
    form = calls.CletsForm(alert=name, practicable=bool(reference), text=reference or why)
    return terminal.table((terminal.call("alert/clets", form),), HEADINGS)


@desk_access.desk_verb(alert, "close", example="department alert close 4711 --outcome no-stop --user disp1")
@click.argument("name", metavar="ALERT")
@click.option(
    "--outcome", type=click.Choice([one.value for one in Outcome]), required=True, help="How it ended."
)
@desk_access.text("--note", "note", "In words.", required=False)
def close(terminal: desk_access.Terminal, *, name: str, outcome: str, note: str) -> int:
    """Close an alert with its outcome. The machine never closes one."""
    form = calls.CloseForm(alert=name, outcome=Outcome(outcome), text=note)
    return terminal.table((terminal.call("alert/close", form),), HEADINGS)


desk_access.form_verb(
    alert,
    "figures",
    "alert/figures",
    "Show each source's rejected hits and each verifier's planted mismatches.",
    example="department alert figures --user super",
)


def _compared(terminal: desk_access.Terminal, made: calls.Compared) -> int:
    if terminal.common.json:
        return terminal.show(made)
    print("you typed  " + " ".join(typed or "-" for typed, _, _ in made.slots))
    print("the list   " + " ".join(wanted or "-" for _, wanted, _ in made.slots))
    print("           " + " ".join(" " if agrees else "^" for _, _, agrees in made.slots))
    facts = (made.state, made.color, str(made.year or ""), made.make, made.model, made.plate_class)
    print("           " + ", ".join(one for one in (*facts, made.reason, made.case) if one))
    print(f"answer     {made.line.answer or 'none yet'}; next: {made.line.next}")
    return DONE
