"""The roles of 463.3 to 463.6, the calls of the desk, and who may make which. No I/O.

The signed policy file says which role may make which call. What no policy file may grant (a vendor a call
that touches data, a reviewer a search, ...) is a ceiling, checked here when the file is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from storage.errors import RecordError


class Role(StrEnum):
    """The roles at the desk. The policy file gives their titles."""

    OFFICER = "sworn-officer"
    DISPATCHER = "dispatcher"
    COMMUNICATIONS = "communications"
    CCAT = "ccat"
    CCAT_SUPERVISOR = "ccat-supervisor"
    ADMINISTRATOR = "administrator"
    DESIGNEE = "designee"
    REVIEWER = "reviewer"
    VENDOR = "vendor"


def roles_at(roles: Iterable[Role], designated_until_us: int | None, at_us: int) -> tuple[Role, ...]:
    """The roles that a person has at a given time, without those of an expired designation."""
    over = designated_until_us is not None and at_us >= designated_until_us
    return tuple(role for role in roles if not (over and role is Role.DESIGNEE))


class Call(StrEnum):
    """Every call that a logged-on person can make at the desk."""

    INQUIRY_RUN = "inquiry.run"
    INQUIRY_REQUEST = "inquiry.request"
    INQUIRY_QUEUE = "inquiry.queue"
    INQUIRY_APPROVE = "inquiry.approve"
    INQUIRY_ANSWER = "inquiry.answer"
    INQUIRY_DISPUTE = "inquiry.dispute"
    INQUIRY_BREAK_GLASS = "inquiry.break-glass"
    IMAGE_VIEW = "image.view"
    RMS_FILE = "rms.file"
    AUDIT_READ = "audit.read"
    AUDIT_RUN = "audit.run"
    AUDIT_REVIEW = "audit.review"
    SHARE_RECORD = "share.record"
    SHARE_REVIEW = "share.review"
    SHARE_APPROVE = "share.approve"
    SHARE_DELIVER = "share.deliver"
    SHARE_READ = "share.read"
    HOLD_READ = "hold.read"
    HOLD_PLACE = "hold.place"
    HOLD_EXPORT = "hold.export"
    HOLD_BOOK = "hold.book"
    HOLD_RELEASE = "hold.release"
    TRAINING_RECORD = "training.record"
    TRAINING_READ = "training.read"
    USER_MANAGE = "user.manage"
    CHANGE_APPROVE = "change.approve"
    DOCUMENT_SIGN = "document.sign"
    GRANT_ISSUE = "grant.issue"
    GRANT_ENTER = "grant.enter"
    GRANT_READ = "grant.read"
    INCIDENT_READ = "incident.read"
    INCIDENT_CLOSE = "incident.close"
    ALERT_LIST = "alert.list"
    ALERT_VERIFY = "alert.verify"
    REDRESS_ANSWER = "redress.answer"
    COMPLIANCE_READ = "compliance.read"
    POLICY_READ = "policy.read"


@dataclass(frozen=True, slots=True)
class CallRule:
    """The rule for one call.

    `touches_data`: it needs current training (463.3, 463.9). `clause`: the clause that restricts it. `words`:
    what it does, after "may".
    """

    touches_data: bool
    clause: str
    words: str


CALLS: Mapping[Call, CallRule] = {
    Call.INQUIRY_RUN: CallRule(True, "463.5 (c)", "run a search"),
    Call.INQUIRY_REQUEST: CallRule(True, "463.5 (a)", "request a search"),
    Call.INQUIRY_QUEUE: CallRule(True, "463.5 (c)", "see the queue"),
    Call.INQUIRY_APPROVE: CallRule(True, "463.5 (c)", "be the second person of a search"),
    Call.INQUIRY_ANSWER: CallRule(True, "463.5 (a)", "see the answer to a request"),
    Call.INQUIRY_DISPUTE: CallRule(True, "463.5 (a)", "dispute a lookup"),
    Call.INQUIRY_BREAK_GLASS: CallRule(True, "463.5 (a)", "search in an emergency"),
    Call.IMAGE_VIEW: CallRule(True, "463.5 (c)", "open a picture"),
    Call.RMS_FILE: CallRule(True, "463.5 (b)", "file ALPR Requests"),
    Call.AUDIT_READ: CallRule(True, "463.5 (c)", "read the audit"),
    Call.AUDIT_RUN: CallRule(True, "463.5 (c)", "run the audit"),
    Call.AUDIT_REVIEW: CallRule(True, "463.5 (c)", "judge findings"),
    Call.SHARE_RECORD: CallRule(True, "463.6 (a)", "enter another agency's request"),
    Call.SHARE_REVIEW: CallRule(True, "463.6 (b)", "review another agency's request"),
    Call.SHARE_APPROVE: CallRule(True, "463.6 (b)", "approve another agency's request"),
    Call.SHARE_DELIVER: CallRule(True, "463.6", "deliver to another agency"),
    Call.SHARE_READ: CallRule(True, "463.6 (c)", "see other agencies' requests"),
    Call.HOLD_READ: CallRule(True, "463.8", "see holds"),
    Call.HOLD_PLACE: CallRule(True, "463.8", "place a hold"),
    Call.HOLD_EXPORT: CallRule(True, "463.8", "export a hold"),
    Call.HOLD_BOOK: CallRule(True, "463.8", "book a hold into evidence"),
    Call.HOLD_RELEASE: CallRule(True, "463.8", "release a hold"),
    Call.TRAINING_RECORD: CallRule(False, "463.9", "enter training"),
    Call.TRAINING_READ: CallRule(False, "463.9", "see training"),
    Call.USER_MANAGE: CallRule(False, "463.4", "manage accounts"),
    Call.CHANGE_APPROVE: CallRule(False, "463.4", "be the second person of a change"),
    Call.DOCUMENT_SIGN: CallRule(False, "463.4", "send lists and settings to units"),
    Call.GRANT_ISSUE: CallRule(False, "463.3", "give or revoke grants"),
    Call.GRANT_ENTER: CallRule(False, "463.3", "enter a grant of the night"),
    Call.GRANT_READ: CallRule(False, "463.3", "see grants"),
    Call.INCIDENT_READ: CallRule(False, "463.8", "see incidents"),
    Call.INCIDENT_CLOSE: CallRule(False, "463.8", "close incidents"),
    Call.ALERT_LIST: CallRule(True, "463.7", "see alerts"),
    Call.ALERT_VERIFY: CallRule(True, "463.7", "verify alerts"),
    Call.REDRESS_ANSWER: CallRule(False, "463.4", "answer the public"),
    Call.COMPLIANCE_READ: CallRule(False, "463.4", "see compliance and units"),
    Call.POLICY_READ: CallRule(False, "463.1", "read the policy"),
}

SEES_NO_DATA = frozenset({Role.VENDOR})  # 463.3: access for maintenance and repair
NEVER_SEARCHES = frozenset({Role.VENDOR, Role.REVIEWER})  # a reviewer is not the searcher
APPROVES_SHARING = frozenset({Role.ADMINISTRATOR, Role.DESIGNEE})  # 463.6 (b)
RECORDS_TRAINING = frozenset({Role.CCAT_SUPERVISOR, Role.ADMINISTRATOR})  # 463.9
MANAGES_USERS = frozenset({Role.ADMINISTRATOR})  # 463.4
STAFFS_POSTS = frozenset({Role.DISPATCHER, Role.COMMUNICATIONS})  # exempt from the lock at a staffed post
ANSWERS_REDRESS = frozenset({Role.ADMINISTRATOR, Role.DESIGNEE})  # 463.4
LETS_IN = frozenset({Role.ADMINISTRATOR})  # 463.3: who authorizes vendors
LETS_IN_AT_NIGHT = frozenset({Role.ADMINISTRATOR, Role.DESIGNEE})  # four hours, by a delegated key
CLOSES_INCIDENTS = frozenset({Role.ADMINISTRATOR, Role.DESIGNEE, Role.CCAT_SUPERVISOR})
APPROVES_CHANGES = frozenset({Role.ADMINISTRATOR, Role.DESIGNEE, Role.CCAT_SUPERVISOR})
SIGNS_DOCUMENTS = frozenset({Role.ADMINISTRATOR, Role.DESIGNEE, Role.CCAT_SUPERVISOR})
SEARCHES = frozenset({
    Call.INQUIRY_RUN, Call.INQUIRY_BREAK_GLASS, Call.INQUIRY_APPROVE, Call.IMAGE_VIEW, Call.HOLD_PLACE,
    Call.HOLD_EXPORT, Call.SHARE_DELIVER,
})  # fmt: skip
"""Calls that open content of the caller's choice, or let another person open it without a full plate."""
OPENS = SEARCHES | {Call.ALERT_VERIFY}
"""And the picture of a hit, which a hot list chose."""
TAKES_TWO = SEARCHES | {
    Call.HOLD_RELEASE, Call.SHARE_APPROVE, Call.AUDIT_REVIEW, Call.USER_MANAGE, Call.CHANGE_APPROVE,
    Call.DOCUMENT_SIGN, Call.GRANT_ISSUE,
}  # fmt: skip
"""An account with one of these is made, widened and reset by two people."""


def check_ceiling(role: Role, calls: Iterable[Call]) -> None:
    """Raises RecordError, naming role and call, for a grant that no policy file may make."""
    for call in calls:
        barred = (
            (role in SEES_NO_DATA and CALLS[call].touches_data)
            or (role in NEVER_SEARCHES and call in OPENS)
            or (call in {Call.SHARE_APPROVE, Call.SHARE_REVIEW} and role not in APPROVES_SHARING)
            or (call is Call.TRAINING_RECORD and role not in RECORDS_TRAINING)
            or (call is Call.USER_MANAGE and role not in MANAGES_USERS)
            or (call is Call.GRANT_ISSUE and role not in LETS_IN)
            or (call is Call.GRANT_ENTER and role not in LETS_IN_AT_NIGHT)
            or (call is Call.CHANGE_APPROVE and role not in APPROVES_CHANGES)
            or (call is Call.DOCUMENT_SIGN and role not in SIGNS_DOCUMENTS)
            or (call is Call.REDRESS_ANSWER and role not in ANSWERS_REDRESS)
            or (call is Call.INCIDENT_CLOSE and role not in CLOSES_INCIDENTS)
        )
        if barred:
            raise RecordError(f"no policy may grant {call} to this role", where=f"policy.roles.{role}")
