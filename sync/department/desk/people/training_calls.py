"""Training at the desk: record that of one person, or of a class by its sign-in sheet (463.9)."""

from __future__ import annotations

from dataclasses import dataclass

from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.forms import Entered
from sync.department.desk.people import training
from sync.department.desk.people.sheets import named_twice
from sync.department.journal.entries import (
    TrainingDone,
)
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import (
    FormError,
    demand,
    refuse_each,
    refuse_lines,
)
from sync.department.policy.roles import Call

MAX_CLASS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingForm:
    """A training record of one person (463.9)."""

    user: str
    trainer: str
    course: str
    policy_version: int
    topics: tuple[str, ...]
    held_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassForm:
    """One class with its sign-in sheet (463.9). `users`: everybody who signed."""

    users: tuple[str, ...]
    trainer: str
    course: str
    policy_version: int
    topics: tuple[str, ...]
    held_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRecorded:
    """The entries of a class, one per person, in the order of the sign-in sheet."""

    entries: tuple[int, ...]


def check_class(policy: Policy, form: ClassForm, now_us: int) -> None:
    """Check what the policy asks of a class. Raises FormError naming each wrong field."""
    refuse_each(
        lambda: demand(
            not named_twice(form.users),
            f"the sign-in sheet names more than once: {named_twice(form.users)}",
            code="sign-in",
            clause="463.9",
            fields=("users", "sheet"),
        ),
        lambda: demand(
            0 < len(form.users) <= MAX_CLASS,
            f"the sign-in sheet names {len(form.users)} users; it may name 1 to {MAX_CLASS}",
            code="sign-in",
            clause="463.9",
            fields=("users", "sheet"),
        ),
        lambda: training.check_class(policy, form, now_us),
    )


def check_one(policy: Policy, form: TrainingForm, now_us: int) -> None:
    """Check what the policy asks of one person's training. Raises FormError naming each wrong field."""
    training.check_class(policy, form, now_us)


def record_training(front: DeskContext, token: str, form: TrainingForm) -> Entered:
    """Enter a training."""
    one = ClassForm(
        users=(form.user,),
        trainer=form.trainer,
        course=form.course,
        policy_version=form.policy_version,
        topics=form.topics,
        held_us=form.held_us,
    )
    return Entered(entry=record_class(front, token, one).entries[0])


def record_class(front: DeskContext, token: str, form: ClassForm) -> ClassRecorded:
    """Enter the training of several people: all of them, or none if one record is refused."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[ClassRecorded]:
        check_class(desk.policy, form, caller.at_us)
        notes = [
            TrainingDone(
                user=user,
                trainer=form.trainer,
                course=form.course,
                policy_version=form.policy_version,
                topics=form.topics,
                held_us=form.held_us,
            )
            for user in form.users
        ]
        wrong = []
        for note in notes:
            try:
                training.check_record(
                    desk.policy,
                    desk.book.roster.accounts,
                    note,
                    recorder=caller.user,
                    roles=caller.roles,
                    now_us=caller.at_us,
                )
            except FormError as error:
                wrong.append(error)
        refuse_lines(wrong)
        return notes, lambda made: ClassRecorded(entries=tuple(entry.sequence for entry in made))

    made = desk.act(token, Call.TRAINING_RECORD, plan)
    front.notify_units()
    return made
