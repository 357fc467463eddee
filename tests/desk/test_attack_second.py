"""Root at the desk and an accomplice who signs: what needs a second person does not open without one.

Root holds the log's key and the database, the accomplice a session of their own. What they lack is a second
person's word for just this search or reset, given in time and not used before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_root import VICTIM, Root, access_of, by_a_key_that_root_set, demand_named, problems
from desk_twins import GROUND, Department

from storage.times import DAY_US, HOUR_US
from sync.department.desk.inquiry import forms as inquiries
from sync.department.desk.inquiry.forms import RunForm
from sync.department.desk.people.calls import CredentialForm, HandedOver
from sync.department.desk.sessions import digest_of
from sync.department.journal.change_entries import ChangeUsed
from sync.department.journal.entries import CredentialSet
from sync.department.journal.inquiry_entries import Query, SearchApproved, SearchProposed
from sync.department.journal.statements import sign_call

WIDE = "8XYZ*"


def proposal(root: Root, session: bytes) -> int:
    return root.write(
        SearchProposed(query=root.query(WIDE), ground=GROUND, request=-1), root.stamp(session=session)
    )


def wide(root: Root, key: Ed25519PrivateKey, session: bytes, number: int) -> int:
    """The wide search that root and the accomplice want, under this approval."""
    form = RunForm(query=root.query(WIDE), ground=GROUND, proposal=number)
    signed = sign_call(key, root.log.log_id, VICTIM, "inquiry/run", form, root.stamp().at_us)
    return root.write(replace(root.look_up(WIDE), approval=number), root.stamp(session=session), signed)


def wide_without_a_second_person(root: Root) -> int:
    return wide(root, *root.accomplice(VICTIM), -1)


def wide_by_an_approval_that_nobody_gave(root: Root) -> int:
    key, session = root.accomplice(VICTIM)
    return wide(root, key, session, proposal(root, session))


def wide_by_an_approval_that_root_wrote(root: Root) -> int:
    key, session = root.accomplice(VICTIM)
    number = proposal(root, session)
    note = SearchApproved(proposal=number, granted=True, reason="known to me")
    root.write(note, root.stamp("super", digest_of(root.department.logon("super"))))
    return wide(root, key, session, number)


def wide_by_ones_own_approval(root: Root) -> int:
    key, session = root.accomplice(VICTIM)
    number = proposal(root, session)
    form = inquiries.InquiryDecideForm(proposal=number, granted=True, reason="known to me")
    signed = sign_call(key, root.log.log_id, VICTIM, "inquiry/approve", form, root.stamp().at_us)
    note = SearchApproved(proposal=number, granted=True, reason="known to me")
    root.write(note, root.stamp(session=session), signed)
    return wide(root, key, session, number)


def wide_by_a_no_that_root_turned(root: Root) -> int:
    """The second person signed a no; root enters a yes with it."""
    key, session = root.accomplice(VICTIM)
    number = proposal(root, session)
    second, theirs = root.accomplice("super")
    form = inquiries.InquiryDecideForm(proposal=number, granted=False, reason="no reason given")
    signed = sign_call(second, root.log.log_id, "super", "inquiry/approve", form, root.stamp().at_us)
    note = SearchApproved(proposal=number, granted=True, reason="no reason given")
    root.write(note, root.stamp("super", theirs), signed)
    return wide(root, key, session, number)


def wide_by_an_approval_of_another_search(root: Root) -> int:
    """The second person said yes to another proposal."""
    key, session = root.accomplice(VICTIM)
    number, other = proposal(root, session), proposal(root, session)
    second, theirs = root.accomplice("super")
    form = inquiries.InquiryDecideForm(proposal=other, granted=True, reason="known to me")
    signed = sign_call(second, root.log.log_id, "super", "inquiry/approve", form, root.stamp().at_us)
    root.write(SearchApproved(proposal=other, granted=True, reason="known to me"),
               root.stamp("super", theirs), signed)  # fmt: skip
    return wide(root, key, session, number)


def approved(root: Root, query: Query) -> int:
    """Two people agree to a search at the desk: its proposal."""
    department = root.department
    asks = inquiries.ProposeForm(query=query, ground=GROUND)
    made = department.call("inquiry/propose", department.logon(VICTIM), asks)
    assert isinstance(made, inquiries.Entered)
    yes = inquiries.InquiryDecideForm(proposal=made.entry, granted=True, reason="the case is known")
    department.call("inquiry/approve", department.logon("super"), yes)
    return made.entry


def by_proposal(root: Root, number: int, query: Query) -> int:
    """The searcher signs for a proposal by its number; root writes the access."""
    form = RunForm(proposal=number)
    stamp, signed = root.signed(VICTIM, "inquiry/run", form)
    return root.write(replace(access_of(query), approval=number), stamp, signed)


def wide_by_the_approval_of_a_shorter_time(root: Root) -> int:
    """The same plate and case; the second person agreed to an hour."""
    query = root.query(WIDE)
    number = approved(root, replace(query, since_us=query.until_us - HOUR_US))
    return wide(root, *root.accomplice(VICTIM), number)


def wide_by_number_over_a_longer_time(root: Root) -> int:
    query = root.query(WIDE)
    number = approved(root, replace(query, since_us=query.until_us - HOUR_US))
    return by_proposal(root, number, query)


def wide_by_an_approval_that_was_used(root: Root) -> int:
    query = root.query(WIDE)
    number = approved(root, query)
    root.department.call("inquiry/run", root.department.logon(VICTIM), RunForm(proposal=number))
    return by_proposal(root, number, query)


def wide_after_the_approvals_hours(root: Root) -> int:
    query = root.query(WIDE)
    number = approved(root, query)
    root.department.clock.step(25 * HOUR_US)
    return by_proposal(root, number, query)


def by_an_administrator_alone(root: Root) -> int:
    """The administrator helps root: signs the victim's reset alone, where the desk asks for two."""
    key, session = root.accomplice("chief")
    form = CredentialForm(user=VICTIM, reason="because I can")
    signed = sign_call(key, root.log.log_id, "chief", "user/credential", form, root.stamp().at_us)
    note = CredentialSet(user=VICTIM, digest=bytes(32), first=True)
    root.write(note, root.stamp("chief", session), signed)
    return by_a_key_that_root_set(root)


