"""Training (463.9): who records it, what a record must say, and who is current. No I/O.

The CCAT supervisor conducts training yearly, in all three topics. The administrator records the supervisor's
own. A person without current training makes no call that touches data (463.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from storage.times import DAY_US
from sync.department.desk.people.on_roster import demand_active
from sync.department.journal.entries import AccountSet, Entry, TrainingDone
from sync.department.policy.desk_terms import in_topics, topics_came
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, demand, refuse_each
from sync.department.policy.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTraining:
    """One recorded training: its entry, whose it is, who recorded it, and the trainer."""

    entry: int
    user: str
    by: str
    trainer: str


@dataclass(slots=True)
class Trainings:
    """What the log says of training: each person's newest training, and who gave each one.

    `topics`: when each topic of the policy was added.
    """

    newest: dict[str, TrainingDone] = field(default_factory=dict)
    given: list[RecordedTraining] = field(default_factory=list)
    topics: dict[str, int] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        if isinstance(entry.note, TrainingDone):
            note = entry.note
            self.given.append(
                RecordedTraining(
                    entry=entry.sequence, user=note.user, by=entry.stamp.user, trainer=note.trainer
                )
            )
            known = self.newest.get(entry.note.user)
            if known is None or entry.note.held_us >= known.held_us:
                self.newest[entry.note.user] = entry.note


def ends_us(policy: Policy, done: TrainingDone) -> int:
    """When a training stops being current."""
    return done.held_us + policy.training.valid_days * DAY_US


def is_whole(policy: Policy, trainings: Trainings, done: TrainingDone, now_us: int) -> bool:
    """Whether a training covers every topic that is now required."""
    came = topics_came(trainings.topics, (topic.id for topic in policy.training.topics), 0)
    return in_topics(came, done.topics, held_us=done.held_us, at_us=now_us)


def demand_current(
    policy: Policy,
    trainings: Trainings,
    user: str,
    now_us: int,
    *,
    who: str = "you have",
    held: tuple[Role, ...] = (),
) -> None:
    """Demand that `user` was trained within the year, in every topic in force. Raises DeskRefusal.

    `who`: subject and verb of the refusal; `held`: the person's roles, which decide whom to ask.
    """
    done = trainings.newest.get(user)
    terms = policy.training
    if terms.conducted_by in held:  # there may be no other supervisor
        recorder = policy.title(terms.conductor_recorded_by)
        cure = f"be trained by another person, and have the {recorder} enter it under Training"
    else:
        cure = f"ask the {policy.title(terms.conducted_by)} for a training date"
    if done is None:
        raise DeskRefusal(f"{who} no recorded training", code="untrained", clause="463.3", cure=cure)
    if now_us >= ends_us(policy, done):
        raise DeskRefusal(
            f"{who} no current training: it is out of date",
            code="training-expired",
            clause="463.9",
            cure=cure,
        )
    if not is_whole(policy, trainings, done, now_us):
        raise DeskRefusal(
            f"{who} not been trained in a topic of the policy in force",
            code="training-topics",
            clause="463.9",
            cure=cure,
        )


def check_record(
    policy: Policy,
    roster: Mapping[str, AccountSet],
    record: TrainingDone,
    *,
    recorder: str,
    roles: tuple[Role, ...],
    now_us: int,
) -> None:
    """Check that `recorder`, who holds `roles`, may enter this record. Raises DeskRefusal."""
    terms = policy.training
    person = demand_active(roster, record.user, clause="463.9")
    if record.user == recorder:
        raise DeskRefusal(
            "your own training is recorded by another person", code="own-training", clause="463.9"
        )
    conducts = terms.conducted_by in policy.effective_roles(person.roles)
    wanted = terms.conductor_recorded_by if conducts else terms.conducted_by
    if wanted not in roles:
        raise DeskRefusal(
            f"this person's training is recorded by the {policy.title(wanted)}",
            code="training-recorder",
            clause="463.9",
        )
    refuse_each(
        lambda: _check_trainer(policy, roster, record, conducts=conducts),
        lambda: check_class(policy, record, now_us),
    )


def _check_trainer(
    policy: Policy, roster: Mapping[str, AccountSet], record: TrainingDone, *, conducts: bool
) -> None:
    by, clause = policy.training.conducted_by, "463.9"
    if conducts:
        other = record.trainer != record.user
        what = "the trainer and the person trained must be two people"
        demand(other, what, code="trainer", clause=clause)
        return
    trainer = roster.get(record.trainer)
    demand(
        trainer is not None and trainer.active and by in trainer.roles,
        f"training is conducted by the {policy.title(by)}: name them as trainer",
        code="trainer",
        clause=clause,
    )


class _Held(Protocol):
    """What a record of training says of its class."""

    @property
    def course(self) -> str: ...
    @property
    def policy_version(self) -> int: ...
    @property
    def topics(self) -> tuple[str, ...]: ...
    @property
    def held_us(self) -> int: ...


def check_class(policy: Policy, record: _Held, now_us: int) -> None:
    """Check what the policy asks of a class's record. Raises FormError naming each wrong field."""
    terms, clause = policy.training, "463.9"

    def check_topics() -> None:
        missing = [topic for topic in terms.topics if topic.id not in record.topics]
        if missing:
            raise FormError(
                f"the record lacks a topic: {missing[0].text}",
                code="topics",
                clause=missing[0].clause,
                cure="train it, then record",
            )
        fits = len(set(record.topics)) == len(record.topics) == len(terms.topics)
        demand(fits, "the record names a topic that is not in the policy", code="topics", clause=clause)

    refuse_each(
        lambda: demand(
            record.course in terms.courses,
            "that is not an approved course",
            code="course",
            clause="463.3",
            cure=", ".join(terms.courses),
        ),
        lambda: demand(
            record.policy_version == policy.version,
            f"the record must name the policy version in force, {policy.version}",
            code="policy-version",
            clause="463.9 (b)",
            fields=("policy_version",),
        ),
        check_topics,
        lambda: demand(
            now_us - 31 * DAY_US <= record.held_us <= now_us,
            "a training is entered within 31 days after it was held, and not before",
            code="training-date",
            clause=clause,
            cure=""
            if record.held_us <= now_us
            else "is your clock ahead of the department's? say when it was held",
            fields=("held_us",),
        ),
    )
