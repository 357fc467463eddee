"""Root at the desk holds the log's key, the credentials and the database, and looks up in others' names.

What it lacks is a person's key. The key service follows the log and refuses; `department verify` names the
entry. Each attack is made as well as root can make it: with real entries, sessions and signatures at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_root import PLATE, VICTIM, Root, access_of, problems
from desk_server import serving
from desk_twins import GROUND, PASSWORD, Department
from starlette.applications import Starlette

from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.commands.client import RemoteDesk
from sync.department.desk.api import routes
from sync.department.desk.inquiry import forms as inquiries
from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.desk.people.calls import CredentialForm, HandedOver
from sync.department.desk.people.keys import new_key
from sync.department.desk.sessions import digest_of
from sync.department.ground.person_key import read_token, secret_of
from sync.department.journal.change_entries import ChangeUsed
from sync.department.journal.entries import AccountSet, CredentialSet, Entry
from sync.department.journal.inquiry_entries import Query, SearchApproved, SearchProposed
from sync.department.journal.person_entries import PersonKeySet, SessionKeySet
from sync.department.journal.statements import sign_call
from sync.department.policy.refusals import DeskRefusal, NotProvenError, NotYetError
from sync.department.policy.roles import Role


def genuine(department: Department, user: str = VICTIM) -> tuple[str, Entry]:
    """A person's own search: (the token, its access entry)."""
    token = department.logon(user)
    form = RunForm(query=department.plate(PLATE), ground=GROUND)
    answer = department.call("inquiry/run", token, form)
    assert isinstance(answer, Answer)
    assert answer.count == 3
    return token, department.desk.log.entry(answer.access)


def unsigned(root: Root) -> int:
    return root.write(root.look_up(), root.stamp())


def in_an_open_session(root: Root) -> int:
    """The victim is logged on; root borrows the session's number."""
    token = root.department.logon(VICTIM)
    return root.write(root.look_up(), root.stamp(session=digest_of(token)))


def signed_by_own_key(root: Root) -> int:
    token = root.department.logon(VICTIM)
    return root.write(root.look_up(), root.stamp(session=digest_of(token)), root.statement(root.own))


def in_a_session_that_root_certified(root: Root) -> int:
    session = root.session(root.own, by=root.own)
    return root.write(root.look_up(), root.stamp(session=session), root.statement(root.own))


def by_a_replayed_signature(root: Root) -> int:
    """The victim searched a minute ago; root enters the same look-up once more."""
    _, entry = genuine(root.department)
    return root.write(entry.note, replace(root.stamp(session=entry.stamp.session)), entry.signed)


def by_a_replayed_signature_for_another_plate(root: Root) -> int:
    _, entry = genuine(root.department)
    return root.write(root.look_up("7ABC000"), root.stamp(session=entry.stamp.session), entry.signed)


def by_a_signature_of_another_call(root: Root) -> int:
    token = root.department.logon(VICTIM)
    given = read_token(token)
    assert given.key is not None
    at_us = root.stamp().at_us
    signed = sign_call(given.key, root.log.log_id, VICTIM, "inquiry/mine", NothingForm(), at_us)
    return root.write(root.look_up(), root.stamp(session=digest_of(token)), signed)


def in_another_persons_name(root: Root) -> int:
    """Root has an accomplice, who signs; the entry names the victim."""
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


def by_an_ended_sessions_certificate(root: Root) -> int:
    """The same, and root opens a new session with the certificate of the ended one."""
    token, _ = genuine(root.department)
    root.department.desk.logons.logoff(token)
    given = read_token(token)
    assert given.key is not None
    used = [one.note for one in root.log.entries(kinds=(SessionKeySet.KIND,)) if one.stamp.user == VICTIM][-1]
    assert isinstance(used, SessionKeySet)
    session = digest_of("root's own token")
    root.write(replace(used, session=session), root.stamp(session=session))
    return root.write(root.look_up(), root.stamp(session=session), root.statement(given.key))


