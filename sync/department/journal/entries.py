"""Every kind of entry in the department's access log, frozen. No I/O.

The log is the desk's only memory: accounts, training, requests, holds, findings and decisions follow from its
entries. So nothing can change without an entry, and changes to entries are found. An entry is a `Stamp` (who,
when, in which role) and a record of one of the kinds below. Times are int64 microseconds UTC. `repr` never
shows a plate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeAlias, TypeGuard, TypeVar

from storage.codec import later, omitted
from storage.errors import RecordError
from sync.department.journal.alert_entries import AlertKnown, AlertRecordsOpened, AlertStepTaken
from sync.department.journal.change_entries import (
    AuthenticatorKept,
    CasesCompared,
    ChangeDecided,
    ChangeProposed,
    ChangeUsed,
    DayCounted,
    DesignationSet,
    DocumentSigned,
    GlassBroken,
    GlassJudged,
    HoldRests,
    ListSent,
    RequestTaken,
)
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.hold_entries import (
    HoldBooked,
    HoldExported,
    HoldPlaced,
    HoldReleased,
    Purged,
    ReleaseAsked,
)
from sync.department.journal.inquiry_entries import (
    Access,
    AccessEnded,
    ApprovalUsed,
    InquiryAsked,
    SearchApproved,
    SearchEnded,
    SearchProposed,
    SearchStep,
)
from sync.department.journal.machine_entries import (
    AdministratorNamed,
    ClockConfirmed,
    ClosedLogBrought,
    DetectorsRan,
    DocumentSent,
    KeysListSeen,
    PurgeAllowed,
    PurgeAsked,
    ResetHanded,
    StoreRestored,
    UnitCodeIssued,
    UnitLogsNamed,
    UnitRevoked,
    UnitsListed,
)
from sync.department.journal.office_entries import GrantDelegated, GrantIssued, GrantsRevoked, IncidentSettled
from sync.department.journal.passkeys import PasskeySet
from sync.department.journal.person_entries import FreshProof, PersonKeySet, SessionKeySet
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.journal.sharing_entries import (
    ShareAsked,
    ShareDecided,
    ShareDelivered,
    ShareReviewed,
    ShareRouted,
)
from sync.department.policy.roles import Role
from sync.errors import NewerError

ALL_SIGNED, GRANTS_BY_TWO, PROOFS_OF_ONE, SEEN_BY_TWO, DRAWN_BY_PERSON, BOUND_WHOLE = 2, 3, 4, 5, 6, 7
ALL_TRAINED, SHOWN_WHOLE, BY_OWN_HAND, JUDGED_WHOLE, JUDGED_DAILY = 8, 9, 10, 11, 12
NEWEST_FORM = JUDGED_DAILY
KEPT, ASKED_FOR, REPLACED, ISSUED = "kept", "asked-for", "replaced", "issued"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLogOpened(Note):
    """The first entry: the log's public key and the digest of the root that vouches for it.

    `signs`: the form of the log; each form keeps the rules of those before it. `ALL_SIGNED`: everything that
    a person made must be signed; in an older log, a kind must be signed from its first signed entry on.
    `GRANTS_BY_TWO`: a grant that can destroy takes two people. `PROOFS_OF_ONE`: a fresh proof is for one
    call, once. `SEEN_BY_TWO`: a configuration of units takes two people, the person who approves a sharing
    says what kind of agency it is, and the offices' statement on an administrator is dated.
    `DRAWN_BY_PERSON`: the signed call that begins an audit draws its sample. `BOUND_WHOLE`: a grant that
    destroys records names their log; each delivery names what was asked for; the first decision on an
    incident is about that very incident, and ends with the role that gave it. `ALL_TRAINED`: current training
    is required not only to open content but for every call that needs it at the desk, including a second
    person's approval of anything about plates or reads. A hold is booked once its export has begun, and ends
    under that item number by both people, or under none if no export began. A lookup has a purpose, a basis
    and a number of the policy; a hold has a ground; a delivery has an agency that may receive. `SHOWN_WHOLE`:
    an account's name or SSH key takes two people if its role does, and the person who approves is shown the
    key; no two people share a key or passkey; declining ends a matter, an approval must be in time, a request
    is decided only after its review, and a finding is closed by someone other than its subject.
    `BY_OWN_HAND`: opening a locked session again, filing an access and answering a request are signed;
    extending a designation takes the two people of a new one; the reason and the longest time of a lookup are
    the policy's. `JUDGED_WHOLE`: a case's number files only accesses of that case, each once; a declined
    request gets no answer; the scope of a search, and the number of waiting emergency searches, keep to the
    desk's limits; and accesses and decisions have the words of their signed form, under a stamp whose role,
    organisation and proof are its person's. `JUDGED_DAILY`: each run of the detectors is an entry.
    """

    KIND: ClassVar[str] = "log_opened"
    public_key: bytes
    root_digest: bytes
    signs: int = later(0)


def demand_form(form: int) -> int:
    """Returns a known form. Raises NewerError for a newer one, whose rules are not known here."""
    if form > NEWEST_FORM:
        raise NewerError(f"the access log is of form {form}, and this version knows form {NEWEST_FORM}")
    return form


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSet(Note):
    """A root file came into force, with its policy, witnesses and keys."""

    KIND: ClassVar[str] = "root_set"
    version: int
    root_digest: bytes
    root_file: bytes
    policy_version: int
    policy_digest: bytes
    policy_file: bytes


SHIFT = re.compile(r"(\d\d?):([0-5]\d) ?[-\u2013] ?(\d\d?):([0-5]\d)", re.ASCII)  # also with an en dash


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """When a person is on duty, in minutes of the department's day; `start` > `end` spans midnight."""

    start_min: int
    end_min: int

    def check(self) -> None:
        if not (0 <= self.start_min < 1440 and 0 < self.end_min <= 1440):
            raise RecordError("must be hours of the day, such as 22:00-06:00", where="shift")

    @classmethod
    def parse(cls, text: str) -> Shift:
        """Parse a shift such as 22:00-06:00; 00:00 may also be the end of the day. Raises RecordError."""
        match = SHIFT.fullmatch(text.strip())
        if match is None:
            raise RecordError("is written as 22:00-06:00", where="shift")
        from_h, from_min, to_h, to_min = map(int, match.groups())
        shift = cls(start_min=from_h * 60 + from_min, end_min=to_h * 60 + to_min or 1440)
        shift.check()
        return shift

    def text(self) -> str:
        """The shift as people write it: 22:00-06:00."""
        return "-".join(f"{at // 60:02}:{at % 60:02}" for at in (self.start_min, self.end_min))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSet(Note):
    """A person's account on the roster, as set by the administrator. `active` False removes the person.

    `ssh_keys`: public keys in SSH's binary form, which authenticate the person at a unit.
    """

    KIND: ClassVar[str] = "account"
    user: str
    name: str
    organisation: str
    roles: tuple[Role, ...]
    shift: Shift | None
    active: bool
    reason: str
    ssh_keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSet(Note):
    """A credential was set; has only the digest of its record, so that a swapped one is refused.

    `first`: another person made it. `authenticator`: `KEPT`, `ASKED_FOR` by its owner, `REPLACED` because
    another person had made the one before, or `ISSUED` with a first password; empty in an older log.
    """

    KIND: ClassVar[str] = "credential"
    user: str
    digest: bytes
    first: bool
    authenticator: str = later("")

    def check(self) -> None:
        if self.authenticator not in {"", KEPT, ASKED_FOR, REPLACED, ISSUED}:
            raise RecordError("is not a word for an authenticator", where="credential.authenticator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logon(Note):
    """A login, successful or not. `session`: SHA-256 of the token that was issued, empty if refused.

    `times`: how many failures of this name the entry reports; those within a minute are reported together.
    `fresh`: the login is also a fresh proof, for the session of one command.
    """

    KIND: ClassVar[str] = "logon"
    user: str
    proven: bool
    reason: str
    session: bytes
    post: str
    totp_step: int
    times: int = 1
    fresh: bool = later(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Note):
    """A session ended, was locked or was unlocked: `how` is logoff, locked, unlocked or ended.

    `totp_step`: of the code that unlocked it; -1 if the passkey of the preceding FreshProof did.
    `certificate`: of the session's key by the person's, made to unlock with a password; empty in older
    entries.
    """

    KIND: ClassVar[str] = "session"
    session: bytes
    how: str
    totp_step: int
    certificate: bytes = omitted(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutLifted(Note):
    """The administrator lifted a lockout."""

    KIND: ClassVar[str] = "lockout_lifted"
    user: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingDone(Note):
    """463.9: a training: who, by whom, in which approved course and topics, under which policy version."""

    KIND: ClassVar[str] = "training"
    user: str
    trainer: str
    course: str
    policy_version: int
    topics: tuple[str, ...]
    held_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead(Note):
    """A person read a part of the access log: `elements`.

    `count`: how many entries; -1 if the following entry says so.
    """

    KIND: ClassVar[str] = "log_read"
    STATE: ClassVar[bool] = False
    elements: str = field(repr=False)
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswered(Note):
    """A queued request was run (`access`) or declined (-1)."""

    KIND: ClassVar[str] = "answered"
    request: int
    access: int
    reads: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed(Note):
    """A requester disputes a search that was made in the requester's name."""

    KIND: ClassVar[str] = "disputed"
    entry: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Note):
    """A call that the desk refused."""

    KIND: ClassVar[str] = "refused"
    STATE: ClassVar[bool] = False
    call: str
    code: str
    clause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed(Note):
    """An access was filed in the RMS as an ALPR Request under this number; `more`: of the same call."""

    KIND: ClassVar[str] = "filed"
    STATE: ClassVar[bool] = False
    access: int
    rms_number: str
    more: tuple[tuple[int, str], ...] = omitted(())

    def numbers(self) -> tuple[tuple[int, str], ...]:
        """Each access with its number."""
        return (self.access, self.rms_number), *self.more


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingOpened(Note):
    """A detector or a sample picked accesses of `about` for review."""

    KIND: ClassVar[str] = "finding"
    detector: str
    about: str
    accesses: tuple[int, ...]
    reviewer: str
    due_us: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingClosed(Note):
    """The reviewer's result. `verdict`: justified, unclear or misuse."""

    KIND: ClassVar[str] = "finding_closed"
    finding: int
    verdict: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditBegun(Note):
    """A periodic audit of the log between two times began; the signed call in this entry draws its sample."""

    KIND: ClassVar[str] = "audit_begun"
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDone(Note):
    """A periodic audit of the log between two times was carried out: 463.5 (c).

    `begun`: its first entry; `head`: the co-signed tree head that drew the sample, in older versions.
    """

    KIND: ClassVar[str] = "audit"
    from_us: int
    to_us: int
    accesses: int
    findings: tuple[int, ...]
    tree_size: int
    begun: int = later(-1)
    head: str = later("")


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAway(Note):
    """The witnesses did not answer. From now on, answers are marked; they stop after the policy's grace."""

    KIND: ClassVar[str] = "witness_away"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessClaimed(Note):
    """A witness claims without proof that this is not the log that it saw; a quorum of others co-signed.

    Entered once a day per witness.
    """

    KIND: ClassVar[str] = "witness_claimed"
    witness: str
    claim: str


NOTES: dict[str, type[Note]] = {
    cls.KIND: cls
    for cls in (
        AccessLogOpened,
        RootSet,
        AccountSet,
        CredentialSet,
        PersonKeySet,
        PasskeySet,
        Logon,
        SessionKeySet,
        SessionEnded,
        FreshProof,
        LockoutLifted,
        TrainingDone,
        InquiryAsked,
        SearchProposed,
        SearchApproved,
        ApprovalUsed,
        Access,
        AccessEnded,
        SearchStep,
        SearchEnded,
        LogRead,
        RequestAnswered,
        Disputed,
        Refused,
        Filed,
        FindingOpened,
        FindingClosed,
        AuditBegun,
        AuditDone,
        ShareAsked,
        ShareRouted,
        ShareReviewed,
        ShareDecided,
        ShareDelivered,
        HoldPlaced,
        HoldExported,
        HoldBooked,
        ReleaseAsked,
        HoldReleased,
        Purged,
        GrantIssued,
        GrantsRevoked,
        GrantDelegated,
        IncidentSettled,
        WitnessAway,
        WitnessClaimed,
        ChangeProposed,
        ChangeDecided,
        ChangeUsed,
        DesignationSet,
        GlassBroken,
        GlassJudged,
        DocumentSigned,
        ListSent,
        CasesCompared,
        RequestTaken,
        HoldRests,
        AuthenticatorKept,
        DayCounted,
        ClockConfirmed,
        PurgeAllowed,
        StoreRestored,
        UnitCodeIssued,
        UnitLogsNamed,
        UnitRevoked,
        UnitsListed,
        DocumentSent,
        KeysListSeen,
        DetectorsRan,
        PurgeAsked,
        ClosedLogBrought,
        ResetHanded,
        AdministratorNamed,
        AlertKnown,
        AlertStepTaken,
        AlertRecordsOpened,
        RedressAsked,
        RedressAnswered,
    )
}
"""All kinds by name. An unknown kind in a log is an error, never skipped."""

STATE_KINDS = tuple(kind for kind, cls in NOTES.items() if cls.STATE)


N_co = TypeVar("N_co", bound=Note, covariant=True)
K = TypeVar("K", bound=Note)


@dataclass(frozen=True, slots=True)
class EntryOf(Generic[N_co]):
    """An entry as read: sequence, stamp, record, its author's signature. `EntryOf[Kind]` for a known kind."""

    sequence: int
    stamp: Stamp
    note: N_co
    signed: bytes = field(default=b"", repr=False)


Entry: TypeAlias = EntryOf[Note]


def is_of(entry: Entry, kind: type[K]) -> TypeGuard[EntryOf[K]]:
    """Whether an entry's record is of this kind."""
    return isinstance(entry.note, kind)
