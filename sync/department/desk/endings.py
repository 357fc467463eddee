"""What ends: passwords, training, designations, grants, certificates, keys, hot lists, and when. No I/O.

There is one list. The calendar shows each person the part that concerns them. `compliance` and mails show
what ends within the policy's days of notice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import PurePath

from storage.times import DAY_US, MINUTE_US
from sync.department.desk.context import UnitRow
from sync.department.desk.documents.covert import is_heard
from sync.department.desk.owed import Ending, ending_at
from sync.department.desk.people import rules as people
from sync.department.desk.people import training
from sync.department.desk.people.on_roster import approvers_beside, one_approves
from sync.department.desk.state import DeskState
from sync.department.policy.policy import Policy
from sync.department.policy.roles import CALLS, Call, Role
from sync.hot_lists.document import ListHead
from sync.hot_lists.entry import ListEntry

REVIEW_DAYS = 365  # once a year a policy is reviewed, and each hold is asked about


SEEN_WITH = {
    "password": Call.USER_MANAGE,
    "training": Call.TRAINING_RECORD,
    "policy-training": Call.TRAINING_RECORD,
    "designation": Call.USER_MANAGE,
    "grant": Call.GRANT_READ,
    "delegation": Call.GRANT_READ,
    "hot-list": Call.DOCUMENT_SIGN,
    "list-entry": Call.DOCUMENT_SIGN,
    "recipients": Call.DOCUMENT_SIGN,
    "unit-certificate": Call.DOCUMENT_SIGN,
    "held-year": Call.HOLD_READ,
    "audit": Call.AUDIT_READ,
    "policy": Call.COMPLIANCE_READ,
    "authority": Call.COMPLIANCE_READ,
    "certificate": Call.COMPLIANCE_READ,
    "day-keys": Call.COMPLIANCE_READ,
}
"""Kinds, and the call whose people see all of a kind. People with compliance.read see every kind."""
OF_PEOPLE = frozenset({"password", "training", "policy-training", "designation", "grant", "delegation"})
"""Kinds whose `about` is a user name: that person sees their own."""
PASSES = frozenset({"grant", "delegation", "list-entry"})
"""Kinds that end for good: nothing is overdue when they have."""


def advice(one: Ending) -> str:
    """What to do about an end, and with which command."""
    return f"{one.cure}: {one.command}" if one.command else one.cure


def of_people(policy: Policy, book: DeskState, now_us: int) -> list[Ending]:
    """What ends, as far as the log alone says."""
    found = (
        *_passwords(policy, book),
        *_trainings(policy, book),
        *_overtaken(policy, book),
        *_designations(policy, book, now_us),
        *_grants(book),
        *_delegations(book),
        *_holds(book),
        *_reviews(policy, book),
    )
    names = {user: one.name for user, one in book.roster.accounts.items()}
    return [replace(one, name=names.get(one.about, "")) if one.kind in OF_PEOPLE else one for one in found]


def of_units(units: Iterable[UnitRow]) -> list[Ending]:
    """The ends of units' certificates, except for reset units, which wait to be revoked and renew none."""
    cure = "the unit renews it when it syncs; enroll it again if that is too late"
    return [
        ending_at(
            "unit-certificate",
            "463.5",
            one.name,
            one.certificate_ends_us,
            f"the certificate of {one.name}",
            cure,
            "department enroll",
        )
        for one in units
        if one.certificate_ends_us > 0 and one.reset_us < 0
    ]


def of_lists(lists: Iterable[ListHead], own: Iterable[ListEntry]) -> list[Ending]:
    """The ends of hot lists and of the department's own entries: whose they are, never which vehicle."""
    cure, command = "send its next version", "department hotlist push"
    again = "enter it again with a second person, if the vehicle is still looked for"
    return [
        *(
            ending_at(
                "hot-list", "463.7", one.list_id, one.expires_us, f"hot list {one.list_id}", cure, command
            )
            for one in lists
        ),
        *(
            ending_at(
                "list-entry",
                "463.7",
                one.requester,
                one.until_us,
                f"an entry of {one.requester} on the department's own list",
                again,
                "department hotlist add",
            )
            for one in own
            if one.until_us is not None
        ),
    ]


