"""The table of everything that a person can ask of the desk: name, call, form, function.

The HTTP API, the commands and the attack tests all use this table. There is no other way in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sync.department.desk import due, proofs, whoami
from sync.department.desk.alerts import calls as alerts
from sync.department.desk.audit import calls as audits
from sync.department.desk.audit import case_calls, event_calls, number_calls
from sync.department.desk.break_glass import calls as break_glass
from sync.department.desk.changes import calls as changes
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.documents import calls as documents
from sync.department.desk.documents import lists, local, own_entries, sources
from sync.department.desk.grants import calls as grants
from sync.department.desk.grants import revoking
from sync.department.desk.holds import calls as holds
from sync.department.desk.holds import rules as hold_rules
from sync.department.desk.incidents import calls as incidents
from sync.department.desk.inquiry import calls as inquiries
from sync.department.desk.inquiry import filing, forms, images, proposals, rules, searching, stepping
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.json_forms import demand_counts, read_form, read_part
from sync.department.desk.machine import calls as machine
from sync.department.desk.machine import restored, state_calls, unit_calls
from sync.department.desk.people import bulk, passkeys, training_calls
from sync.department.desk.people import calls as people
from sync.department.desk.redress import calls as redress
from sync.department.desk.sharing import calls as shares
from sync.department.desk.sharing import rules as sharing_rules
from sync.department.desk.signing import signing
from sync.department.desk.transparency import calls as transparency
from sync.department.desk.words import demand_plain
from sync.department.journal.passkeys import proof_of
from sync.department.journal.statements import form_bytes
from sync.department.policy.clauses import ClauseRow, clause_rows
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import FormError, refuse_all, refuse_each
from sync.department.policy.roles import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyText:
    """The current policy file, unchanged, and the enforcement of each sentence."""

    version: int
    document: bytes
    clauses: tuple[ClauseRow, ...]


def policy(front: DeskContext, token: str, form: NothingForm) -> PolicyText:  # noqa: ARG001
    """Show the policy in force."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[PolicyText]:
        shown = PolicyText(
            version=desk.policy.version, document=desk.policy_document, clauses=tuple(clause_rows())
        )
        return [], lambda _entries: shown

    return desk.act(token, Call.POLICY_READ, plan)


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the table.

    `call`: what the role and the training are checked for; `check`: checks the form itself against the
    policy, as the call does too.
    """

    call: Call
    form: type[Any]
    make: Callable[[DeskContext, str, Any], Any]
    check: Callable[[Policy, Any, int], object] = lambda _policy, _form, _now_us: None
    name: str = ""

    def read(self, front: DeskContext, value: Any, wrong: Sequence[FormError] = ()) -> Any:
        """Read the form from a JSON object. Raises FormError naming each wrong field.

        `wrong`: what its sender could not read of it. If the form cannot be read, the part that could be read
        is checked too.
        """
        try:
            refuse_all(wrong)
            return read_form(self.form, value)
        except FormError:
            fields = [name.removeprefix("own.") for one in wrong for name in one.fields]
            part, more = read_part(self.form, value, frozenset(fields))
            refuse_each(
                lambda: refuse_all([*wrong, *more]),
                lambda: demand_plain(part, self.form.__name__),
                lambda: self.check(front.desk.policy, part, front.desk.now_us()),
            )
            raise

    def run(self, front: DeskContext, token: str, form: Any) -> Any:
        """Make the call. Raises DeskRefusal; FormError for texts with invisible characters, negative numbers.

        If the token holds the session's key and no statement came with the call, the call is signed here.
        """
        demand_plain(form, self.form.__name__)
        demand_counts(form, self.form.__name__)
        asked = proofs.asks(self.name, form, front.desk.book)
        use = proof_of(self.name, form_bytes(form))
        with signing(front.desk, token, self.name, form), proofs.demanding(use, must=asked):
            return self.make(front, token, form)


_TABLE: Mapping[str, Operation] = {
    "inquiry/request": Operation(Call.INQUIRY_REQUEST, forms.AskForm, inquiries.ask, rules.check_form),
    "inquiry/queue": Operation(Call.INQUIRY_QUEUE, NothingForm, inquiries.queue),
    "inquiry/decline": Operation(Call.INQUIRY_RUN, forms.DeclineForm, inquiries.decline),
    "inquiry/propose": Operation(Call.INQUIRY_RUN, forms.ProposeForm, inquiries.propose, rules.check_form),
    "inquiry/approve": Operation(Call.INQUIRY_APPROVE, forms.InquiryDecideForm, inquiries.decide),
    "inquiry/run": Operation(Call.INQUIRY_RUN, forms.RunForm, inquiries.run, rules.check_form),
    "inquiry/begin": Operation(Call.INQUIRY_RUN, forms.RunForm, stepping.begin, rules.check_form),
    "inquiry/step": Operation(Call.INQUIRY_RUN, forms.StepForm, stepping.step),
    "inquiry/stop": Operation(Call.INQUIRY_RUN, forms.StopForm, stepping.stop),
    "inquiry/answer": Operation(Call.INQUIRY_ANSWER, forms.RequestForm, inquiries.answer),
    "inquiry/mine": Operation(Call.INQUIRY_ANSWER, NothingForm, inquiries.mine),
    "inquiry/dispute": Operation(Call.INQUIRY_DISPUTE, forms.DisputeForm, inquiries.dispute),
    "inquiry/image": Operation(Call.IMAGE_VIEW, forms.ImageForm, images.image),
    "inquiry/file": Operation(Call.RMS_FILE, forms.FileForm, filing.file),
    "inquiry/unfiled": Operation(Call.RMS_FILE, NothingForm, audits.unfiled),
    "inquiry/requests": Operation(Call.INQUIRY_ANSWER, NothingForm, inquiries.my_requests),
    "inquiry/proposals": Operation(Call.INQUIRY_RUN, NothingForm, proposals.proposals),
    "inquiry/more": Operation(Call.INQUIRY_RUN, forms.PageForm, searching.more),
    "inquiry/estimate": Operation(Call.INQUIRY_RUN, forms.AskForm, searching.estimate, rules.check_form),
    "inquiry/answer-image": Operation(Call.INQUIRY_ANSWER, forms.AnswerImageForm, images.answer_image),
    "inquiry/file-case": Operation(Call.RMS_FILE, forms.FileCaseForm, filing.file_case),
    "inquiry/file-many": Operation(Call.RMS_FILE, forms.FileManyForm, filing.file_many),
    "inquiry/break-glass": Operation(
        Call.INQUIRY_BREAK_GLASS, break_glass.GlassForm, break_glass.break_glass, break_glass.check_form
    ),
    "inquiry/judge": Operation(Call.INQUIRY_APPROVE, break_glass.JudgeForm, break_glass.judge),
    "inquiry/emergencies": Operation(Call.INQUIRY_APPROVE, NothingForm, break_glass.listed),
    "change/list": Operation(Call.CHANGE_APPROVE, NothingForm, changes.listed),
    "change/show": Operation(Call.CHANGE_APPROVE, changes.ShowForm, changes.show),
    "change/mine": Operation(Call.POLICY_READ, NothingForm, changes.mine),
    "unit/list": Operation(Call.COMPLIANCE_READ, NothingForm, state_calls.units),
    "unit/enroll": Operation(Call.DOCUMENT_SIGN, unit_calls.UnitForm, unit_calls.issue_code),
    "unit/revoke": Operation(Call.DOCUMENT_SIGN, unit_calls.RevokeUnitForm, unit_calls.revoke),
    "retention/purge": Operation(Call.CHANGE_APPROVE, NothingForm, unit_calls.purge),
    "incident/reset": Operation(Call.INCIDENT_CLOSE, unit_calls.ResetForm, unit_calls.hand_reset),
    "incident/bring": Operation(Call.INCIDENT_CLOSE, unit_calls.BringForm, unit_calls.bring),
    "retention/read": Operation(Call.COMPLIANCE_READ, NothingForm, state_calls.retention),
    "change/approve": Operation(Call.CHANGE_APPROVE, changes.DecideForm, changes.decide),
    "hotlist/push": Operation(Call.DOCUMENT_SIGN, lists.ListForm, lists.push, lists.check_list),
    "hotlist/diff": Operation(Call.DOCUMENT_SIGN, sources.DiffForm, sources.diff),
    "hotlist/sources": Operation(Call.ALERT_LIST, NothingForm, sources.sources),
    "hotlist/add": Operation(Call.DOCUMENT_SIGN, local.LocalForm, local.add, local.check_entry),
    "hotlist/withdraw": Operation(Call.DOCUMENT_SIGN, local.WithdrawForm, local.withdraw),
    "hotlist/own": Operation(Call.DOCUMENT_SIGN, NothingForm, own_entries.listed),
    "hotlist/list": Operation(Call.ALERT_LIST, NothingForm, lists.listed),
    "document/list": Operation(Call.COMPLIANCE_READ, NothingForm, state_calls.offered),
    "document/sign": Operation(Call.DOCUMENT_SIGN, documents.SignForm, documents.sign),
    "audit/events": Operation(Call.AUDIT_READ, event_calls.EventsForm, event_calls.events),
    "audit/compare": Operation(Call.AUDIT_RUN, case_calls.CompareForm, case_calls.compare_cases),
    "audit/read": Operation(Call.AUDIT_READ, audits.AuditForm, audits.read),
    "audit/numbers": Operation(Call.AUDIT_READ, number_calls.NumbersForm, number_calls.numbers),
    "audit/bundle": Operation(Call.AUDIT_READ, NothingForm, number_calls.bundled),
    "audit/run": Operation(Call.AUDIT_RUN, audits.PeriodForm, audits.run),
    "audit/findings": Operation(Call.AUDIT_READ, NothingForm, audits.findings),
    "audit/close": Operation(Call.AUDIT_REVIEW, audits.AuditCloseForm, audits.close),
    "share/record": Operation(Call.SHARE_RECORD, shares.ShareForm, shares.record, sharing_rules.check_form),
    "share/review": Operation(Call.SHARE_REVIEW, shares.ReviewForm, shares.review),
    "share/decide": Operation(Call.SHARE_APPROVE, shares.DecisionForm, shares.decide),
    "share/deliver": Operation(Call.SHARE_DELIVER, shares.DeliverForm, shares.deliver),
    "share/list": Operation(Call.SHARE_READ, NothingForm, shares.listed),
    "share/letter": Operation(Call.SHARE_READ, shares.SharingRequestForm, shares.letter),
    "hold/list": Operation(Call.HOLD_READ, NothingForm, holds.listed),
    "clock/confirm": Operation(Call.CHANGE_APPROVE, machine.ClockForm, machine.confirm_clock),
    "backlog/allow": Operation(Call.CHANGE_APPROVE, machine.PurgeForm, machine.allow_purge),
    "restore/enter": Operation(Call.CHANGE_APPROVE, restored.RestoreForm, restored.enter_restore),
    "hold/place": Operation(Call.HOLD_PLACE, holds.HoldForm, holds.place, hold_rules.check_hold),
    "hold/export": Operation(Call.HOLD_EXPORT, holds.ExportForm, holds.export),
    "hold/book": Operation(Call.HOLD_BOOK, holds.BookForm, holds.book),
    "hold/ask-release": Operation(Call.HOLD_RELEASE, holds.AskReleaseForm, holds.ask_release),
    "hold/release": Operation(Call.HOLD_RELEASE, holds.ReleaseForm, holds.release),
    "training/record": Operation(
        Call.TRAINING_RECORD,
        training_calls.TrainingForm,
        training_calls.record_training,
        training_calls.check_one,
    ),
    "training/list": Operation(Call.TRAINING_READ, NothingForm, people.roster),
    "user/set": Operation(Call.USER_MANAGE, people.AccountForm, people.set_account, people.check_account),
    "training/record-class": Operation(
        Call.TRAINING_RECORD,
        training_calls.ClassForm,
        training_calls.record_class,
        training_calls.check_class,
    ),
    "user/import": Operation(Call.USER_MANAGE, bulk.ImportForm, bulk.import_people),
    "user/hand-over": Operation(Call.USER_MANAGE, people.HandoverForm, people.hand_office_over),
    "user/credential": Operation(Call.USER_MANAGE, people.CredentialForm, people.new_credential),
    "user/passkey-options": Operation(Call.TRAINING_READ, NothingForm, passkeys.registration),
    "user/passkey": Operation(Call.TRAINING_READ, passkeys.PasskeyForm, passkeys.register),
    "user/remove-passkey": Operation(Call.TRAINING_READ, passkeys.PasskeyIdForm, passkeys.remove),
    "user/passkeys": Operation(Call.TRAINING_READ, NothingForm, passkeys.listed),
    "user/lift-lockout": Operation(Call.USER_MANAGE, people.UserForm, people.lift_lockout),
    "user/me": Operation(Call.POLICY_READ, NothingForm, whoami.me),
    "user/authenticator": Operation(Call.POLICY_READ, NothingForm, people.new_authenticator),
    "user/password": Operation(Call.POLICY_READ, people.PasswordForm, people.set_password),
    "grant/issue": Operation(Call.GRANT_ISSUE, grants.GrantForm, grants.issue, grants.check_grant),
    "grant/enter": Operation(Call.GRANT_ENTER, grants.SignedForm, grants.enter),
    "grant/lend": Operation(Call.GRANT_ISSUE, grants.LendForm, grants.lend),
    "grant/revoke": Operation(Call.GRANT_ISSUE, revoking.RevokeForm, revoking.revoke),
    "grant/list": Operation(Call.GRANT_READ, NothingForm, grants.listed),
    "incident/list": Operation(Call.INCIDENT_READ, NothingForm, incidents.listed),
    "incident/close": Operation(Call.INCIDENT_CLOSE, incidents.SettleForm, incidents.close),
    "alert/list": Operation(Call.ALERT_LIST, NothingForm, alerts.listed),
    "alert/show": Operation(Call.ALERT_VERIFY, alerts.AlertForm, alerts.show),
    "alert/transcribe": Operation(Call.ALERT_VERIFY, alerts.TranscribeForm, alerts.transcribe),
    "alert/answer": Operation(Call.ALERT_VERIFY, alerts.AnswerForm, alerts.answer),
    "alert/clets": Operation(Call.ALERT_VERIFY, alerts.CletsForm, alerts.clets),
    "alert/close": Operation(Call.ALERT_VERIFY, alerts.CloseForm, alerts.close),
    "alert/figures": Operation(Call.COMPLIANCE_READ, NothingForm, alerts.figures),
    "redress/list": Operation(Call.REDRESS_ANSWER, NothingForm, redress.listed),
    "redress/enter": Operation(Call.REDRESS_ANSWER, redress.PaperForm, redress.enter, redress.check_paper),
    "redress/answer": Operation(Call.REDRESS_ANSWER, redress.RedressAnswerForm, redress.answer),
    "compliance/overdue": Operation(Call.COMPLIANCE_READ, due.OverdueForm, due.overdue),
    "compliance/endings": Operation(Call.COMPLIANCE_READ, NothingForm, due.ending_soon),
    "calendar/list": Operation(Call.POLICY_READ, due.CalendarForm, due.listed),
    "transparency/read": Operation(Call.POLICY_READ, NothingForm, transparency.read),
    "policy/read": Operation(Call.POLICY_READ, NothingForm, policy),
}
OPERATIONS: Mapping[str, Operation] = {name: replace(one, name=name) for name, one in _TABLE.items()}