def by_a_reset_that_two_people_made_before(root: Root) -> int:
    """Two people reset the victim once; the administrator resets again under the same approval."""
    department = root.department
    form = CredentialForm(user=VICTIM, reason="was lost")
    given = department.two_hands("user/credential", department.logon("chief"), form)
    assert isinstance(given, HandedOver)
    department.own_password(given)
    used = [one.note for one in root.log.entries(kinds=(ChangeUsed.KIND,))][-1]
    assert isinstance(used, ChangeUsed)
    stamp, signed = root.signed("chief", "user/credential", replace(form, approval=used.proposal))
    root.write(CredentialSet(user=VICTIM, digest=bytes(32), first=True), stamp, signed)
    return by_a_key_that_root_set(root)


def by_an_approval_of_another_reset(root: Root) -> int:
    """Two people reset another person; the administrator uses that approval for the victim."""
    department = root.department
    chief = department.logon("chief")
    given = department.two_hands("user/credential", chief, CredentialForm(user="disp1", reason="was lost"))
    assert isinstance(given, HandedOver)
    used = [one.note for one in root.log.entries(kinds=(ChangeUsed.KIND,))][-1]
    assert isinstance(used, ChangeUsed)
    key, session = root.accomplice("chief")
    form = CredentialForm(user=VICTIM, reason="was lost", approval=used.proposal)
    signed = sign_call(key, root.log.log_id, "chief", "user/credential", form, root.stamp().at_us)
    note = CredentialSet(user=VICTIM, digest=bytes(32), first=True)
    root.write(note, root.stamp("chief", session), signed)
    return by_a_key_that_root_set(root)


WIDE_ATTACKS: tuple[Callable[[Root], int], ...] = (
    wide_without_a_second_person,
    wide_by_an_approval_that_nobody_gave,
    wide_by_an_approval_that_root_wrote,
    wide_by_ones_own_approval,
    wide_by_a_no_that_root_turned,
    wide_by_an_approval_of_another_search,
    wide_by_the_approval_of_a_shorter_time,
    wide_by_number_over_a_longer_time,
    wide_by_an_approval_that_was_used,
    wide_after_the_approvals_hours,
)
RESETS: tuple[Callable[[Root], int], ...] = (
    by_an_administrator_alone,
    by_an_approval_of_another_reset,
    by_a_reset_that_two_people_made_before,
)


@pytest.mark.parametrize("attack", WIDE_ATTACKS, ids=lambda one: one.__name__)
def test_a_wide_search_without_its_second_person_opens_nothing_and_verify_names_it(
    department: Department, attack: Callable[[Root], int]
) -> None:
    demand_named(department, attack, WIDE)


@pytest.mark.parametrize("attack", RESETS, ids=lambda one: one.__name__)
def test_a_reset_without_its_second_person_gives_no_key_and_verify_names_its_look_up(
    department: Department, attack: Callable[[Root], int]
) -> None:
    demand_named(department, attack)


def test_a_search_that_two_people_agreed_to_opens_by_its_number(department: Department) -> None:
    """The control of the wide ones: just the search of the proposal, once."""
    root = Root(department)
    query = root.query(WIDE)
    entry = by_proposal(root, approved(root, query), query)
    department.front.door.tokens(department.desk.covered(entry), query, [department.clock.us // DAY_US])
    assert problems(department) == ()