def unheard(policy: Policy, book: DeskState, own: Iterable[ListEntry], now_us: int) -> list[Ending]:
    """Covert entries whose recipients may all no longer verify, as due now: whose they are, never which
    vehicle."""
    return [
        Ending(
            kind="recipients",
            clause="463.7",
            about=one.requester,
            ends_us=0,
            what=f"an entry of {one.requester} on the department's own list: no recipient may verify its "
            "alerts any more, so the next one reaches no one",
            cure="those who requested and approved it end its open alerts; withdraw it, and enter it again "
            "for a colleague",
            command="department hotlist withdraw, add",
        )
        for one in own
        if one.covert
        and (one.until_us is None or now_us < one.until_us)
        and not is_heard(policy, book.roster, one.recipients, {one.requester, one.approver}, now_us)
    ]


def unreadable_lists(where: str) -> Ending:
    """A list kept here that does not open, as due now. `where`: its file, as far as it is known."""
    named = f" ({PurePath(where).name})" if where else ""
    return Ending(
        kind="hot-list",
        clause="463.7",
        about="a hot list that is kept here",
        ends_us=0,
        what=f"a hot list that is kept here does not open{named}",
        cure="restore HOME/hotlists and HOME/hotlists.key from the backup; without them, move HOME/hotlists "
        "away and send each list again",
        command="department hotlist push",
    )


def by_date(found: Iterable[Ending]) -> list[Ending]:
    """Sort by date, the soonest first."""
    return sorted(found, key=lambda one: (one.ends_us, one.kind, one.about))


def soon(policy: Policy, found: Iterable[Ending], now_us: int) -> list[Ending]:
    """What ends within the days of notice, and what a newer policy has superseded, soonest first."""
    days = policy.people.notice_days
    return by_date(one for one in found if one.ends_us == 0 or one.is_soon(now_us, days))


def seen_by(found: Iterable[Ending], user: str, calls: Collection[Call]) -> list[Ending]:
    """The ends that a person with these calls sees. People always see their own."""
    return [
        one
        for one in found
        if Call.COMPLIANCE_READ in calls
        or SEEN_WITH[one.kind] in calls
        or (one.kind in OF_PEOPLE and one.about == user)
    ]


def _active(book: DeskState) -> list[str]:
    return sorted(user for user, one in book.roster.accounts.items() if one.active)


def _passwords(policy: Policy, book: DeskState) -> Iterator[Ending]:
    cure, command = "the person changes it under My account", "department user password"
    for user in _active(book):
        set_us = book.roster.credential_us.get(user)
        if set_us is not None:
            ends_us = people.expires_us(policy.security, set_us)
            yield ending_at("password", "CJIS IA-5", user, ends_us, f"the password of {user}", cure, command)


def _trained(policy: Policy, book: DeskState) -> list[str]:
    """The users who have a call that touches data."""
    return [
        user
        for user in _active(book)
        if Role.VENDOR not in book.roster.accounts[user].roles
        and any(
            CALLS[call].touches_data for call in people.calls_of(policy, book.roster.accounts[user].roles)
        )
    ]


RECORD = "department training record-class"


def _class_cure(policy: Policy) -> str:
    return f"the {policy.title(policy.training.conducted_by)} holds a class and enters it"


def _trainings(policy: Policy, book: DeskState) -> Iterator[Ending]:
    for user in _trained(policy, book):
        done = book.trainings.newest.get(user)
        if done is not None:
            ends_us = training.ends_us(policy, done)
            name, cure = f"the training of {user}", _class_cure(policy)
            yield ending_at("training", "463.9", user, ends_us, name, cure, RECORD)


