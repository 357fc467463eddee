"""The roster and credentials as calls of the desk (463.3, 463.4)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from storage.codec import to_plain
from storage.counts import counted
from storage.ssh_signature import SshPublicKey, SshSignatureError
from storage.times import DAY_US
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.forms import Entered, NothingForm, first_entered
from sync.department.desk.people import keys, rules, training
from sync.department.desk.people.on_roster import (
    acts_alone,
    check_same_person,
    demand_active,
    fewer_approvers,
    unknown,
)
from sync.department.desk.people.passwords import check_password
from sync.department.desk.people.rules import one_time_password, totp_uri
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import (
    AuthenticatorKept,
    ChangeProposed,
    ChangeUsed,
    DesignationSet,
)
from sync.department.journal.entries import (
    ASKED_FOR,
    KEPT,
    REPLACED,
    AccountSet,
    LockoutLifted,
    Shift,
)
from sync.department.journal.passkeys import OWN_PASSWORD, ProvenUse
from sync.department.journal.signed_roster import accounts_shown, words_of
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import (
    DeskRefusal,
    FormError,
    NotYetError,
    refuse_each,
)
from sync.department.policy.roles import Call, Role
from sync.department.policy.system_terms import SecurityTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountForm:
    """A person as the roster will show them. `active` False removes them.

    `ssh_keys`: lines of public key files, for the keys that let them in at a unit; `ends_us`: when a
    designation ends, -1 for the policy's longest. `propose`: only ask for a second person; `approval`: the
    approved proposal, or -1.
    """

    user: str
    name: str
    organisation: str
    roles: tuple[Role, ...]
    reason: str
    shift: Shift | None = None
    active: bool = True
    ssh_keys: tuple[str, ...] = ()
    ends_us: int = -1
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class UserForm:
    """One user, and why."""

    user: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialForm:
    """A new first password for a person, and why. `propose`, `approval`: as for an account.

    `keep_authenticator`: the person lost only the password, and logs in with the new one and the phone's next
    code.
    """

    user: str
    reason: str
    keep_authenticator: bool = False
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverForm:
    """The hand-over of the administrator's office (463.4) to `user`.

    The caller keeps `keep_roles`, or leaves the roster if there are none.
    """

    user: str
    reason: str
    keep_roles: tuple[Role, ...] = ()
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A first password and authenticator secret, shown once. The repr shows neither.

    `password`: empty if the person chose their own; `totp_uri`: empty if the authenticator stays. `entry`:
    the proposal, if the call only asked for a second person, else -1.
    """

    user: str
    password: str = field(repr=False)
    totp_uri: str = field(repr=False)
    entry: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person on the roster, with the state of their training: current, expired or none.

    `shift`: in the department's local time, or empty; `ssh_keys`: fingerprints; `ssh_lines`: the keys
    themselves; `designation_ends_us`: 0 if there is no designation.
    """

    user: str
    name: str
    organisation: str
    roles: tuple[Role, ...]
    active: bool
    shift: str
    ssh_keys: tuple[str, ...]
    training: str
    training_ends_us: int
    designation_ends_us: int
    ssh_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntered(Entered):
    """The entry of an account or of its proposal.

    `warning`: who is left to approve, if that is one person or no one.
    """

    warning: str = ""


def set_account(front: DeskContext, token: str, form: AccountForm) -> AccountEntered:
    """Add, change or remove another person."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[AccountEntered]:
        if form.user == caller.user:
            raise DeskRefusal(
                "another person must change your account",
                code="own-account",
                clause="463.4",
                cure="if you leave, hand the office over under People, or with: department user hand-over",
            )
        check_account(desk.policy, form, caller.at_us)
        account = AccountSet(
            user=form.user,
            name=form.name,
            organisation=form.organisation,
            roles=form.roles,
            shift=form.shift,
            active=form.active,
            reason=form.reason,
            ssh_keys=_blobs(form.ssh_keys),
        )
        rules.check_ssh_keys(desk.book.roster, account)
        check_same_person(desk.book.roster, account)
        rules.check_one_administrator(desk.book.roster, account)
        designation = _designation(desk.policy, form, caller.at_us)
        ends_us = designation[0].ends_us if designation else 0
        needed = rules.account_needs_second(desk.policy, desk.book.roster, account, designated_us=ends_us)
        second = second_of(desk, caller, "user/set", form, needed=needed)
        if isinstance(second, ChangeProposed):
            return [second], lambda made: AccountEntered(entry=made[0].sequence)
        notes = [*second, account, *designation]
        warning = fewer_approvers(desk.policy, desk.book.roster, account, caller.user, caller.at_us)
        return notes, lambda made: AccountEntered(entry=made[len(second)].sequence, warning=warning)

    made = desk.act(token, Call.USER_MANAGE, plan)
    front.notify_units()
    return made