def by_the_certificate_of_an_hour_ago(root: Root) -> int:
    token, _ = genuine(root.department)
    root.department.desk.logons.logoff(token)
    root.department.clock.step(90 * MINUTE_US)
    given = read_token(token)
    assert given.key is not None
    used = [one.note for one in root.log.entries(kinds=(SessionKeySet.KIND,)) if one.stamp.user == VICTIM][-1]
    assert isinstance(used, SessionKeySet)
    session = digest_of("root's own token")
    root.write(replace(used, session=session), root.stamp(session=session))
    return root.write(root.look_up(), root.stamp(session=session), root.statement(given.key))


def by_the_old_key_after_a_reset(root: Root) -> int:
    """Root knows the victim's old password; an administrator reset it."""
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


def by_a_key_that_root_set(root: Root) -> int:
    """Root enters a key of its own for the victim, who has one."""
    terms = root.department.desk.policy.security
    key, made = new_key(terms, root.log.log_id, VICTIM, "root's own password")
    root.write(made, root.stamp())
    session = root.session(root.own, by=key)
    return root.write(root.look_up(), root.stamp(session=session), root.statement(root.own))


def by_a_reset_that_root_wrote(root: Root) -> int:
    """The same, after a reset in the administrator's name."""
    root.write(CredentialSet(user=VICTIM, digest=bytes(32), first=True), root.stamp("chief"))
    return by_a_key_that_root_set(root)


def by_a_reset_of_the_system(root: Root) -> int:
    root.write(CredentialSet(user=VICTIM, digest=bytes(32), first=True), root.stamp("system"))
    return by_a_key_that_root_set(root)


def by_an_account_that_was_removed_and_made_again(root: Root) -> int:
    """Root removes the victim in the administrator's name, hires the victim again, and sets a key."""
    account = root.department.desk.book.roster.accounts[VICTIM]
    root.write(replace(account, active=False), root.stamp("chief"))
    root.write(account, root.stamp("chief"))
    return by_a_key_that_root_set(root)


def by_an_invented_administrator(root: Root) -> int:
    """Root makes an administrator, whose key then signs the victim's reset."""
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