def _overtaken(policy: Policy, book: DeskState) -> Iterator[Ending]:
    """Trainings that reviewed an older policy than the one in force (463.9 (b), (c))."""
    for user in _trained(policy, book):
        done = book.trainings.newest.get(user)
        if done is not None and done.policy_version < policy.version:
            what = f"{user} was trained on policy version {done.policy_version}, not {policy.version}"
            yield Ending(
                kind="policy-training",
                clause="463.9 (b)",
                about=user,
                ends_us=0,
                what=what,
                cure=_class_cure(policy),
                command=RECORD,
            )


def _designations(policy: Policy, book: DeskState, now_us: int) -> Iterator[Ending]:
    command, roster = "department user set", book.roster
    designees = [
        user
        for user in _active(book)
        if user in roster.designations and Role.DESIGNEE in roster.accounts[user].roles
    ]
    beside = {
        one: approvers_beside(policy, roster, one, now_us)
        for one in (roster.holders(Role.ADMINISTRATOR) if designees else ())
    }
    for user in designees:
        cure = "the administrator designates the person again, and another person approves it"
        if beside and all(set(able) <= {user} for able in beside.values()):
            one = next(iter(beside))
            cure = f"no one approves their own, and {one_approves(beside[one], one)}"
        name = f"the designation of {user}"
        yield ending_at("designation", "463.6 (b)", user, roster.designations[user], name, cure, command)


def _grants(book: DeskState) -> Iterator[Ending]:
    cure, command = "issue another one if the work continues", "department grant issue"
    for entry in book.grants.issued.values():
        note = entry.note
        if not {note.grant_id, note.person, note.holder} & book.grants.revoked:
            name = f"the grant of {note.person}"
            made = ending_at("grant", "463.3", note.person, note.to_us, name, cure, command)
            yield replace(made, lasts_min=(note.to_us - note.from_us) // MINUTE_US)


def _delegations(book: DeskState) -> Iterator[Ending]:
    cure, command = "the administrator delegates again", "department grant delegate"
    for entry in book.grants.delegated.values():
        note = entry.note
        name = f"the key of {note.designee} for grants at night"
        yield ending_at("delegation", "463.3", note.designee, note.to_us, name, cure, command)


def _holds(book: DeskState) -> Iterator[Ending]:
    """When each hold is to be asked about again (463.8).

    A hold keeps its reads past their year, and without a yearly question it would keep them forever. A
    release, another export, or booking it again under its item number answers the question.
    """
    cure = "release it; or, if the case still needs it, book it again (or export it, if it never was)"
    command, holds = "department hold list", book.holds
    for entry in holds.open_holds():
        known = (holds.exported.get(entry.sequence), holds.booked.get(entry.sequence))
        last_us = max(one.stamp.at_us for one in (entry, *known) if one is not None)
        ends_us, about = last_us + REVIEW_DAYS * DAY_US, f"hold {entry.sequence}"
        name = f"the year since {about} was placed, exported or booked"
        yield ending_at("held-year", "463.8", about, ends_us, name, cure, command)


def _reviews(policy: Policy, book: DeskState) -> Iterator[Ending]:
    """When the department's periodic audit and the review of its policy are due again."""
    ends = [entry.note.to_us for entry in book.findings.audits]
    due_us = max(ends, default=book.opened_us) + policy.audit.every_days * DAY_US
    name = "the time without a periodic audit"
    cure, command = "run the periodic audit", "department audit run"
    yield ending_at("audit", policy.audit.clause, "the department", due_us, name, cure, command)
    if book.policy_us:
        review_us = book.policy_us + REVIEW_DAYS * DAY_US
        cure, command = "adopt it again, as it is or changed", "department keys draft, sign, adopt"
        name = "the year since the policy was last adopted"
        yield ending_at("policy", "1798.90.51", "the department", review_us, name, cure, command)
