"""Every call of the table as every role, untrained, with a locked session, a stolen token, without a
purpose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import CAD, COURSE, GROUND, PEOPLE, TOPICS, Department

from storage.grant_format import GrantRole
from storage.times import DAY_US, MINUTE_US
from sync.department.desk.audit import calls as audits
from sync.department.desk.audit import case_calls, event_calls
from sync.department.desk.changes import calls as changes
from sync.department.desk.documents import calls as documents
from sync.department.desk.glass import calls as glass
from sync.department.desk.grants import calls as grants
from sync.department.desk.grants import revoking
from sync.department.desk.holds import calls as holds
from sync.department.desk.incidents import calls as incidents
from sync.department.desk.inquiry import forms as inquiries
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people import bulk
from sync.department.desk.people import calls as people
from sync.department.desk.sharing import calls as shares
from sync.department.journal.entries import Ground, Refused
from sync.department.journal.sharing_entries import Scope
from sync.department.policy.refusals import DeskRefusal, LockedError, NotProvenError
from sync.department.policy.roles import CALLS, Role

Tokens = Callable[[str], str]
VENDOR_LINE = (
    Ed25519PrivateKey.generate()
    .public_key()
    .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    .decode()
)


def forms(department: Department) -> dict[str, Any]:
    """A well-formed form for each call."""
    query = department.plate("8XYZ123")
    scope = Scope(plates=("8XYZ123",), since_us=query.since_us, until_us=query.until_us, images=False)
    nothing = inquiries.NothingForm()
    return {
        "inquiry/request": inquiries.AskForm(query=query, ground=GROUND),
        "inquiry/queue": nothing,
        "inquiry/decline": inquiries.DeclineForm(request=0, reason="no"),
        "inquiry/propose": inquiries.ProposeForm(query=replace(query, plate="8XYZ*"), ground=GROUND),
        "inquiry/approve": inquiries.DecideForm(proposal=0, granted=True, reason="ok"),
        "inquiry/run": inquiries.RunForm(query=query, ground=GROUND),
        "inquiry/answer": inquiries.RequestForm(request=0),
        "inquiry/mine": nothing,
        "inquiry/dispute": inquiries.DisputeForm(entry=0, reason="not mine"),
        "inquiry/image": inquiries.ImageForm(read=department.reads[0], access=0, ground=GROUND),
        "inquiry/file": inquiries.FileForm(access=0, rms_number="RMS-1"),
        "inquiry/unfiled": nothing,
        "audit/read": audits.AuditForm(),
        "audit/run": audits.PeriodForm(),
        "audit/findings": nothing,
        "audit/close": audits.CloseForm(finding=0, verdict="misuse", note="one two three"),
        "share/record": shares.ShareForm(
            agency="Los Angeles County Sheriff's Department",
            agency_kind="law-enforcement",
            state="CA",
            person="Det. Ruiz",
            purpose="homicide",
            number="H-1",
            letter=b"please",
            letter_name="letter.pdf",
            scope=scope,
        ),
        "share/list": nothing,
        "share/letter": shares.RequestForm(request=0),
        "share/review": shares.ReviewForm(request=0, note="read it"),
        "share/decide": shares.DecisionForm(request=0, approved=True, note="yes"),
        "share/deliver": shares.DeliverForm(request=0, scope=scope, ground=GROUND),
        "hold/list": nothing,
        "hold/place": holds.HoldForm(
            reads=department.reads[:1],
            hold_ground="discovery",
            authority="Superior Court",
            number="26-001234",
            ground=GROUND,
        ),
        "hold/export": holds.ExportForm(hold=0, medium="USB 1", ground=GROUND),
        "hold/book": holds.BookForm(hold=0, evidence_item="E-26-1"),
        "hold/ask-release": holds.BookForm(hold=0, evidence_item="E-26-1"),
        "hold/release": holds.BookForm(hold=0, evidence_item="E-26-1"),
        "training/record": people.TrainingForm(
            user="comm1",
            trainer="super",
            course=COURSE,
            policy_version=2,
            topics=TOPICS,
            held_us=department.clock.us,
        ),
        "training/list": nothing,
        "user/set": people.AccountForm(
            user="new1", name="New", organisation="PD", roles=(Role.OFFICER,), reason="hired"
        ),
        "user/credential": people.CredentialForm(user="vendor1", reason="lost"),
        "user/import": bulk.ImportForm(
            people=(bulk.PersonLine(user="new2", name="New", roles=(Role.OFFICER,)),), reason="hired"
        ),
        "user/hand-over": people.HandoverForm(user="deputy", reason="new commander"),
        "user/lift-lockout": people.UserForm(user="vendor1", reason="called"),
        "user/password": people.PasswordForm(old="x" * 12, new="y" * 12),
        "training/record-class": people.ClassForm(
            users=("comm1",),
            trainer="super",
            course=COURSE,
            policy_version=2,
            topics=TOPICS,
            held_us=department.clock.us,
        ),
        "change/list": nothing,
        "change/approve": changes.DecideForm(proposal=0, granted=True, reason="known"),
        "document/sign": documents.SignForm(kind="configuration", body=b"a = 1", reason="new angle"),
        "audit/events": event_calls.EventsForm(),
        "audit/compare": case_calls.CompareForm(export=b"case_number\n26-001234\n"),
        "inquiry/requests": nothing,
        "inquiry/more": inquiries.PageForm(access=0, query=query, after="1:x"),
        "inquiry/estimate": inquiries.AskForm(query=query, ground=GROUND),
        "inquiry/answer-image": inquiries.AnswerImageForm(request=0, read=department.reads[0]),
        "inquiry/file-case": inquiries.FileCaseForm(number="26-001234", rms_number="RMS-26-77"),
        "inquiry/file-many": inquiries.FileManyForm(
            filings=(inquiries.Filing(access=0, rms_number="RMS-26-77"),)
        ),
        "inquiry/break-glass": glass.GlassForm(query=query, ground=CAD, danger="a child in the trunk"),
        "inquiry/judge": glass.JudgeForm(access=0, justified=True, reason="heard the call"),
        "inquiry/emergencies": nothing,
        "grant/issue": grants.GrantForm(
            person="vendor1",
            organisation="Maker",
            role=GrantRole.VENDOR,
            holder_key=VENDOR_LINE,
            purpose="repair",
            work_order="WO-1",
            units=("car-7",),
        ),
        "grant/enter": grants.SignedForm(bundle=b"none"),
        "grant/lend": grants.LendForm(designee="deputy", days=30),
        "grant/revoke": revoking.RevokeForm(names=("vendor1",), reason="left"),
        "grant/list": nothing,
        "incident/list": nothing,
        "incident/close": incidents.SettleForm(incident=0, finding="one two three"),
        "compliance/overdue": nothing,
        "policy/read": nothing,
    }


def test_every_call_of_the_table_has_a_form_here(department: Department) -> None:
    table = forms(department)
    assert set(table) == set(OPERATIONS)
    for name, form in table.items():
        assert type(form) is OPERATIONS[name].form


@pytest.mark.parametrize("user", sorted(PEOPLE))
def test_every_call_as_every_role(department: Department, user: str) -> None:
    """Whoever lacks the call is refused for his role, and the refusal is an entry; whoever has it is not."""
    policy = department.desk.policy
    roles = policy.effective_roles((PEOPLE[user],))
    token = department.logon(user)
    for name, form in forms(department).items():
        call = OPERATIONS[name].call
        allowed = any(call in policy.grants[role] for role in roles)
        size = department.desk.log.size()
        code = ""
        try:
            department.call(name, token, form)
        except DeskRefusal as refused:
            code = refused.code
        if allowed:
            assert code not in {"role", "untrained", "no-session"}, (user, name, code)
        else:
            assert code == "role", (user, name, code)
            notes = [entry.note for entry in department.desk.log.entries(size)]
            assert notes == [Refused(call=call.value, code="role", clause=CALLS[call].clause)]
    assert user != "vendor1" or not any(
        CALLS[one].touches_data for role in roles for one in policy.grants[role]
    )


def test_every_data_call_without_current_training(department: Department) -> None:
    """A year later nobody's training is current: not one call that touches data is answered."""
    department.clock.step(300 * DAY_US)
    for user in PEOPLE:
        department.renew_password(user)
    department.clock.step(66 * DAY_US)
    table = forms(department)
    for user, role in PEOPLE.items():
        token = department.logon(user)
        roles = department.desk.policy.effective_roles((role,))
        for name, form in table.items():
            call = OPERATIONS[name].call
            if CALLS[call].touches_data and any(call in department.desk.policy.grants[one] for one in roles):
                with pytest.raises(DeskRefusal) as refused:
                    department.call(name, token, form)
                over = {"role"} if role is Role.DESIGNEE else set()  # a designation ends after a year too
                assert refused.value.code in {"training-expired", "untrained"} | over, (user, name)


