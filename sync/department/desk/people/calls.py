"""The roster, credentials and training at the desk (463.3, 463.4, 463.9)."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.ssh_signature import SshPublicKey, SshSignatureError
from sync.department.desk.context import Front
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.calls import Entered, NothingForm
from sync.department.desk.people import rules as people
from sync.department.desk.people import training
from sync.department.desk.people.rules import one_time_password, totp_uri
from sync.department.journal.entries import AccountSet, Entry, LockoutLifted, Shift, TrainingDone
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Call, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountForm:
    """A person as he is to stand in the roster. `active` False removes him.

    `ssh_keys`: lines of public key files, with which he proves himself at a unit.
    """

    user: str
    name: str
    organisation: str
    roles: tuple[Role, ...]
    reason: str
    shift: Shift | None = None
    active: bool = True
    ssh_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserForm:
    """One user, and why."""

    user: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A first password and authenticator secret, shown once. The repr shows neither."""

    user: str
    password: str = field(repr=False)
    totp_uri: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingForm:
    """463.9: what a training record says."""

    user: str
    trainer: str
    course: str
    policy_version: int
    topics: tuple[str, ...]
    held_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person of the roster with the state of his training: current, expired or none.

    `shift`: by the department's clock, or empty; `ssh_keys`: fingerprints.
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


def _first(entries: list[Entry]) -> Entered:
    return Entered(entry=entries[0].sequence)


def set_account(front: Front, token: str, form: AccountForm) -> Entered:
    """Add, change or remove a person; nobody changes his own roles."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        if form.user == caller.user:
            raise DeskRefusal("nobody changes his own account", code="own-account", clause="463.4")
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
        people.check_account(desk.policy, account)
        return [account], _first

    made = desk.act(token, Call.USER_MANAGE, plan)
    front.tell_units()
    return made


def _blobs(lines: tuple[str, ...]) -> tuple[bytes, ...]:
    """Public key lines in binary form. Raises FormError."""
    try:
        return tuple(SshPublicKey.from_line(line).blob for line in lines)
    except SshSignatureError as error:
        raise FormError(error.what, code="ssh-key", clause="463.3", cure=error.cure) from None


def new_credential(front: Front, token: str, form: UserForm) -> HandedOver:
    """A new first password and authenticator secret for somebody else; ends all he had."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[HandedOver]:
        if form.user == caller.user:
            raise DeskRefusal("nobody resets his own credential", code="own-account", clause="463.4")
        if form.user not in desk.book.roster.accounts:
            raise FormError("nobody of that name is on the roster", code="no-such-user", clause="463.3")
        made = hand_over(desk, form.user, caller)
        return [], lambda _entries: made

    return desk.act(token, Call.USER_MANAGE, plan)


def hand_over(desk: Desk, user: str, caller: Caller) -> HandedOver:
    """Make and enter a credential; gives what its owner needs."""
    password = one_time_password()
    terms = desk.policy.security
    credential = people.new_credential(terms, user, password, caller.at_us, first=True)
    desk.set_credential(credential, caller.stamp())
    return HandedOver(user=user, password=password, totp_uri=totp_uri(credential, desk.policy.department))


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordForm:
    """One's own password, changed."""

    old: str = field(repr=False)
    new: str = field(repr=False)


def set_password(front: Front, token: str, form: PasswordForm) -> HandedOver:
    """Set one's own password; a new authenticator secret comes with it, which nobody else has seen."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[HandedOver]:
        known = desk.credential(caller.user)
        if known is None or not people.password_matches(known, form.old):
            raise DeskRefusal("the old password is wrong", code="password", clause="CJIS IA-5")
        if form.old == form.new:
            raise FormError("that is the old password", code="password", clause="CJIS IA-5")
        people.check_password(desk.policy, caller.user, form.new)
        terms = desk.policy.security
        fresh = people.new_credential(terms, caller.user, form.new, caller.at_us, first=False)
        desk.set_credential(fresh, caller.stamp())
        made = HandedOver(user=caller.user, password="", totp_uri=totp_uri(fresh, desk.policy.department))
        return [], lambda _entries: made

    return desk.act(token, Call.POLICY_READ, plan)


def lift_lockout(front: Front, token: str, form: UserForm) -> Entered:
    """Lift a lock-out, with a reason."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        if form.user == caller.user or not form.reason.strip():
            raise DeskRefusal("somebody else lifts it, and says why", code="own-account", clause="CJIS AC-7")
        if form.user not in desk.book.roster.accounts:
            raise FormError("nobody of that name is on the roster", code="no-such-user", clause="CJIS AC-7")
        return [LockoutLifted(user=form.user, reason=form.reason)], _first

    return desk.act(token, Call.USER_MANAGE, plan)


def record_training(front: Front, token: str, form: TrainingForm) -> Entered:
    """Enter a training."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        note = TrainingDone(
            user=form.user,
            trainer=form.trainer,
            course=form.course,
            policy_version=form.policy_version,
            topics=form.topics,
            held_us=form.held_us,
        )
        training.check_record(
            desk.policy,
            desk.book.roster.accounts,
            note,
            recorder=caller.user,
            roles=caller.roles,
            now_us=caller.at_us,
        )
        return [note], _first

    made = desk.act(token, Call.TRAINING_RECORD, plan)
    front.tell_units()
    return made


def roster(front: Front, token: str, form: NothingForm) -> tuple[Person, ...]:  # noqa: ARG001
    """Everybody for whom trains or manages; oneself for anybody else."""
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
    """A person with the state of his training."""
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
    )
