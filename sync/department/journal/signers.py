"""Who can sign: the keys of people and of their sessions, as the entries of the log prove them. No I/O.

Root at the department's server has the log's key and can write any entry, but it does not have people's keys.
So an entry counts only if its chain of signatures is valid; `apply` reports those that do not count:

- a person's key: certified by that person's previous key; otherwise only for an account that never had a key,
  or that an administrator's signed call reset
- an account, or a credential made by another person: by an administrator's signed call; unsigned only before
  the first key, or if two of the three offices named that administrator
- a passkey: by a signed call of its owner
- a session's key, or its unlock: certified by the person's key or passkey, a few minutes old, used once
- an access: a statement by the session's key, for the session's person, a few minutes old, used once, whose
  form asks for exactly that (`signed_forms.py`); only for a person with current training, signed by another
- a second person's decision, and what needs one: by a signed call of that person (`second_hands.py`)
- anything else that a person did (training, hot lists, grants, releases, verdicts, alerts): by a signed call
of
  that person, in a role that may make it, with a matching form (`made_by.py`), and with current training if
  the desk requires it; a grant that can destroy a unit's content, by two people

An entry that does not count changes nothing here. The key service and `verify` fold the same entries.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage.codec import to_bytes
from storage.errors import StorageError
from storage.leaf import log_id_of
from storage.times import DAY_US, HOUR_US
from sync import root_file
from sync.department.ground.department_time import apart_text
from sync.department.journal import named_administrator
from sync.department.journal.alert_entries import AlertKnown, AlertRecordsOpened, AlertStepTaken
from sync.department.journal.certificates import certified, certified_by_passkey, use_certificate
from sync.department.journal.change_entries import ChangeDecided, DesignationSet
from sync.department.journal.entries import (
    ALL_SIGNED,
    ALL_TRAINED,
    BOUND_WHOLE,
    BY_OWN_HAND,
    GRANTS_BY_TWO,
    JUDGED_WHOLE,
    PROOFS_OF_ONE,
    SEEN_BY_TWO,
    SHOWN_WHOLE,
    AccessLogOpened,
    AccountSet,
    CredentialSet,
    Entry,
    FindingOpened,
    RootSet,
    SessionEnded,
    TrainingDone,
    demand_form,
)
from sync.department.journal.entry_base import SYSTEM, Note
from sync.department.journal.granted import can_destroy, demand_log_named, demand_own_key, holder_of
from sync.department.journal.inquiry_entries import Access, SearchApproved
from sync.department.journal.machine_entries import AdministratorNamed, UnitLogsNamed
from sync.department.journal.made_by import MADE, SIGNED_LATE, demand_made, is_configuration
from sync.department.journal.office_entries import GrantIssued
from sync.department.journal.passkeys import PasskeySet, is_passkey_certificate, passkey_owner
from sync.department.journal.person_entries import FreshProof, PersonKeySet, SessionKeySet
from sync.department.journal.proven_uses import PersonProofs
from sync.department.journal.second_hand_facts import DECIDES, exported_by, forget
from sync.department.journal.second_hands import DECISIONS, SecondHands
from sync.department.journal.session_signer import SessionSigner
from sync.department.journal.sharing_entries import ShareDecided
from sync.department.journal.signed_forms import fits_passkey
from sync.department.journal.signed_roster import (
    accounts_shown,
    by_offices,
    designation_of,
    fits_account,
    fits_credential,
    fits_designation,
    gains,
    ssh_owner,
)
from sync.department.journal.statements import (
    CALL_PROOF,
    NEXT_KEY,
    SESSION,
    SIGNED_WITHIN_US,
    USED,
    Certificate,
    Statement,
    digest_of,
    open_statement,
)
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.roles import MANAGES_USERS, Call, Role, roles_at
from sync.root_file import Root

MANY = (AlertKnown, AlertRecordsOpened, AlertStepTaken)  # a view of the list makes many
KEPT_US = HOUR_US  # what is too old to be fresh need not be remembered
JUDGED: tuple[type[Note], ...] = (
    AccessLogOpened, RootSet, AccountSet, CredentialSet, PersonKeySet, PasskeySet, SessionKeySet,
    SessionEnded, FreshProof, AdministratorNamed, ChangeDecided, SearchApproved, ShareDecided, Access,
    UnitLogsNamed, FindingOpened, *MADE,
)  # fmt: skip
SIGNER_KINDS = tuple(cls.KIND for cls in JUDGED)
"""The kinds of entries that say who can sign, or must be signed."""


@dataclass(slots=True)
class Signers:
    """The valid keys after the entries so far.

    `form`: the log's; `keyed_us`: when each key was set; `ever`: who ever had a key; `reset`: whose next key
    needs no certificate; `accounts`: each as last set; `designations`: until when a person is a designee;
    `unkeyed`: own passwords, by entry, whose key has not followed yet; `recent`: session keys certified
    within the hour; `named`: the administrator whom two offices named, until the account is set;
    `all_signed`: everything that a person made must be signed, else only `signed_kinds`; `grants_by_two`: a
    grant that can destroy takes two people; `once`: what the hour's calls made, each once.
    """

    department: bytes = b""
    form: int = 0
    root: Root | None = None
    keys: dict[str, PersonKeySet] = field(default_factory=dict)
    keyed_us: dict[str, int] = field(default_factory=dict)
    passkeys: dict[str, tuple[PasskeySet, ...]] = field(default_factory=dict)
    ever: set[str] = field(default_factory=set)
    reset: set[str] = field(default_factory=set)
    accounts: dict[str, AccountSet] = field(default_factory=dict)
    roles: dict[str, tuple[Role, ...]] = field(default_factory=dict)
    designations: dict[str, int] = field(default_factory=dict)
    unkeyed: dict[str, int] = field(default_factory=dict)
    sessions: dict[bytes, SessionSigner] = field(default_factory=dict)
    recent: dict[bytes, int] = field(default_factory=dict)
    named: str = ""
    named_at: int = -1
    all_signed: bool = False
    grants_by_two: bool = False
    signed_kinds: set[str] = field(default_factory=set)
    once: dict[bytes, int] = field(default_factory=dict)
    second: SecondHands = field(default_factory=SecondHands)
    proven: PersonProofs = field(default_factory=PersonProofs)

    def apply(self, entry: Entry) -> None:  # noqa: PLR0912 - one case per kind
        """Take in an entry that changes who can sign; one that does not count changes nothing. Raises
        UnsignedError, NewerError."""
        note = entry.note
        match note:
            case AccessLogOpened():
                self._open(entry, note)
            case RootSet():
                self._set_root(note, entry.stamp.at_us)
            case AdministratorNamed():
                self._name(entry, note)
            case AccountSet():
                self._set_account(entry, note)
            case CredentialSet():
                self._set_credential(entry, note)
            case PersonKeySet():
                self._set_key(entry, note)
            case PasskeySet() | FreshProof():
                self._set_passkey(entry, note)
            case SessionKeySet():
                self._open_session(entry, note)
            case SessionEnded():
                self._end_session(entry, note)
            case FindingOpened():
                self.second.findings[entry.sequence] = note.about
            case Access(action="export") if entry.signed:
                self.second.mark(exported_by(self.demand_signed(entry)), exported=True)
            case _ if isinstance(note, MADE):
                self.make(entry, self.demand_made(entry))
            case _ if isinstance(note, DECISIONS):
                self._decide(entry)

    def _open(self, entry: Entry, note: AccessLogOpened) -> None:
        """Set the rules of the log from its first entry."""
        if entry.sequence:
            raise UnsignedError("only the first entry opens a log")
        self.form = demand_form(note.signs)
        self.department = log_id_of(Ed25519PublicKey.from_public_bytes(note.public_key))
        second, form = self.second, self.form
        self.all_signed, self.grants_by_two = form >= ALL_SIGNED, form >= GRANTS_BY_TWO
        second.seen_by_two, second.all_trained = form >= SEEN_BY_TWO, form >= ALL_TRAINED
        second.bound_whole = second.seen_written = form >= BOUND_WHOLE
        second.shown_whole, second.judged_whole = form >= SHOWN_WHOLE, form >= JUDGED_WHOLE
        self.proven.once, self.proven.whole = form >= PROOFS_OF_ONE, form >= JUDGED_WHOLE

    def _decide(self, entry: Entry) -> None:
        """Take in a second person's decision, if a role may make it."""
        said = self.demand_signed(entry) if entry.signed or self.ever else None
        if said is not None and self.all_signed:
            call = DECIDES.get(said.call)
            if call is None:
                raise UnsignedError("the signed call decides nothing")
            self._demand_may(entry, said, call)
        if said is not None:
            self.demand_unused(entry.note, said)
        self.second.decide(entry, said, self.roles_of(entry.stamp.user, entry.stamp.at_us))
        if said is not None:
            self._use_once(entry, said)

    def check(self, entry: Entry) -> None:
        """Raises UnsignedError if an entry would not count, before it is made."""
        trial = Signers(**{one.name: copy.copy(getattr(self, one.name)) for one in fields(self)})
        trial.second = self.second.trial()
        trial.apply(entry)

    def demand_made(self, entry: Entry) -> Statement | None:
        """The signed call that made this entry, or None if it needs none. Raises UnsignedError."""
        late = isinstance(entry.note, SIGNED_LATE) and self.form < BY_OWN_HAND
        by_kind = not late and (self.all_signed or entry.note.KIND in self.signed_kinds)
        if not entry.signed and not (self.ever and by_kind):
            return None
        said = self.demand_signed(entry)
        shown = accounts_shown(self.form, self.accounts)
        rule = demand_made(entry.note, said, earlier=not self.second.shown_whole, accounts=shown)
        self._demand_may(entry, said, rule.calls[said.call])
        two = said.call in rule.two and (not is_configuration(said) or self.second.configures_by_two(said))
        if two or (self._grants_by_two(said) and can_destroy(entry.note)):
            about = holder_of(entry.note)
            self.second.demand_change(said, entry, needed=True, people=self.ever, about=about)
        if isinstance(entry.note, DesignationSet) and (about := entry.note.user):
            renews = self._renews(entry, about, self.roles.get(about, ()))
            self.second.demand_change(said, entry, needed=renews, people=self.ever, about=about)
        self.second.demand_there(entry.note, said.user)
        if self.second.bound_whole and isinstance(entry.note, GrantIssued):
            demand_log_named(said.fields())
            demand_own_key(entry.note, self.accounts.values())
        if isinstance(entry.note, DesignationSet) and not fits_designation(
            said, entry.note, entry.stamp.at_us, self.second.designation_days
        ):
            raise UnsignedError("the signed call gives it another end")
        if isinstance(entry.note, TrainingDone) and self.all_signed:
            held = self.roles.get(entry.note.user, ())
            self.second.demand_trainer(entry, entry.note, self.roles_of(said.user, entry.stamp.at_us), held)
        return said

    def _demand_may(self, entry: Entry, said: Statement, call: Call | None) -> None:
        """Raises UnsignedError without the role for a call or, from `ALL_TRAINED` on, the training."""
        self.second.demand_may(said, entry, self.roles_of(said.user, entry.stamp.at_us), call)

    def make(self, entry: Entry, said: Statement | None) -> None:
        """Take in an entry whose call `demand_made` gave. Raises UnsignedError."""
        note = entry.note
        if said is not None:
            self._use_once(entry, said)
            self.signed_kinds.add(note.KIND)
            self.second.spend(entry, said)
            if isinstance(note, GrantIssued):
                self.second.give(entry, said)
                self.grants_by_two = self._grants_by_two(said)
            if is_configuration(said):
                self.second.seen_by_two = self.second.configures_by_two(said)
        if isinstance(note, DesignationSet):
            self.designations[note.user] = note.ends_us
        self.second.make(entry, self.roles_of(entry.stamp.user, entry.stamp.at_us), signed=said is not None)

    def demand_unused(self, note: Note, said: Statement) -> bytes:
        """The key by which a call makes one entry per kind, person or alert. Raises UnsignedError."""
        about = to_bytes(note) if isinstance(note, MANY) else getattr(note, "user", "").encode()
        key = hashlib.sha256(digest_of(said) + note.KIND.encode() + b"\x00" + about).digest()
        if key in self.once:
            raise UnsignedError(USED)
        return key

    def _use_once(self, entry: Entry, said: Statement) -> None:
        forget(self.once, lambda at: entry.stamp.at_us - at >= KEPT_US)
        self.once[self.demand_unused(entry.note, said)] = entry.stamp.at_us

    def _grants_by_two(self, said: Statement) -> bool:
        """Whether grants take two people; in an older log, from the first form that can name a second on."""
        return self.grants_by_two or "approval" in said.fields()

    def demand_signed(self, entry: Entry) -> Statement:
        """The statement of an entry. Raises UnsignedError unless its person's session signed it."""
        stamp = entry.stamp
        if not entry.signed:
            raise UnsignedError("it has no signature")
        session = self.sessions.get(stamp.session)
        if session is None or session.user != stamp.user:
            raise UnsignedError(f"its session has no key of {stamp.user}")
        if stamp.at_us >= session.ends_us:
            raise UnsignedError("the key of its session had expired")
        self._demand_in_date(stamp.user, stamp.at_us)
        try:
            said = open_statement(entry.signed, session.public_key)
        except (StorageError, ValueError) as error:
            raise UnsignedError(f"its signature is not valid: {type(error).__name__}") from None
        if said.department != self.department or said.user != stamp.user:
            raise UnsignedError("the signature belongs to another person or department")
        if abs(said.at_us - stamp.at_us) > SIGNED_WITHIN_US:
            raise UnsignedError(
                f"the signature was made at another time: {apart_text(said.at_us, stamp.at_us)}"
            )
        if session.locked_us and said.at_us >= session.locked_us:
            raise UnsignedError("its session was locked")
        self.second.demand_stamp(stamp, self.roles_of(stamp.user, stamp.at_us), self.accounts, self.root)
        self.proven.demand(entry, said, session.from_us)
        return said

    def roles_of(self, user: str, at_us: int) -> tuple[Role, ...]:
        """The roles that a person holds at a time."""
        return roles_at(self.roles.get(user, ()), self.designations.get(user), at_us)

    def _demand_in_date(self, user: str, at_us: int) -> None:
        """Raises UnsignedError if a person's password has expired; then a passkey is not valid either."""
        set_us = self.keyed_us.get(user)
        if set_us is not None and at_us > set_us + self.second.password_days * DAY_US:
            raise UnsignedError(f"the password of {user} had expired")

    def _set_root(self, note: RootSet, at_us: int) -> None:
        try:
            if self.root is None:
                self.root = root_file.open_first(note.root_file, note.root_digest)
            else:
                self.root = root_file.open_next(note.root_file, self.root)
        except StorageError as error:
            raise UnsignedError(f"the root file is not valid: {type(error).__name__}") from None
        self.second.take_policy(note.policy_file, self.root.policy_digest, at_us, self.roles)

    def _name(self, entry: Entry, note: AdministratorNamed) -> None:
        named_administrator.demand_named(
            note.statement,
            note.user,
            self.root,
            sizes=range(self.named_at + 1, entry.sequence + 1),
            at_us=entry.stamp.at_us,
            dated=self.second.seen_by_two,
        )
        self.named, self.named_at = note.user, entry.sequence

    def _demand_roster(
        self, entry: Entry, about: str, *, two: bool, fits: Callable[[Statement], bool]
    ) -> Statement | None:
        """The call that made this change of the roster; None before the first key. Raises UnsignedError.

        `two`: it takes two authorized people.
        """
        if not self.ever:
            return None
        if entry.stamp.user == SYSTEM:
            raise UnsignedError(f"no person made this change of {about}")
        said = self.demand_signed(entry)
        if not fits(said):
            raise UnsignedError(f"the signed call makes another change, or does not change {about}")
        if MANAGES_USERS.isdisjoint(self.roles.get(entry.stamp.user, ())):
            raise UnsignedError(f"{entry.stamp.user} does not manage accounts")
        self.second.demand_change(said, entry, needed=two, people=self.ever, about=about)
        self._use_once(entry, said)
        self.second.spend(entry, said)
        return said

    def _set_account(self, entry: Entry, note: AccountSet) -> None:
        known, said = self.accounts.get(note.user), None
        if not (self.named and entry.stamp.user == SYSTEM and by_offices(note, known, self.named)):
            whole = self.second.shown_whole
            two = gains(note, known, whole=whole) or self._renews(entry, note.user, note.roles)
            two = note.active and two and not set(self.second.two_hands).isdisjoint(note.roles)
            fits = functools.partial(fits_account, note=note, known=known)
            said = self._demand_roster(entry, note.user, two=two, fits=fits)
            if whole and (owner := ssh_owner(note, self.accounts.values())):
                raise UnsignedError(f"an SSH key in it is {owner}'s")
        self.accounts[note.user] = note
        before = self.roles.get(note.user, ()) if note.active else ()
        self.second.keep_roles(note.user, set(note.roles).intersection(before))
        if note.active:
            self.second.take_account(note.user, note.roles, is_new=note.user not in self.roles)
            self.roles[note.user] = note.roles
            if said is not None and Role.DESIGNEE in note.roles:
                ends_us = designation_of(said, entry.stamp.at_us, self.second.designation_days)
                if ends_us is not None:
                    self.designations[note.user] = ends_us
            return
        self.roles.pop(note.user, None)
        self._drop_keys(note.user)
        self._end_sessions(note.user, b"")

    def _renews(self, entry: Entry, user: str, roles: tuple[Role, ...]) -> bool:
        """Whether a signed call extends a designation. Raises UnsignedError."""
        held_us = self.designations.get(user)
        if self.form < BY_OWN_HAND or held_us is None or Role.DESIGNEE not in roles or not entry.signed:
            return False
        at_us = entry.stamp.at_us
        ends_us = designation_of(self.demand_signed(entry), at_us, self.second.designation_days)
        return ends_us is not None and ends_us > held_us

    def _set_credential(self, entry: Entry, note: CredentialSet) -> None:
        if note.user == entry.stamp.user:
            if note.first:
                raise UnsignedError("a first password is given by another person")
            self._end_sessions(note.user, entry.stamp.session)
            if self.ever:
                self.unkeyed.setdefault(note.user, entry.sequence)
            return
        if self.named == note.user and entry.stamp.user == SYSTEM:
            now = {user: self.roles_of(user, entry.stamp.at_us) for user in self.roles}
            self.named, self.second.approved_once = "", self.second.approving(now)
        else:
            roles = self.roles.get(note.user, ())
            two = note.user not in self.second.fresh and not set(self.second.two_hands).isdisjoint(roles)
            self._demand_roster(entry, note.user, two=two, fits=lambda one: fits_credential(one, note))
        self.second.fresh.discard(note.user)
        self._drop_keys(note.user)
        self.reset.add(note.user)
        self._end_sessions(note.user, b"")

    def _set_key(self, entry: Entry, note: PersonKeySet) -> None:
        user = note.user
        if user != entry.stamp.user or user not in self.roles:
            raise UnsignedError(f"only {user} sets a key of {user}")
        known = self.keys.get(user)
        if known is not None:
            said = self._certified(entry, note.proof, known.public_key, user, NEXT_KEY)
            if said.public_key != note.public_key:
                raise UnsignedError(f"{user}'s key certified another one")
        elif user in self.ever and user not in self.reset:
            raise UnsignedError(f"{user} had a key, and no signed call reset it")
        self.keys[user] = note
        self.keyed_us[user] = entry.stamp.at_us
        self.unkeyed.pop(user, None)
        self.ever.add(user)
        self.reset.discard(user)

    def _drop_keys(self, user: str) -> None:
        for known in (self.keys, self.keyed_us, self.passkeys, self.unkeyed):
            known.pop(user, None)

    def _set_passkey(self, entry: Entry, note: PasskeySet | FreshProof) -> None:
        if isinstance(note, FreshProof):
            person, known = entry.stamp.user, self.keys.get(entry.stamp.user)

            def certified(message: bytes) -> bytes:
                if known is None:
                    raise UnsignedError(f"{person} has no key that could prove a call")
                return self._certified(entry, message, known.public_key, person, CALL_PROOF).public_key

            self.proven.add(entry, note, self.department, self.passkeys.get(person, ()), certified)
            return
        user, said = note.user, self.demand_signed(entry)
        if user != entry.stamp.user or not fits_passkey(said, note):
            raise UnsignedError(f"the signed call sets no such passkey of {user}")
        if self.second.shown_whole and (owner := passkey_owner(note, self.passkeys)):
            raise UnsignedError(f"that passkey is {owner}'s")
        self._use_once(entry, said)
        kept = tuple(one for one in self.passkeys.get(user, ()) if one.credential_id != note.credential_id)
        self.passkeys[user] = (*kept, note) if note.active else kept

    def _open_session(self, entry: Entry, note: SessionKeySet) -> None:
        known = self.keys.get(note.user)
        if note.user != entry.stamp.user or note.user not in self.roles:
            raise UnsignedError(f"{note.user} has no account that could certify a session")
        if is_passkey_certificate(note.certificate):
            keys = self.passkeys.get(note.user, ())
            said = certified_by_passkey(self.department, entry.stamp.at_us, note, keys)
        elif known is None:
            raise UnsignedError(f"{note.user} has no key that could certify a session")
        else:
            said = self._certified(entry, note.certificate, known.public_key, note.user, SESSION)
        use_certificate(self.recent, said, entry.stamp.at_us, opens=True)
        self.sessions = {key: one for key, one in self.sessions.items() if one.ends_us > entry.stamp.at_us}
        self.sessions[note.session] = SessionSigner(
            user=note.user, public_key=said.public_key, from_us=entry.stamp.at_us, ends_us=said.ends_us
        )

    def _certified(self, entry: Entry, message: bytes, by: bytes, user: str, use: str) -> Certificate:
        return certified(self.department, entry.stamp.at_us, message, by, user, use)

    def _end_session(self, entry: Entry, note: SessionEnded) -> None:
        session = self.sessions.get(note.session)
        if note.how in {"logoff", "ended"}:
            self.sessions.pop(note.session, None)
        elif session is not None:
            if note.how != "locked" and self.form >= BY_OWN_HAND:
                self._demand_unlocked(entry, note, session)
            locked_us = (session.locked_us or entry.stamp.at_us) if note.how == "locked" else 0
            self.sessions[note.session] = replace(session, locked_us=locked_us)

    def _demand_unlocked(self, entry: Entry, note: SessionEnded, session: SessionSigner) -> None:
        """Raises UnsignedError unless a session is unlocked by its own person."""
        user, known = session.user, self.keys.get(session.user)
        if entry.stamp.user != user or note.how != "unlocked":
            raise UnsignedError(f"only {user} opens that session again")
        if not note.certificate:
            self.proven.use_unlock(note.session, user, session.locked_us)
            return
        if known is None:
            raise UnsignedError(f"{user} has no key that could open the session again")
        said = self._certified(entry, note.certificate, known.public_key, user, SESSION)
        if said.public_key != session.public_key:
            raise UnsignedError("the certificate is of another session's key")
        use_certificate(self.recent, said, entry.stamp.at_us, opens=False)

    def _end_sessions(self, user: str, but: bytes) -> None:
        self.sessions = {key: one for key, one in self.sessions.items() if one.user != user or key == but}
