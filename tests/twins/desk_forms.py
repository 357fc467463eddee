"""A well-formed form for every call in the desk's table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import CAD, COURSE, GROUND, HOLD, TOPICS, Department

from storage.alert_life import Fit, Outcome
from storage.grant_format import GrantRole
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US
from sync.department.desk import due
from sync.department.desk.alerts import calls as alerts
from sync.department.desk.audit import calls as audits
from sync.department.desk.audit import case_calls, event_calls, number_calls
from sync.department.desk.break_glass import calls as glass
from sync.department.desk.changes import calls as changes
from sync.department.desk.documents import calls as documents
from sync.department.desk.documents import lists, local, sources
from sync.department.desk.grants import calls as grants
from sync.department.desk.grants import revoking
from sync.department.desk.holds import calls as holds
from sync.department.desk.incidents import calls as incidents
from sync.department.desk.inquiry import forms as inquiries
from sync.department.desk.machine import calls as machine
from sync.department.desk.machine import unit_calls
from sync.department.desk.machine.restored import RestoreForm
from sync.department.desk.people import bulk, passkeys, training_calls
from sync.department.desk.people import calls as people
from sync.department.desk.redress import calls as redress
from sync.department.desk.sharing import calls as shares
from sync.department.journal.sharing_entries import Scope
from sync.department.policy.roles import Role

VENDOR_LINE = SshPublicKey.of(Ed25519PrivateKey.generate()).line


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
        "inquiry/approve": inquiries.InquiryDecideForm(proposal=0, granted=True, reason="ok"),
        "inquiry/run": inquiries.RunForm(query=query, ground=GROUND),
        "inquiry/begin": inquiries.RunForm(query=replace(query, plate="8XYZ*"), ground=GROUND),
        "inquiry/step": inquiries.StepForm(access=0, query=replace(query, plate="8XYZ*")),
        "inquiry/stop": inquiries.StopForm(access=0),
        "inquiry/answer": inquiries.RequestForm(request=0),
        "inquiry/mine": nothing,
        "inquiry/dispute": inquiries.DisputeForm(entry=0, reason="not mine"),
        "inquiry/image": inquiries.ImageForm(read=department.reads[0], access=0, ground=GROUND),
        "inquiry/file": inquiries.FileForm(access=0, rms_number="RMS-1"),
        "inquiry/unfiled": nothing,
        "user/passkey-options": nothing,
        "user/passkey": passkeys.PasskeyForm(name="key ring", response="{}"),
        "user/remove-passkey": passkeys.PasskeyIdForm(credential_id=bytes(16)),
        "user/passkeys": nothing,
        "audit/read": audits.AuditForm(),
        "audit/numbers": number_calls.NumbersForm(),
        "audit/bundle": nothing,
        "audit/run": audits.PeriodForm(),
        "audit/findings": nothing,
        "audit/close": audits.AuditCloseForm(finding=0, verdict="misuse", note="one two three"),
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
        "share/letter": shares.SharingRequestForm(request=0),
        "share/review": shares.ReviewForm(request=0, note="read it"),
        "share/decide": shares.DecisionForm(
            request=0, approved=True, note="yes", agency_kind="law-enforcement", agency_state="ca"
        ),
        "share/deliver": shares.DeliverForm(request=0, scope=scope, ground=GROUND),
        "hold/list": nothing,
        "hold/place": replace(HOLD, reads=department.reads[:1]),
        "hold/export": holds.ExportForm(hold=0, medium="USB 1", ground=GROUND),
        "hold/book": holds.BookForm(hold=0, evidence_item="E-26-1"),
        "hold/ask-release": holds.AskReleaseForm(hold=0, evidence_item="E-26-1"),
        "hold/release": holds.ReleaseForm(hold=0, evidence_item="E-26-1"),
        "training/record": training_calls.TrainingForm(
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
        "user/me": nothing,
        "user/authenticator": nothing,
        "user/password": people.PasswordForm(old="x" * 12, new="y" * 12),
        "training/record-class": training_calls.ClassForm(
            users=("comm1",),
            trainer="super",
            course=COURSE,
            policy_version=2,
            topics=TOPICS,
            held_us=department.clock.us,
        ),
        "change/list": nothing,
        "change/mine": nothing,
        "change/show": changes.ShowForm(proposal=0),
        "unit/list": nothing,
        "retention/read": nothing,
        "clock/confirm": machine.ClockForm(day="2026-09-21", reason="by the radio clock"),
        "unit/enroll": unit_calls.UnitForm(name="car 77"),
        "unit/revoke": unit_calls.RevokeUnitForm(unit="car 1", reason="stolen from the yard"),
        "retention/purge": nothing,
        "incident/reset": unit_calls.ResetForm(receipt=b"no receipt"),
        "incident/bring": unit_calls.BringForm(
            log="ab" * 32, records=1, digest=bytes(32), reason="brought from car 1"
        ),
        "backlog/allow": machine.PurgeForm(through="2025-09-01", reason="the server was away"),
        "restore/enter": RestoreForm(backup="2025-09-01", reason="the disk failed"),
        "compliance/endings": nothing,
        "calendar/list": due.CalendarForm(),
        "transparency/read": nothing,
        "change/approve": changes.DecideForm(proposal=0, granted=True, reason="known"),
        "document/sign": documents.SignForm(kind="configuration", body=b"a = 1", reason="new angle"),
        "audit/events": event_calls.EventsForm(),
        "audit/compare": case_calls.CompareForm(export=b"case_number\n26-001234\n"),
        "inquiry/requests": nothing,
        "inquiry/proposals": nothing,
        "inquiry/more": inquiries.PageForm(access=0, after="1:x"),
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
        "hotlist/push": lists.ListForm(
            list_id="doj",
            layout="genetec",
            body=b"Stolen;CA;8XYZ123;;\n",
            issuer="DOJ",
            source="SVS",
            reason="daily extract",
        ),
        "document/list": nothing,
        "hotlist/list": nothing,
        "hotlist/own": nothing,
        "hotlist/sources": nothing,
        "hotlist/diff": sources.DiffForm(list_id="doj", layout="genetec", body=b"Stolen;CA;8XYZ123;;\n"),
        "hotlist/add": local.LocalForm(
            plate="8XYZ123",
            category="felony-vehicle",
            case="26-001234",
            reason="robbery",
            until_us=department.clock.us + DAY_US,
        ),
        "hotlist/withdraw": local.WithdrawForm(case="26-001234", reason="found"),
        "alert/list": nothing,
        "alert/show": alerts.AlertForm(alert="planted/0"),
        "alert/transcribe": alerts.TranscribeForm(alert="planted/0", plate="8XYZ123", state="US-CA"),
        "alert/answer": alerts.AnswerForm(alert="planted/0", fit=Fit.YES),
        "alert/clets": alerts.CletsForm(alert="planted/0", practicable=True, text="CLETS 1"),
        "alert/close": alerts.CloseForm(alert="planted/0", outcome=Outcome.NO_STOP, text=""),
        "alert/figures": nothing,
        "incident/close": incidents.SettleForm(
            incident=0, kind="fork", unit="u", opened_us=1, finding="one two three"
        ),
        "redress/list": nothing,
        "redress/enter": redress.PaperForm(
            about="stop",
            contact="415 S. Ivy Avenue",
            words="I was stopped here",
            received_us=department.clock.us - DAY_US,
        ),
        "redress/answer": redress.RedressAnswerForm(request=0, outcome="corrected", note="one two three"),
        "compliance/overdue": due.OverdueForm(),
        "policy/read": nothing,
    }
