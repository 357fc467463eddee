"""Root uses what an accomplice signed for an entry that the signature does not fit.

Each attack has a genuine signature and an entry that says something else; `department verify` names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_root import Root, account_form, problems
from desk_root import access_of as search_of
from desk_twins import CAD, COURSE, GROUND, TOPICS, Department
from forged_notes import NO_QUERY, READ, grant, known, signed_document, training
from passkey_attacks import encoded_otherwise, registered
from update_twin import update_file

from storage.grant_format import GrantRole
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, HOUR_US, SECOND_US
from sync.department.desk.alerts.opening import access_of
from sync.department.desk.audit.calls import AuditCloseForm
from sync.department.desk.break_glass.calls import GlassForm, JudgeForm
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.documents.calls import SignForm
from sync.department.desk.documents.lists import ListForm
from sync.department.desk.grants.calls import GrantForm
from sync.department.desk.holds.calls import BookForm
from sync.department.desk.incidents.calls import SettleForm
from sync.department.desk.inquiry.forms import Answer, AskForm, DisputeForm, NothingForm
from sync.department.desk.people.calls import HandoverForm
from sync.department.desk.people.passkeys import PasskeyForm
from sync.department.desk.people.training_calls import TrainingForm
from sync.department.desk.sessions import digest_of
from sync.department.ground.person_key import read_token
from sync.department.journal.change_entries import (
    ChangeProposed,
    DesignationSet,
    DocumentSigned,
    GlassBroken,
    GlassJudged,
)
from sync.department.journal.entries import (
    PROOFS_OF_ONE,
    AccessLogOpened,
    AccountSet,
    CredentialSet,
    Disputed,
    FindingClosed,
)
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.hold_entries import HoldBooked, HoldReleased, ReleaseAsked
from sync.department.journal.inquiry_entries import InquiryAsked
from sync.department.journal.office_entries import IncidentSettled
from sync.department.journal.passkeys import PasskeySet
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.statements import form_fields, proposal_digest, sign_call
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.roles import Role

CONFIGURED, ALONE = b"[camera]\nexposure_us = 60\n", "because I can"
KEY = SshPublicKey.of(Ed25519PrivateKey.from_private_bytes(bytes(32))).line


def by_an_officer_for_a_colleague(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """An officer, who may not record training, signs one for another person."""
    note = training("disp1", root.stamp().at_us)
    form = TrainingForm(
        user="disp1", trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=note.held_us
    )
    return note, root.signed("officer1", "training/record", form)


def by_the_trainer_for_himself(root: Root) -> tuple[Note, tuple[object, bytes]]:
    note = training("super", root.stamp().at_us)
    form = TrainingForm(
        user="super", trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=note.held_us
    )
    return note, root.signed("super", "training/record", form)


def a_training_turned_to_another_person(root: Root) -> tuple[Note, tuple[object, bytes]]:
    form = TrainingForm(
        user="comm1", trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=7
    )
    return training("disp1", 7), root.signed("super", "training/record", form)


def a_training_dated_later(root: Root) -> tuple[Note, tuple[object, bytes]]:
    form = TrainingForm(
        user="disp1", trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=7
    )
    return training("disp1", 8), root.signed("super", "training/record", form)


def an_update_by_one_person(root: Root) -> tuple[Note, tuple[object, bytes]]:
    body = b"firmware" * 400  # long, so the statement has its digest
    form = SignForm(kind="update", name="9.9", body=body, reason="because I can")
    note = replace(signed_document(), digest=hashlib.sha256(body).digest(), size=len(body))
    return note, root.signed("super", "document/sign", form)


def configured(root: Root, approval: int = -1) -> tuple[Note, tuple[object, bytes]]:
    form = SignForm(kind="configuration", body=CONFIGURED, reason=ALONE, approval=approval)
    digest = hashlib.sha256(CONFIGURED).digest()
    note = replace(signed_document("configuration"), digest=digest, size=len(CONFIGURED))
    return note, root.signed("super", "document/sign", form)


def a_configuration_by_one_person(root: Root) -> tuple[Note, tuple[object, bytes]]:
    return configured(root)


def an_update_under_an_approval_that_nobody_gave(root: Root) -> tuple[Note, tuple[object, bytes]]:
    body = b"firmware"
    form = SignForm(kind="update", name="9.9", body=body, reason="because I can", approval=5)
    note = replace(signed_document(), digest=hashlib.sha256(body).digest(), size=len(body))
    return note, root.signed("super", "document/sign", form)


def another_update_than_the_one_approved(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """Two people approve an update; root lists another body under their approval."""
    department = root.department
    form = SignForm(kind="update", name="9.9", body=update_file(), reason="a fix of the clock")
    department.two_hands("document/sign", department.logon("super"), form, second="chief")
    entry = list(root.log.entries(kinds=(DocumentSigned.KIND,)))[-1]
    assert isinstance(entry.note, DocumentSigned)
    bad = replace(entry.note, digest=hashlib.sha256(b"bad" * 500).digest())
    return bad, (replace(entry.stamp, at_us=root.stamp().at_us), entry.signed)


def a_hot_list_by_one_person(root: Root) -> tuple[Note, tuple[object, bytes]]:
    body = b"list"
    form = ListForm(
        list_id="doj", layout="ncic", body=body, issuer="DOJ", source="SVS", reason="daily extract"
    )
    note = replace(signed_document("hotlist/doj"), digest=hashlib.sha256(body).digest())
    return note, root.signed("super", "hotlist/push", form)


VENDOR_GRANT = GrantForm(
    person="vendor1",
    organisation="ACME",
    role=GrantRole.VENDOR,
    holder_key="ssh-ed25519 x",
    purpose="repair: camera",
    work_order="W-1",
    units=("unit",),
)


def a_grant_by_no_administrator(root: Root) -> tuple[Note, tuple[object, bytes]]:
    return grant(), root.signed("officer1", "grant/issue", VENDOR_GRANT)


def a_grant_for_another_person(root: Root) -> tuple[Note, tuple[object, bytes]]:
    return grant("pup"), root.signed("chief", "grant/issue", VENDOR_GRANT)


def a_release_that_nobody_else_asked_for(root: Root) -> tuple[Note, tuple[object, bytes]]:
    note = HoldReleased(hold=1, access=1, evidence_item="E-1", asked_by="chief")
    return note, root.signed("super", "hold/release", BookForm(hold=1, evidence_item="E-1"))


def ones_own_emergency_judged(root: Root) -> tuple[Note, tuple[object, bytes]]:
    department = root.department
    form = GlassForm(
        query=replace(department.plate("8XYZ*"), since_us=department.clock.us - HOUR_US),
        ground=replace(GROUND, number_kind="cad", number="CAD-2611-0042"),
        danger="child in the car",
    )
    answer = department.call("inquiry/break-glass", department.logon("super"), form)
    assert isinstance(answer, Answer)
    judge = JudgeForm(access=answer.access, justified=True, reason="I was right to do it")
    note = GlassJudged(access=answer.access, justified=True, reason=judge.reason)
    return note, root.signed("super", "inquiry/judge", judge)


def a_verdict_turned(root: Root) -> tuple[Note, tuple[object, bytes]]:
    form = AuditCloseForm(finding=1, verdict="misuse", note="searched his neighbor twice")
    note = FindingClosed(finding=1, verdict="justified", note=form.note)
    return note, root.signed("reviewer1", "audit/close", form)


def an_alert_that_the_look_did_not_open(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """An accomplice lists the alerts; root adds one that no unit raised."""
    stamp, signed = root.signed("disp1", "alert/list", NothingForm())
    root.write(access_of("alert", "alerts that units raised", ("11" * 32 + "/9",)), stamp, signed)
    return known(), (stamp, signed)


def an_alert_of_a_read_in_another_log(root: Root) -> tuple[Note, tuple[object, bytes]]:
    stamp, signed = root.signed("disp1", "alert/list", NothingForm())
    root.write(access_of("alert", "alerts that units raised", ("11" * 32 + "/3",)), stamp, signed)
    return known(read=READ), (stamp, signed)


def set_officer(root: Root) -> tuple[AccountSet, tuple[Stamp, bytes]]:
    """The administrator signs a change of an officer's account. Returns what the desk would enter."""
    known = root.department.desk.book.roster.accounts["officer1"]
    stamp, signed = root.signed("chief", "user/set", account_form(known))
    return replace(known, reason="as discussed"), (stamp, signed)


