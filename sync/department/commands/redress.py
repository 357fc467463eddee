"""`department redress`: requests from the public, and their answers."""

from __future__ import annotations

from sync.command_frame import noun
from sync.department.commands import desk_access

ANSWER = (
    "department redress answer 41 --outcome corrected --note 'entry corrected, informed by mail' --user chief"
)

ENTER = (
    "department redress enter --about stop --contact '415 S. Ivy Ave' --words 'I was stopped on May 4' "
    "--received 2026-11-20T17:00Z --user chief"
)

redress = noun("redress", "Requests from the public about a read, a stop or a lookup.", example=ANSWER)

desk_access.form_verb(
    redress,
    "list",
    "redress/list",
    "List requests, those that wait first.",
    example="department redress list --user chief",
    columns=("request", "at_us", "due_us", "about", "contact", "words", "outcome"),
)
desk_access.form_verb(
    redress,
    "enter",
    "redress/enter",
    "Enter a request that came on paper. Its days count from the day it was received.",
    desk_access.text("--about", "about", "wrong-read, stop, access or other."),
    desk_access.text("--contact", "contact", "How the person wants to be answered."),
    desk_access.text("--words", "words", "What happened, as written on the form."),
    desk_access.time_option("--received", "received_us", "When the form was received, ISO 8601, UTC."),
    example=ENTER,
)
desk_access.form_verb(
    redress,
    "answer",
    "redress/answer",
    "Enter the outcome of a request, after you informed the person.",
    desk_access.entry("request"),
    desk_access.text("--outcome", "outcome", "corrected, nothing-found, referred or unclear."),
    desk_access.text("--note", "note", "What you found, and how you informed the person."),
    example=ANSWER,
)