def test_every_call_with_a_locked_session_a_stolen_or_no_token(department: Department) -> None:
    table = forms(department)
    locked, ended = department.logon("super"), department.logon("comm1")
    department.desk.logoff(ended)
    department.clock.step(31 * MINUTE_US)
    for name, form in table.items():
        with pytest.raises(LockedError):
            department.call(name, locked, form)
        for token in ("", "x", ended, locked + "x", locked.swapcase()):
            with pytest.raises(NotProvenError):
                department.call(name, token, form)


def test_every_call_that_opens_content_without_purpose_or_number(
    department: Department, tokens: Tokens
) -> None:
    missing: list[tuple[Ground, set[str]]] = [
        (replace(GROUND, purpose=""), {"purpose"}),
        (replace(GROUND, number=""), {"number"}),
        (replace(GROUND, justification=""), {"justification"}),
        (replace(GROUND, basis=""), {"basis"}),
    ]
    asked = 0
    for name, form in forms(department).items():
        if "ground" not in {one.name for one in dataclasses.fields(form)}:
            continue
        user = "officer1" if name == "inquiry/request" else "super"
        for ground, codes in missing:
            with pytest.raises(DeskRefusal) as refused:
                department.call(name, tokens(user), replace(form, ground=ground))
            early = {"no-request", "no-hold"}  # what does not exist is refused before what is missing
            assert refused.value.code in codes | early, name
            asked += 1
    assert asked == 36


def test_a_refusal_never_shows_a_plate(department: Department, tokens: Tokens) -> None:
    for name, form in forms(department).items():
        for user in ("vendor1", "officer1", "super"):
            said = ""
            try:
                department.call(name, tokens(user), form)
            except DeskRefusal as refused:
                said = str(refused) + repr(refused)
            assert "8XYZ" not in said, name
    assert "8XYZ" not in repr(forms(department))