ATTACKS: tuple[Callable[[Root], int], ...] = (
    unsigned,
    in_an_open_session,
    signed_by_own_key,
    in_a_session_that_root_certified,
    by_a_replayed_signature,
    by_a_replayed_signature_for_another_plate,
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
    by_an_administrator_alone,
    by_an_approval_of_another_reset,
    by_a_reset_that_two_people_made_before,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_a_look_up_in_another_persons_name_opens_nothing_and_verify_names_it(
    department: Department, attack: Callable[[Root], int]
) -> None:
    assert problems(department) == ()
    root = Root(department)
    entry = attack(root)
    plate = "7ABC000" if attack is by_a_replayed_signature_for_another_plate else PLATE
    plate = WIDE if attack.__name__.startswith("wide") else plate
    with pytest.raises(DeskRefusal) as refused:
        root.opens(entry, plate)
    assert refused.value.code == "unsigned"
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: ")]
    assert len(named) == 1
    assert f"in the name of {VICTIM}" in named[0]


def test_a_genuine_search_opens_and_verifies(department: Department) -> None:
    """The control of the table above: the same entry, made by the person, is taken."""
    token, entry = genuine(department)
    Root(department).opens(entry.sequence)
    assert problems(department) == ()
    department.desk.logons.logoff(token)
    Root(department).opens(entry.sequence)  # it stands for the hour, whatever became of the session
    department.clock.step(2 * HOUR_US)
    with pytest.raises(DeskRefusal) as refused:
        Root(department).opens(entry.sequence)
    assert refused.value.code == "old-cover"


def test_a_search_that_two_people_agreed_to_opens_by_its_number(department: Department) -> None:
    """The control of the wide ones: just the search of the proposal, once."""
    root = Root(department)
    query = root.query(WIDE)
    entry = by_proposal(root, approved(root, query), query)
    department.front.door.tokens(department.desk.covered(entry), query, [department.clock.us // DAY_US])
    assert problems(department) == ()


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
    assert door.follow(part) == log.size()  # what does not hold changed nothing


def test_the_sessions_key_never_goes_to_a_desk_elsewhere(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What root at the server sees of a command: no password, no key, a signature of this call alone."""
    sent: list[tuple[str, dict[str, str], bytes]] = []
    with serving(Starlette(routes=routes(department.front))) as server:
        department.clock.step(31_000_000)
        with RemoteDesk(str(server.base_url)) as desk:
            made = desk._client.post

            def noted(url: str, **values: Any) -> Any:
                answer = made(url, **values)
                sent.append((url, dict(values["headers"]), answer.request.content))
                return answer

            monkeypatch.setattr(desk._client, "post", noted)
            token = desk.logon("comm1", PASSWORD, department.code("comm1")).token
            answer = desk.call("inquiry/run", RunForm(query=department.plate(PLATE), ground=GROUND))
        assert answer.count == 3
        with RemoteDesk(str(server.base_url), token) as again:  # DEPARTMENT_TOKEN of the next command
            assert again.call("inquiry/run", RunForm(query=department.plate(PLATE), ground=GROUND)).count == 3
        seed = token.removeprefix(secret_of(token))
        assert len(seed) > 80
        for _, headers, body in sent:
            assert PASSWORD.encode() not in body
            assert seed[1:20] not in " ".join(headers.values())
        assert problems(department) == ()
        with RemoteDesk(str(server.base_url), secret_of(token)) as bare:  # what root sees opens nothing
            with pytest.raises(NotYetError) as refused:
                bare.call("inquiry/run", RunForm(query=department.plate(PLATE), ground=GROUND))
            assert refused.value.code == "unsigned"


def test_a_first_password_is_not_sent_unless_it_is_said_to_be_one(department: Department) -> None:
    """A server that answers no to every key does not get the password that way."""
    chief = department.logon("chief")
    given = department.two_hands("user/credential", chief, CredentialForm(user="comm1", reason="lost phone"))
    assert isinstance(given, HandedOver)
    from desk_twins import secret_of as totp_of

    department.secrets["comm1"] = (given.password, totp_of(given))
    app = Starlette(routes=routes(department.front))
    with serving(app) as server, RemoteDesk(str(server.base_url)) as desk:
        department.clock.step(31_000_000)
        with pytest.raises(NotProvenError):
            desk.logon("comm1", given.password, department.code("comm1"))
        department.clock.step(31_000_000)
        made = desk.logon("comm1", given.password, department.code("comm1"), send_password=True)
        assert made.must_change == "first-password"


def test_who_has_no_key_is_not_told_apart(department: Department) -> None:
    desk = department.desk
    first, again = desk.logons.begin("nobody-here"), desk.logons.begin("nobody-here")
    assert (first.salt, first.scheme) == (again.salt, again.scheme)
    assert desk.logons.begin("somebody-else").salt != first.salt
    assert desk.logons.begin("comm1").scheme == first.scheme
    assert len(desk.logons.begin("comm1").salt) == len(first.salt)


def test_an_account_from_before_there_were_keys_gets_one_at_its_logon(department: Department) -> None:
    """An older log has credentials and no keys: the first logon enters one, and the reviewer sees it."""
    desk = department.desk
    desk.book.signers.keys.clear()  # the state of a log that never had a key
    desk.book.signers.ever.clear()
    token = department.logon("comm1")
    note = desk.log.entry(desk.log.size() - 2).note
    assert isinstance(note, PersonKeySet)
    assert (note.user, note.proof) == ("comm1", b"")
    assert desk.book.signers.keys["comm1"] == note
    assert read_token(token).key is not None


def test_a_change_of_the_roster_is_signed_by_who_made_it(department: Department) -> None:
    chief = department.logon("chief")
    department.add_person(chief, "officer2", (Role.OFFICER,))
    entries = department.desk.log.entries(kinds=(AccountSet.KIND, CredentialSet.KIND))
    made = [one for one in entries if getattr(one.note, "user", "") == "officer2"]
    assert [bool(one.signed) for one in made] == [True, True, False]  # the last one: their own password
    assert problems(department) == ()