def check_account(policy: Policy, form: AccountForm, now_us: int) -> None:
    """Check what the policy asks of an account's form. Raises FormError naming each wrong field."""
    refuse_each(
        lambda: rules.check_account(policy, form),
        lambda: _blobs(form.ssh_keys),
        lambda: _designation(policy, form, now_us),
    )


def _designation(policy: Policy, form: AccountForm, now_us: int) -> list[DesignationSet]:
    """The end of a designation, if the roles have one. Raises FormError beyond the policy's longest."""
    if Role.DESIGNEE not in form.roles or not form.active:
        return []
    days = policy.people.designation_days_max
    ends_us = form.ends_us if form.ends_us >= 0 else now_us + days * DAY_US
    if not now_us < ends_us <= now_us + days * DAY_US:
        raise FormError(
            f"a designation ends within {counted(days, 'day')}",
            code="designation",
            clause="463.6 (b)",
            fields=("ends_us",),
        )
    return [DesignationSet(user=form.user, ends_us=ends_us)]


def second_of(
    desk: Desk, caller: Caller, call: str, form: Any, *, needed: bool
) -> ChangeProposed | list[ChangeUsed]:
    """The second person of a change to the roster. Raises DeskRefusal.

    For an administrator who `acts_alone`, the entry shows that one person made the change.
    """
    signers = desk.book.signers
    shown = accounts_shown(signers.form, signers.accounts)
    about, summary = words_of(call, to_plain(form), caller.user, shown) or ("", "")
    alone = acts_alone(desk.policy, desk.book.roster, signers, caller.user)
    return desk.second_person(caller, call, form, about=about, summary=summary, needed=needed, alone=alone)


