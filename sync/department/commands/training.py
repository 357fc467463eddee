"""`department training`: record a training; list the people who are current (463.9)."""

from __future__ import annotations

from pathlib import Path

import click

from storage.times import now_us
from sync.command_frame import noun
from sync.department.commands import desk_access, given_files
from sync.department.desk.people import training_calls
from sync.department.desk.people.sheets import read_sign_in

RECORD = "department training record o1 --trainer super --course ALPR-463 --user super"

training = noun("training", "Yearly training of 463.9.", example=RECORD)


@desk_access.desk_verb(training, "record", example=RECORD)
@click.argument("name_of_user", metavar="USER")
@desk_access.text(
    "--trainer",
    "trainer",
    "The CCAT supervisor; for the supervisor's own training, the person who conducted it.",
)
@desk_access.text("--course", "course", "An approved course of the policy file.")
@click.option(
    "--topics",
    default="equipment,department-policy,privacy-policy",
    show_default=True,
    help="463.9 (a) to (c).",
)
@click.option("--policy-version", type=int, default=0, help="Default: the current version.")
@desk_access.time_option("--held", "held_us", "When it was held, ISO 8601, UTC. Default: now.", default=-1)
def record(
    terminal: desk_access.Terminal,
    *,
    name_of_user: str,
    trainer: str,
    course: str,
    topics: str,
    policy_version: int,
    held_us: int,
) -> int:
    """Record a training with all its topics."""
    with desk_access.seat(terminal) as call:
        form = training_calls.TrainingForm(
            user=name_of_user,
            trainer=trainer,
            course=course,
            policy_version=policy_version or desk_access.policy_of(call).version,
            topics=tuple(topics.split(",")),
            held_us=held_us if held_us >= 0 else now_us(),
        )
        return terminal.show(call("training/record", form))


@desk_access.desk_verb(
    training,
    "record-class",
    example="department training record-class --sheet class.csv --trainer super --course ALPR-463 "
    "--user super",
)
@click.option(
    "--sheet",
    type=given_files.FILE,
    required=True,
    help="The sign-in sheet: CSV with a column user; with a column signed, only those with an x there.",
)
@desk_access.text("--trainer", "trainer", "The CCAT supervisor.")
@desk_access.text("--course", "course", "An approved course of the policy file.")
@desk_access.time_option("--held", "held_us", "When it was held, ISO 8601, UTC. Default: now.", default=-1)
def record_class(
    terminal: desk_access.Terminal, *, sheet: Path, trainer: str, course: str, held_us: int
) -> int:
    """Record one class with all its topics for everyone on its sign-in sheet."""
    users = read_sign_in(given_files.read_bytes(sheet))
    with desk_access.seat(terminal) as call:
        policy = desk_access.policy_of(call)
        form = training_calls.ClassForm(
            users=users,
            trainer=trainer,
            course=course,
            policy_version=policy.version,
            topics=tuple(topic.id for topic in policy.training.topics),
            held_us=held_us if held_us >= 0 else now_us(),
        )
        return terminal.show(call("training/record-class", form))


desk_access.form_verb(
    training,
    "list",
    "training/list",
    "List people and their training.",
    example="department training list --user super",
    columns=("user", "name", "roles", "active", "training", "training_ends_us"),
)
