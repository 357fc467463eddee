"""What ends soon: passwords, training, designations, grants, announced before they end. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from storage.times import DAY_US, iso_text
from sync.department.desk.people import rules as people
from sync.department.desk.people import training
from sync.department.desk.state import Book
from sync.department.journal.office_entries import GrantIssued
from sync.department.policy.policy import Policy
from sync.department.policy.roles import CALLS, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One thing that ends, or that a newer policy has overtaken. `kind`: password, training, designation,
    grant, policy-training."""

    kind: str
    clause: str
    about: str
    ends_us: int
    what: str


def endings(policy: Policy, book: Book, now_us: int) -> list[Ending]:
    """Everything that ends within the policy's days of notice, the soonest first."""
    until_us = now_us + policy.people.notice_days * DAY_US
    found = [*_passwords(policy, book), *_trainings(policy, book), *_designations(book), *_grants(book)]
    soon = [one for one in found if now_us <= one.ends_us < until_us]
    return sorted([*soon, *_overtaken(policy, book)], key=lambda one: (one.ends_us, one.about))


def _ending(kind: str, clause: str, about: str, ends_us: int) -> Ending:
    what = f"the {kind} of {about} ends {iso_text(ends_us, to='second')}"
    return Ending(kind=kind, clause=clause, about=about, ends_us=ends_us, what=what)


def _active(book: Book) -> list[str]:
    return sorted(user for user, one in book.roster.accounts.items() if one.active)


def _passwords(policy: Policy, book: Book) -> Iterator[Ending]:
    for user in _active(book):
        set_us = book.roster.credential_us.get(user)
        if set_us is not None:
            yield _ending("password", "CJIS IA-5", user, people.expires_us(policy.security, set_us))


def _trained(policy: Policy, book: Book) -> list[str]:
    """People with a call that touches data."""
    return [
        user
        for user in _active(book)
        if Role.VENDOR not in book.roster.accounts[user].roles
        and any(
            CALLS[call].touches_data for call in people.calls_of(policy, book.roster.accounts[user].roles)
        )
    ]


def _trainings(policy: Policy, book: Book) -> Iterator[Ending]:
    for user in _trained(policy, book):
        done = book.trainings.newest.get(user)
        if done is not None:
            yield _ending("training", "463.9", user, training.ends_us(policy, done))


def _overtaken(policy: Policy, book: Book) -> Iterator[Ending]:
    """463.9 (b), (c): a training reviewed the policy of its day; a newer one is in force."""
    for user in _trained(policy, book):
        done = book.trainings.newest.get(user)
        if done is not None and done.policy_version < policy.version:
            what = f"{user} was trained on policy version {done.policy_version}, not {policy.version}"
            yield Ending(kind="policy-training", clause="463.9 (b)", about=user, ends_us=0, what=what)


def _designations(book: Book) -> Iterator[Ending]:
    for user in _active(book):
        ends_us = book.roster.designations.get(user)
        if ends_us is not None and Role.DESIGNEE in book.roster.accounts[user].roles:
            yield _ending("designation", "463.6 (b)", user, ends_us)


def _grants(book: Book) -> Iterator[Ending]:
    for entry in book.grants.issued.values():
        note = entry.note
        if (
            isinstance(note, GrantIssued)
            and not {note.grant_id, note.person, note.holder} & book.grants.revoked
        ):
            yield _ending("grant", "463.3", note.person, note.to_us)