def hand_office_over(front: DeskContext, token: str, form: HandoverForm) -> Entered:
    """Make another person the administrator (463.4) and stop being it, in one step that takes two people."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        known = desk.book.roster.accounts
        heir, mine = known.get(form.user), known[caller.user]
        if heir is None or not heir.active or form.user not in desk.book.roster.ever_own:
            raise FormError(
                "the next administrator must be on the roster and have set their own password",
                code="no-such-user",
                clause="463.4",
            )
        if form.user == caller.user or Role.ADMINISTRATOR not in mine.roles:
            raise DeskRefusal(
                "the administrator hands over to another person", code="own-account", clause="463.4"
            )
        if Role.ADMINISTRATOR in form.keep_roles:
            raise FormError("the policy names one administrator", code="second-administrator", clause="463.4")
        next_one = replace(
            heir, roles=(*dict.fromkeys((*heir.roles, Role.ADMINISTRATOR)),), reason=form.reason
        )
        left = replace(mine, roles=form.keep_roles, active=bool(form.keep_roles), reason=form.reason)
        rules.check_account(desk.policy, next_one)
        rules.check_account(desk.policy, left)
        second = second_of(desk, caller, "user/hand-over", form, needed=True)
        if isinstance(second, ChangeProposed):
            return [second], first_entered
        return [*second, next_one, left], lambda made: Entered(entry=made[len(second)].sequence)

    made = desk.act(token, Call.USER_MANAGE, plan)
    front.notify_units()
    return made


def _blobs(lines: tuple[str, ...]) -> tuple[bytes, ...]:
    """Decode public key lines into binary form. Raises FormError."""
    try:
        return tuple(SshPublicKey.from_line(line).blob for line in lines)
    except SshSignatureError as error:
        raise FormError(
            error.what, code="ssh-key", clause="463.3", cure=error.cure, fields=("ssh_keys",)
        ) from None


def new_credential(front: DeskContext, token: str, form: CredentialForm) -> HandedOver:
    """Make a new first password for another person, and a new authenticator secret unless theirs is kept.

    This ends their sessions.
    """
    desk = front.desk

    def plan(caller: Caller) -> Plan[HandedOver]:
        roster = desk.book.roster
        if form.user == caller.user:
            raise DeskRefusal("another person must reset your credential", code="own-account", clause="463.4")
        demand_active(roster.accounts, form.user, clause="463.3")
        demand_words(form.reason, "say why", code="reason", clause="463.4")
        if form.keep_authenticator and form.user not in roster.own_secrets:
            raise FormError(
                "that person has no authenticator of their own to keep",
                code="authenticator",
                clause="CJIS IA-5",
                cure="give a new one: leave keep_authenticator out",
            )
        needed = rules.credential_needs_second(desk.policy, roster, form.user)
        second = second_of(desk, caller, "user/credential", form, needed=needed)
        if isinstance(second, ChangeProposed):
            return [second], lambda made: HandedOver(
                user=form.user, password="", totp_uri="", entry=made[0].sequence
            )
        desk.follow_up(caller.stamp(), *second)
        made = hand_over(desk, form.user, caller, keep_authenticator=form.keep_authenticator)
        return [], lambda _entries: made

    return desk.act(token, Call.USER_MANAGE, plan)


def hand_over(desk: Desk, user: str, caller: Caller, *, keep_authenticator: bool = False) -> HandedOver:
    """Make and enter a credential, and return what its owner needs. Raises FormError."""
    password, terms = one_time_password(), desk.policy.security
    if not keep_authenticator:
        credential = rules.new_credential(terms, user, password, caller.at_us, first=True)
        desk.set_credential(credential, caller.stamp())
        return HandedOver(
            user=user,
            password=password,
            totp_uri=totp_uri(credential.user, credential.totp, desk.policy.department),
        )
    known, used_step = desk.credential(user), desk.book.roster.used_steps.get(user, -1)
    if known is None:
        raise FormError("that person's credential was swapped", code="authenticator", clause="CJIS IA-5")
    credential = rules.new_credential(terms, user, password, caller.at_us, first=True, totp=known.totp)
    desk.set_credential(credential, caller.stamp(), authenticator=KEPT)
    desk.follow_up(caller.stamp(), AuthenticatorKept(user=user, used_step=used_step))
    return HandedOver(user=user, password=password, totp_uri="")


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordForm:
    """A new password of your own. `new_authenticator`: also a new secret for the phone.

    `code`: a code of the new authenticator, if `user/authenticator` gave this session one.
    """

    old: str = field(repr=False)
    new: str = field(repr=False)
    new_authenticator: bool = False
    code: str = field(default="", repr=False)


def new_authenticator(front: DeskContext, token: str, form: NothingForm) -> HandedOver:  # noqa: ARG001
    """Make the secret of a new authenticator for yourself. Only `user/password`, with a code of it, puts it
    in force."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[HandedOver]:
        secret = desk.new_secrets.make(caller.session, caller.at_us)
        uri = totp_uri(caller.user, secret, desk.policy.department)
        return [], lambda _entries: HandedOver(user=caller.user, password="", totp_uri=uri)

    return desk.act(token, Call.POLICY_READ, plan)