def an_account_with_a_role_more(root: Root) -> tuple[Note, tuple[object, bytes]]:
    note, by = set_officer(root)
    return replace(note, roles=(*note.roles, Role.REVIEWER)), by


def an_account_with_roots_ssh_key(root: Root) -> tuple[Note, tuple[object, bytes]]:
    note, by = set_officer(root)
    return replace(note, ssh_keys=(b"root's own",)), by


def an_account_removed_by_a_change(root: Root) -> tuple[Note, tuple[object, bytes]]:
    note, by = set_officer(root)
    return replace(note, active=False), by


def changed(root: Root, user: str, **changes: Any) -> tuple[AccountSet, tuple[Stamp, bytes]]:
    """The administrator alone signs a change of an account. Returns what the desk would enter."""
    known = root.department.desk.book.roster.accounts[user]
    form = account_form(known, **changes)
    blobs = tuple(SshPublicKey.from_line(one).blob for one in form.ssh_keys)
    note = replace(known, name=form.name, reason=form.reason, ssh_keys=blobs)
    return note, root.signed("chief", "user/set", form)


def an_account_that_gets_another_person(root: Root) -> tuple[Note, tuple[object, bytes]]:
    return changed(root, "comm1", name="Somebody Else")


def an_account_that_searches_with_a_key_by_one_person(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """The holder of the key is that person at every unit."""
    return changed(root, "comm1", ssh_keys=(KEY,))


def an_account_with_the_key_of_another(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """The key's holder would be two people in a car."""
    department = root.department
    form = account_form(department.desk.book.roster.accounts["officer1"], ssh_keys=(KEY,))
    department.call("user/set", department.logon("chief"), form)  # an officer's account needs only one person
    return changed(root, "vendor1", ssh_keys=(KEY,))


def a_passkey_of_another(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """The authenticator's holder would be two people at the desk."""
    twin = registered(root.department, "super")
    form = PasskeyForm(name="key ring", response=twin.create('{"rp": {"id": "a"}, "challenge": ""}'))
    (known,) = root.department.desk.book.signers.passkeys["super"]
    return replace(known, user="comm1"), root.signed("comm1", "user/passkey", form)


def a_passkey_of_another_under_another_id(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """The id is only a number beside the key, and a session's certificate does not sign it."""
    note, by = a_passkey_of_another(root)
    assert isinstance(note, PasskeySet)
    return replace(note, credential_id=note.credential_id[:-1]), by


def a_passkey_of_another_in_another_encoding(root: Root) -> tuple[Note, tuple[object, bytes]]:
    note, _by = a_passkey_of_another(root)
    assert isinstance(note, PasskeySet)
    made, form = encoded_otherwise(note)
    return made, root.signed("comm1", "user/passkey", form)


def a_proposal_that_hides_its_key(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """The second person believes that they approve a new shift."""
    known = root.department.desk.book.roster.accounts["comm1"]
    form = account_form(known, ssh_keys=(KEY,), propose=True)
    digest = proposal_digest("user/set", form_fields(form))
    words = f"comm1, {known.name}: communications; {form.reason}"
    note = ChangeProposed(call="user/set", about="comm1", digest=digest, summary=words)
    return note, root.signed("chief", "user/set", form)


def a_configuration_that_another_person_proposed(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """The second person agreed that the designee would send it."""
    department, form = root.department, SignForm(kind="configuration", body=CONFIGURED, reason=ALONE)
    proposed = department.call("document/sign", department.logon("deputy"), replace(form, propose=True))
    number = proposed.proposal  # type: ignore[attr-defined]
    yes = DecideForm(proposal=number, granted=True, reason="known to me")
    department.call("change/approve", department.logon("chief"), yes)
    return configured(root, number)


def a_booking_of_what_was_never_exported(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """Two people would release the hold because it seems to be in evidence."""
    hold = root.department.held(root.department.logon("super"))
    form = BookForm(hold=hold, evidence_item="E-1")
    return HoldBooked(hold=hold, evidence_item="E-1"), root.signed("super", "hold/book", form)


def an_office_handed_over_with_more(root: Root) -> tuple[Note, tuple[object, bytes]]:
    known = root.department.desk.book.roster.accounts["super"]
    by = root.signed("chief", "user/hand-over", HandoverForm(user="super", reason="retires"))
    return replace(known, roles=(*known.roles, Role.ADMINISTRATOR, Role.DISPATCHER), reason="retires"), by


def a_designation_that_does_not_end(root: Root) -> tuple[Note, tuple[object, bytes]]:
    known = root.department.desk.book.roster.accounts["deputy"]
    form = account_form(known, ends_us=root.stamp().at_us + DAY_US)
    return DesignationSet(user="deputy", ends_us=1 << 60), root.signed("chief", "user/set", form)


def a_training_by_the_wrong_office(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """The administrator may enter only the supervisor's training."""
    note = training("disp1", root.stamp().at_us)
    form = TrainingForm(
        user="disp1", trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=note.held_us
    )
    return note, root.signed("chief", "training/record", form)


def a_training_of_next_year(root: Root) -> tuple[Note, tuple[object, bytes]]:
    note = training("disp1", root.stamp().at_us + 400 * DAY_US)
    form = TrainingForm(
        user="disp1", trainer="super", course=COURSE, policy_version=1, topics=TOPICS, held_us=note.held_us
    )
    return note, root.signed("super", "training/record", form)


def an_incident_closed_by_one(root: Root) -> tuple[Note, tuple[object, bytes]]:
    form = SettleForm(incident=1, kind="fork", unit="u", opened_us=1, finding="a copied card")
    note = IncidentSettled(incident=1, kind="fork", unit="u", opened_us=1, finding=form.finding, second=True)
    return note, root.signed("super", "incident/close", form)


def an_own_emergency_put_elsewhere(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """The decision on an emergency names a search that was not one."""
    form = GlassForm(query=root.query("8XYZ*"), ground=GROUND, danger="child in the car")
    note = GlassBroken(access=3, danger=form.danger, due_us=1 << 60)
    return note, root.signed("disp1", "inquiry/break-glass", form)


def a_request_for_another_plate(root: Root) -> tuple[Note, tuple[object, bytes]]:
    form = AskForm(query=root.query(), ground=GROUND)
    return InquiryAsked(query=NO_QUERY, ground=GROUND), root.signed("officer1", "inquiry/request", form)


def in_a_session_that_is_locked(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """The person is at lunch; root has the session's key from the browser."""
    department = root.department
    token = department.logon("super")
    department.desk.logons.logoff(token, lock=True)
    department.clock.step(SECOND_US)
    key, stamp = read_token(token).key, root.stamp("super", digest_of(token))
    assert key is not None
    form = DisputeForm(entry=3, reason="it was another person")
    signed = sign_call(key, root.log.log_id, "super", "inquiry/dispute", form, stamp.at_us)
    return Disputed(entry=3, reason=form.reason), (stamp, signed)


def with_a_password_that_expired(root: Root) -> tuple[Note, tuple[object, bytes]]:
    root.department.clock.step(366 * DAY_US)
    form = DisputeForm(entry=3, reason="it was another person")
    return Disputed(entry=3, reason=form.reason), root.signed("super", "inquiry/dispute", form)


def an_own_password_that_makes_no_key(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """Root sets a person's password as if the person did."""
    return CredentialSet(user="super", digest=bytes(32), first=False), (root.stamp("super"), b"")


def an_own_first_password(root: Root) -> tuple[Note, tuple[object, bytes]]:
    return CredentialSet(user="super", digest=bytes(32), first=True), (root.stamp("super"), b"")


def a_training_after_a_second_opening_of_the_log(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """Root opens the log again as if it were an older one, in which nothing had to be signed."""
    opened = root.log.entry(0)
    assert isinstance(opened.note, AccessLogOpened)
    number = root.write(replace(opened.note, signs=0), replace(opened.stamp, at_us=root.stamp().at_us))
    (found,) = problems(root.department)
    assert found == f"entry {number}: log_opened in the name of system: only the first entry opens a log"
    return training("disp1", root.stamp().at_us), (root.stamp("super"), b"")


def an_emergency_due_in_a_thousand_years(root: Root) -> tuple[Note, tuple[object, bytes]]:
    query = root.query("8XYZ*")
    query = replace(query, since_us=root.department.clock.us - HOUR_US)
    form = GlassForm(query=query, ground=CAD, danger="child in the car")
    stamp, signed = root.signed("disp1", "inquiry/break-glass", form)
    access = root.write(replace(search_of(query), ground=CAD), stamp, signed)
    return GlassBroken(access=access, danger=form.danger, due_us=1 << 60), (stamp, signed)


def an_emergency_judged_ahead(root: Root) -> tuple[Note, tuple[object, bytes]]:
    """A second person is shown a search that is not in the log yet."""
    form = JudgeForm(access=root.log.size() + 10, justified=True, reason="known to me")
    note = GlassJudged(access=form.access, justified=True, reason=form.reason)
    return note, root.signed("super", "inquiry/judge", form)


def a_release_asked_ahead(root: Root) -> tuple[Note, tuple[object, bytes]]:
    form = BookForm(hold=root.log.size() + 10, evidence_item="E-1")
    return ReleaseAsked(hold=form.hold, evidence_item="E-1"), root.signed("super", "hold/ask-release", form)


TURNED = (
    an_emergency_judged_ahead,
    a_release_asked_ahead,
    a_training_after_a_second_opening_of_the_log,
    an_emergency_due_in_a_thousand_years,
    an_account_with_a_role_more,
    an_account_with_roots_ssh_key,
    an_account_removed_by_a_change,
    an_account_that_gets_another_person,
    an_account_that_searches_with_a_key_by_one_person,
    an_account_with_the_key_of_another,
    a_passkey_of_another,
    a_passkey_of_another_under_another_id,
    a_passkey_of_another_in_another_encoding,
    a_proposal_that_hides_its_key,
    a_configuration_that_another_person_proposed,
    a_booking_of_what_was_never_exported,
    an_office_handed_over_with_more,
    a_designation_that_does_not_end,
    a_training_by_the_wrong_office,
    a_training_of_next_year,
    an_incident_closed_by_one,
    an_own_emergency_put_elsewhere,
    a_request_for_another_plate,
    in_a_session_that_is_locked,
    with_a_password_that_expired,
    an_own_password_that_makes_no_key,
    an_own_first_password,
    by_an_officer_for_a_colleague,
    by_the_trainer_for_himself,
    a_training_turned_to_another_person,
    a_training_dated_later,
    an_update_by_one_person,
    a_configuration_by_one_person,
    an_update_under_an_approval_that_nobody_gave,
    another_update_than_the_one_approved,
    a_hot_list_by_one_person,
    a_grant_by_no_administrator,
    a_grant_for_another_person,
    a_release_that_nobody_else_asked_for,
    ones_own_emergency_judged,
    a_verdict_turned,
    an_alert_that_the_look_did_not_open,
    an_alert_of_a_read_in_another_log,
)


@pytest.mark.parametrize("attack", TURNED, ids=lambda one: one.__name__)
def test_an_accomplices_signature_proves_no_more_than_it_says(
    department: Department, attack: Callable[[Root], tuple[Note, tuple[object, bytes]]]
) -> None:
    root = Root(department)
    note, (stamp, signed) = attack(root)
    entry = root.write(note, stamp, signed)  # type: ignore[arg-type]
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: {note.KIND}")]
    assert len(named) == 1, problems(department)
    department.desk.refresh()
    known = department.desk.book.roster
    if isinstance(note, AccountSet):
        assert known.accounts[note.user] != note  # and no unit receives it
    elif isinstance(note, CredentialSet) and note.first:
        assert known.credentials[note.user] != note


def test_in_an_older_log_one_person_configured_units_until_two_did(department: Department) -> None:
    """What was signed before the rule stays valid, and nothing can leave the rule again."""
    root = Root(department)

    def alone() -> int:
        note, (stamp, signed) = configured(root)
        assert isinstance(stamp, Stamp)
        return root.write(note, stamp, signed)

    before, form = alone(), SignForm(kind="configuration", body=b"a = 1", reason="a better lens")
    department.two_hands("document/sign", department.logon("super"), form, second="chief")
    after = alone()
    entries = list(root.log.entries())
    assert isinstance(entries[0].note, AccessLogOpened)
    entries[0] = replace(entries[0], note=replace(entries[0].note, signs=PROOFS_OF_ONE))
    older, refused = SignedLog(), []
    for entry in entries:
        try:
            older.judge(entry)
        except UnsignedError:
            refused.append(entry.sequence)
    assert refused == [after]
    named = [f"entry {one}: " for one in (before, after)]
    assert all(any(each.startswith(one) for each in problems(department)) for one in named)
