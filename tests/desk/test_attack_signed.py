"""Root at the desk has the log's key, the credentials and the database, and makes lookups in others' names.

Root lacks a person's key. The key service follows the log and refuses; `department verify` names the entry.
Each attack is as good as root can make it, using all real entries, sessions and signatures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_root import PLATE, VICTIM, Root, by_a_key_that_root_set, demand_named, problems
from desk_twins import GROUND, PASSWORD, Department

from storage.times import HOUR_US, MINUTE_US
from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.desk.people.calls import CredentialForm, HandedOver
from sync.department.desk.people.keys import new_key
from sync.department.desk.sessions import digest_of
from sync.department.ground.person_key import read_token
from sync.department.journal.entries import CredentialSet, Entry
from sync.department.journal.person_entries import SessionKeySet
from sync.department.journal.statements import sign_call
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role


def genuine(department: Department, user: str = VICTIM) -> tuple[str, Entry]:
    """Make a genuine search. Returns (the session's token, the access entry)."""
    token = department.logon(user)
    form = RunForm(query=department.plate(PLATE), ground=GROUND)
    answer = department.call("inquiry/run", token, form)
    assert isinstance(answer, Answer)
    assert answer.count == 3
    return token, department.desk.log.entry(answer.access)


def unsigned(root: Root) -> int:
    return root.write(root.look_up(), root.stamp())


def in_an_open_session(root: Root) -> int:
    """The victim is logged in; root uses the session's number."""
    token = root.department.logon(VICTIM)
    return root.write(root.look_up(), root.stamp(session=digest_of(token)))


def signed_by_own_key(root: Root) -> int:
    token = root.department.logon(VICTIM)
    return root.write(root.look_up(), root.stamp(session=digest_of(token)), root.statement(root.own))


def in_a_session_that_root_certified(root: Root) -> int:
    session = root.session(root.own, by=root.own)
    return root.write(root.look_up(), root.stamp(session=session), root.statement(root.own))


def by_a_replayed_signature(root: Root) -> int:
    """The victim searched a minute ago; root enters the same lookup again."""
    _, entry = genuine(root.department)
    return root.write(entry.note, replace(root.stamp(session=entry.stamp.session)), entry.signed)


def by_a_replayed_signature_for_another_plate(root: Root) -> int:
    _, entry = genuine(root.department)
    return root.write(root.look_up("7ABC000"), root.stamp(session=entry.stamp.session), entry.signed)


def in_the_name_of_a_colleague_who_did_not_ask(root: Root) -> int:
    """The victim's search, as if another person had requested it."""
    stamp, signed = root.signed(VICTIM, "inquiry/run", RunForm(query=root.query(), ground=GROUND))
    return root.write(replace(root.look_up(), on_behalf_of="officer1"), stamp, signed)


def by_a_signature_of_another_call(root: Root) -> int:
    token = root.department.logon(VICTIM)
    given = read_token(token)
    assert given.key is not None
    at_us = root.stamp().at_us
    signed = sign_call(given.key, root.log.log_id, VICTIM, "inquiry/mine", NothingForm(), at_us)
    return root.write(root.look_up(), root.stamp(session=digest_of(token)), signed)


def in_another_persons_name(root: Root) -> int:
    """An accomplice signs; the entry names the victim."""
    token = root.department.logon("disp1")
    given = read_token(token)
    assert given.key is not None
    signed = root.statement(given.key)
    return root.write(root.look_up(), root.stamp(session=digest_of(token)), signed)


def by_the_key_of_an_ended_session(root: Root) -> int:
    """Root kept the session's key from the server's memory."""
    token, entry = genuine(root.department)
    root.department.desk.logons.logoff(token)
    given = read_token(token)
    assert given.key is not None
    return root.write(root.look_up(), root.stamp(session=entry.stamp.session), root.statement(given.key))


def by_an_ended_sessions_certificate(root: Root, later_us: int = 0) -> int:
    """The same, and root opens a new session with the certificate of the ended one."""
    token, _ = genuine(root.department)
    root.department.desk.logons.logoff(token)
    root.department.clock.step(later_us)
    given = read_token(token)
    assert given.key is not None
    used = [one.note for one in root.log.entries(kinds=(SessionKeySet.KIND,)) if one.stamp.user == VICTIM][-1]
    assert isinstance(used, SessionKeySet)
    session = digest_of("root's own token")
    root.write(replace(used, session=session), root.stamp(session=session))
    return root.write(root.look_up(), root.stamp(session=session), root.statement(given.key))


def by_the_certificate_of_an_hour_ago(root: Root) -> int:
    return by_an_ended_sessions_certificate(root, 90 * MINUTE_US)


def by_the_old_key_after_a_reset(root: Root) -> int:
    """Root knows the victim's old password, which an administrator has reset."""
    department = root.department
    known = department.desk.book.signers.keys[VICTIM]
    from sync.department.ground.person_key import derive_key

    old = derive_key(PASSWORD, known.salt, known.scheme, department=root.log.log_id, user=VICTIM)
    chief = department.logon("chief")
    form = CredentialForm(user=VICTIM, reason="the password leaked")
    given = department.two_hands("user/credential", chief, form)
    assert isinstance(given, HandedOver)
    session = root.session(root.own, by=old)
    return root.write(root.look_up(), root.stamp(session=session), root.statement(root.own))


def by_a_reset_that_root_wrote(root: Root) -> int:
    """The same, after a reset in the administrator's name."""
    root.write(CredentialSet(user=VICTIM, digest=bytes(32), first=True), root.stamp("chief"))
    return by_a_key_that_root_set(root)


def by_a_reset_of_the_system(root: Root) -> int:
    root.write(CredentialSet(user=VICTIM, digest=bytes(32), first=True), root.stamp("system"))
    return by_a_key_that_root_set(root)


def by_an_account_that_was_removed_and_made_again(root: Root) -> int:
    """In the administrator's name, root removes the victim's account, makes it again, and sets a key."""
    account = root.department.desk.book.roster.accounts[VICTIM]
    root.write(replace(account, active=False), root.stamp("chief"))
    root.write(account, root.stamp("chief"))
    return by_a_key_that_root_set(root)


def by_an_invented_administrator(root: Root) -> int:
    """Root invents an administrator, whose key then signs the victim's reset."""
    department = root.department
    known = department.desk.book.roster.accounts["chief"]
    invented = replace(known, user="pup", name="Pup", roles=(Role.ADMINISTRATOR,))
    root.write(invented, root.stamp("chief"))
    terms = department.desk.policy.security
    key, made = new_key(terms, root.log.log_id, "pup", "root's own password")
    root.write(made, root.stamp("pup"))
    session = root.session(root.own, by=key, user="pup")
    form = CredentialForm(user=VICTIM, reason="because")
    signed = sign_call(root.own, root.log.log_id, "pup", "user/credential", form, root.stamp().at_us)
    root.write(CredentialSet(user=VICTIM, digest=bytes(32), first=True), root.stamp("pup", session), signed)
    return by_a_key_that_root_set(root)


ATTACKS: tuple[Callable[[Root], int], ...] = (
    unsigned,
    in_an_open_session,
    signed_by_own_key,
    in_a_session_that_root_certified,
    by_a_replayed_signature,
    by_a_replayed_signature_for_another_plate,
    in_the_name_of_a_colleague_who_did_not_ask,
    by_a_signature_of_another_call,
    in_another_persons_name,
    by_the_key_of_an_ended_session,
    by_an_ended_sessions_certificate,
    by_the_certificate_of_an_hour_ago,
    by_the_old_key_after_a_reset,
    by_a_key_that_root_set,
    by_a_reset_that_root_wrote,
    by_a_reset_of_the_system,
    by_an_account_that_was_removed_and_made_again,
    by_an_invented_administrator,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_a_look_up_in_another_persons_name_opens_nothing_and_verify_names_it(
    department: Department, attack: Callable[[Root], int]
) -> None:
    plate = "7ABC000" if attack is by_a_replayed_signature_for_another_plate else PLATE
    demand_named(department, attack, plate)


def test_a_genuine_search_opens_and_verifies(department: Department) -> None:
    """The control for the table above: the same entry, made by the person, is accepted."""
    token, entry = genuine(department)
    Root(department).opens(entry.sequence)
    assert problems(department) == ()
    department.desk.logons.logoff(token)
    Root(department).opens(entry.sequence)  # valid for an hour, even if the session has ended
    department.clock.step(2 * HOUR_US)
    with pytest.raises(DeskRefusal) as refused:
        Root(department).opens(entry.sequence)
    assert refused.value.code == "old-cover"


def test_leaves_that_are_left_out_are_not_followed(department: Department) -> None:
    """Root leaves something out of what the key service follows."""
    genuine(department)
    log, door = department.desk.log, department.front.door
    start = log.size()
    assert door.follow(log.part(start - 20, start)) == start
    department.logon("disp1")
    part = log.part(start, log.size())
    for cut in (
        replace(part, openings=part.openings[1:]),
        replace(part, leaves=part.leaves[1:]),
        replace(part, leaves=(*part.leaves[:1], *part.leaves[2:])),
        replace(part, openings=(replace(part.openings[0], content=b"\xa0"), *part.openings[1:])),
        replace(part, checkpoint=log.signed_head(start)),
    ):
        with pytest.raises(DeskRefusal) as refused:
            door.follow(cut)
        assert refused.value.code in {"forked", "cover"}
    assert door.follow(part) == log.size()  # what failed changed nothing