def set_password(front: DeskContext, token: str, form: PasswordForm) -> HandedOver:
    """Set your own password. The authenticator stays, unless another person made it or you ask for a new one.

    A new one, from `user/authenticator`, needs a code of it; nothing changes until the code is right.

    `user/me` shows beforehand whether a new one is needed.
    """
    desk = front.desk

    def plan(caller: Caller) -> Plan[HandedOver]:
        known, log_id = desk.credential(caller.user), desk.log.log_id
        terms, before = desk.policy.security, desk.book.signers.keys.get(caller.user)
        if not caller.proven and not _must_change(terms, known, caller.at_us):
            raise desk.unproven(caller.session, ProvenUse(use=OWN_PASSWORD, form=b""))
        here, throttle = f"session {caller.session.hex()}", desk.throttle
        throttle.demand_open(desk.policy.sessions, here, caller.user, caller.at_us)
        proven = keys.prove(terms, log_id, caller.user, known, before, form.old)
        if known is None or not proven.matches:
            throttle.failed(desk.policy.sessions, here, caller.user, caller.at_us)
            raise DeskRefusal("the old password is wrong", code="password", clause="CJIS IA-5")
        if form.old == form.new:
            what, cure = "that is the old password", "choose another one"
            raise FormError(what, code="password", clause="CJIS IA-5", cure=cure)
        check_password(desk.policy, caller.user, form.new)
        replaced = caller.user not in desk.book.roster.own_secrets
        renews = replaced or form.new_authenticator
        secrets = desk.new_secrets
        totp, used_step = known.totp, desk.book.roster.used_steps.get(caller.user, -1)
        if renews:
            totp, used_step = secrets.confirmed(caller.session, form.code, caller.at_us, *desk.phone_times())
        fresh = rules.new_credential(terms, caller.user, form.new, caller.at_us, first=False, totp=totp)
        authenticator = REPLACED if replaced else ASKED_FOR if renews else KEPT
        desk.set_credential(fresh, caller.stamp(), authenticator=authenticator)
        certified_by = proven.key if before is not None else None
        key = keys.next_key(terms, log_id, caller.user, form.new, certified_by, caller.at_us)
        used = AuthenticatorKept(user=caller.user, used_step=used_step)
        made = HandedOver(user=caller.user, password="", totp_uri="")
        desk.follow_up(caller.stamp(), used, key)  # dated after the credential, which takes time to make
        secrets.forget(caller.session)
        return [], lambda _entries: made

    return desk.act(token, Call.POLICY_READ, plan)


def _must_change(terms: SecurityTerms, known: rules.Credential | None, now_us: int) -> bool:
    """Whether this password only lets its owner change it."""
    if known is None or known.first:
        return True
    try:
        rules.demand_approved(terms, known)
        rules.demand_in_date(terms, known.set_us, now_us)
    except NotYetError:
        return True
    return False


def lift_lockout(front: DeskContext, token: str, form: UserForm) -> Entered:
    """Lift a lock-out, with a reason."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        if form.user == caller.user:
            raise DeskRefusal("another person must lift your lockout", code="own-account", clause="CJIS AC-7")
        demand_words(form.reason, "say why", code="reason", clause="CJIS AC-7")
        if form.user not in desk.book.roster.accounts:
            raise unknown(form.user, clause="CJIS AC-7")
        return [LockoutLifted(user=form.user, reason=form.reason)], first_entered

    return desk.act(token, Call.USER_MANAGE, plan)


def roster(front: DeskContext, token: str, form: NothingForm) -> tuple[Person, ...]:  # noqa: ARG001
    """List the whole roster to people who record training, and to others only themselves."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Person, ...]]:
        sees_all = any(Call.TRAINING_RECORD in desk.policy.grants.get(role, ()) for role in caller.roles)
        shown = tuple(
            person(desk, account, caller.at_us)
            for account in sorted(desk.book.roster.accounts.values(), key=lambda one: one.user)
            if sees_all or account.user == caller.user
        )
        return [], lambda _entries: shown

    return desk.act(token, Call.TRAINING_READ, plan)


def person(desk: Desk, account: AccountSet, now_us: int) -> Person:
    """A person with the state of their training."""
    done = desk.book.trainings.newest.get(account.user)
    ends = training.ends_us(desk.policy, done) if done else 0
    state = "none" if done is None else "current" if now_us < ends else "expired"
    return Person(
        user=account.user,
        name=account.name,
        organisation=account.organisation,
        roles=account.roles,
        active=account.active,
        shift=account.shift.text() if account.shift else "",
        ssh_keys=tuple(SshPublicKey(blob).fingerprint for blob in account.ssh_keys),
        training=state,
        training_ends_us=ends,
        designation_ends_us=desk.book.roster.designations.get(account.user, 0),
        ssh_lines=tuple(SshPublicKey(blob).line for blob in account.ssh_keys),
    )
