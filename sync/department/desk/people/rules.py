"""People at the desk: the roster, credentials and lock-outs; passwords and TOTP (RFC 6238).

A credential record (password hash, TOTP secret) is sealed beside the log, and its digest is in the log, so
that a swapped record is refused even with the right password. Passwords are hashed with argon2id (RFC 9106),
or with PBKDF2-HMAC-SHA-256 in the FIPS profile. A TOTP code is accepted once.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from storage.codec import to_bytes
from storage.errors import RecordError
from storage.evidence import is_line
from storage.roster import PBKDF2_ROUNDS
from storage.times import DAY_US
from sync.department.desk.people.passwords import MAX_PASSWORD
from sync.department.journal.change_entries import AuthenticatorKept, ChangeUsed, DesignationSet
from sync.department.journal.entries import (
    KEPT,
    AccountSet,
    CredentialSet,
    Entry,
    LockoutLifted,
    Logon,
    SessionEnded,
)
from sync.department.journal.entry_base import SYSTEM
from sync.department.journal.person_entries import FreshProof
from sync.department.journal.signed_roster import gains, ssh_owner
from sync.department.policy.desk_terms import weight
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, NotYetError, demand, refuse_each
from sync.department.policy.roles import SEARCHES, TAKES_TWO, Call, Role, roles_at
from sync.department.policy.system_terms import SecurityTerms

READABLE = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no two that look alike on paper
FIRST_PASSWORD_LETTERS = 16  # 92 bits
NEW_USER_NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}")
ARGON2, PBKDF2 = "argon2id", "pbkdf2-sha256"
TOTP_CODE = re.compile(r"[0-9]{6}")
TOTP_STEP_S = 30
TOTP_SLACK = 1  # time steps either way
MAX_SSH_KEYS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a person's login is checked against. The repr shows nothing."""

    user: str
    scheme: str
    password: str = field(repr=False)
    totp: str = field(repr=False)
    set_us: int
    first: bool

    def digest(self) -> bytes:
        """The digest in the log's entry. The random salt of the password hash keeps it from being guessed."""
        return hashlib.sha256(b"alpr-department/credential/v1\x00" + to_bytes(self)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """An account was made, widened or reset. `second`: who approved it; empty if one person did it alone."""

    entry: int
    user: str
    by: str
    second: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewerRemoved:
    """An account lost the role of a reviewer. `entry`: the entry that did it; `by`: the caller."""

    entry: int
    user: str
    by: str


@dataclass(slots=True)
class Accounts:
    """What the log's entries say of people: accounts, credential digests, failed logins, used codes.

    `makings`: who made each account and each credential; `approvers`: who ever held a role and had set their
    own password; `own_secrets`: the users whose authenticator no other person ever saw; `removed_reviewers`:
    who took the reviewer's role from whom; `left`: the entry that last removed an account.
    """

    accounts: dict[str, AccountSet] = field(default_factory=dict)
    credentials: dict[str, CredentialSet] = field(default_factory=dict)
    failures: dict[str, list[int]] = field(default_factory=dict)
    used_steps: dict[str, int] = field(default_factory=dict)
    last_roles: dict[str, tuple[Role, ...]] = field(default_factory=dict)
    ever_roles: dict[str, set[Role]] = field(default_factory=dict)
    ever_own: set[str] = field(default_factory=set)
    makings: list[Making] = field(default_factory=list)
    designations: dict[str, int] = field(default_factory=dict)
    credential_us: dict[str, int] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    own_secrets: set[str] = field(default_factory=set)
    removed_reviewers: list[ReviewerRemoved] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    _second: tuple[str, str, str] = ("", "", "")

    def apply(self, entry: Entry) -> None:
        note = entry.note
        if isinstance(note, AccountSet):
            self._set_account(entry, note)
        elif isinstance(note, ChangeUsed):
            self._second = (note.about, entry.stamp.user, note.second)
        elif isinstance(note, AuthenticatorKept):
            self.used_steps[note.user] = note.used_step
        elif isinstance(note, DesignationSet):
            self.designations[note.user] = note.ends_us
        elif isinstance(note, CredentialSet):
            self._set_credential(entry, note)
        elif isinstance(note, SessionEnded):
            self._take_proof(entry.stamp.user, note.totp_step if note.how == "unlocked" else -1)
        elif isinstance(note, FreshProof):
            self._take_proof(entry.stamp.user, note.totp_step)
        elif isinstance(note, LockoutLifted):
            self.failures.pop(note.user, None)
        elif isinstance(note, Logon):
            if note.proven:
                self.failures.pop(note.user, None)
                self.used_steps[note.user] = note.totp_step
            elif note.reason != "locked-out":
                self.failures.setdefault(note.user, []).append(entry.stamp.at_us)
                del self.failures[note.user][:-32]

    def _take_proof(self, user: str, totp_step: int) -> None:
        """Note a code that was accepted in an open session: it is used, and past failures are forgotten."""
        if totp_step >= 0:
            self.used_steps[user] = totp_step
            self.failures.pop(user, None)

    def _set_account(self, entry: Entry, note: AccountSet) -> None:
        before = self.accounts.get(note.user)
        known = set(before.roles) if before is not None and before.active else set()
        if before is not None and not note.active:
            note = replace(note, name=before.name)  # a removal gives the user name to no one else
        self.accounts[note.user] = note
        gone = known - (set(note.roles) if note.active else set())
        if Role.REVIEWER in gone:
            self.removed_reviewers.append(
                ReviewerRemoved(entry=entry.sequence, user=note.user, by=entry.stamp.user)
            )
        if note.roles:
            self.last_roles[note.user] = note.roles
            self.ever_roles.setdefault(note.user, set()).update(note.roles)
        if not note.active:  # a person who comes back gets a new credential
            self.left[note.user] = entry.sequence
            self.credentials.pop(note.user, None)
            self.own_secrets.discard(note.user)
            return
        if set(note.roles) - known:
            self._make(entry, note.user, "account")
        if before is None or not before.active:
            self.fresh.add(note.user)

    def _set_credential(self, entry: Entry, note: CredentialSet) -> None:
        self.credentials[note.user] = note
        self.used_steps.pop(note.user, None)  # those of the old secret; the next entry says which are used
        self.credential_us[note.user] = entry.stamp.at_us
        if not note.first:  # in an older log too, changing a first password made a new secret
            self.own_secrets.add(note.user)
        elif note.authenticator != KEPT:
            self.own_secrets.discard(note.user)
        if not note.first:
            self.ever_own.add(note.user)
            self.fresh.discard(note.user)
        elif note.user in self.fresh:  # the first credential of a new account
            self.fresh.discard(note.user)
        else:
            self._make(entry, note.user, "credential")

    def _make(self, entry: Entry, user: str, what: str) -> None:
        by = entry.stamp.user
        second = self._second[2] if self._second[:2] == (user, by) else ""
        self._second = ("", "", "")
        if by != SYSTEM:
            self.makings.append(Making(entry=entry.sequence, user=user, by=by, second=second, what=what))

    def roles_of(self, user: str, now_us: int) -> tuple[Role, ...]:
        """The roles that an active account holds now."""
        account = self.accounts.get(user)
        if account is None or not account.active:
            return ()
        return roles_at(account.roles, self.designations.get(user), now_us)

    def may_review(self, policy: Policy, user: str) -> bool:
        """Whether an active account may judge findings."""
        account = self.accounts.get(user)
        if account is None or not account.active:
            return False
        return Call.AUDIT_REVIEW in calls_of(policy, account.roles)

    def may_verify(self, policy: Policy, user: str, now_us: int) -> bool:
        """Whether an active account may verify alerts now."""
        return Call.ALERT_VERIFY in calls_of(policy, self.roles_of(user, now_us))

    def holders(self, role: Role) -> list[str]:
        """The active users with a role, sorted."""
        return sorted(one.user for one in self.accounts.values() if one.active and role in one.roles)


class _Account(Protocol):
    """What an account says of its person."""

    @property
    def user(self) -> str: ...
    @property
    def roles(self) -> tuple[Role, ...]: ...
    @property
    def active(self) -> bool: ...
    @property
    def ssh_keys(self) -> tuple[Any, ...]: ...


def check_account(policy: Policy, account: _Account) -> None:
    """Check what an account says. Raises FormError naming each wrong field."""
    clause = "463.3"

    def check_roles() -> None:
        roles = account.roles
        demand(roles or not account.active, "an account has at least one role", code="roles", clause=clause)
        alone = Role.VENDOR not in roles or len(roles) == 1
        demand(alone, "a vendor has no other role", code="roles", clause=clause)
        apart = Role.REVIEWER not in roles or not searches(policy, roles)
        demand(apart, "a reviewer of the log does not search", code="roles", clause="463.5 (c)")

    def check_given(name: str) -> None:
        given = weight(getattr(account, name))
        demand(given, f"AccountForm.{name}: must be given", code=name, clause=clause)

    refuse_each(
        lambda: demand(
            NEW_USER_NAME.fullmatch(account.user) and account.user != "system",
            "a user name is 2 to 32 of a-z 0-9 . _ -",
            code="user-name",
            clause=clause,
            fields=("user",),
        ),
        *(partial(check_given, name) for name in ("name", "organisation", "reason")),
        check_roles,
        lambda: demand(
            len(account.ssh_keys) <= MAX_SSH_KEYS,
            f"a person has at most {MAX_SSH_KEYS} SSH keys",
            code="ssh-key",
            clause=clause,
            fields=("ssh_keys",),
        ),
    )


def check_ssh_keys(roster: Accounts, account: AccountSet) -> None:
    """Refuse a key that another account has, since one person would then count as two. Raises FormError."""
    demand(
        not ssh_owner(account, roster.accounts.values()),
        "that SSH key is another person's",
        code="ssh-key",
        clause="463.3",
        cure="each person has a key of their own",
    )


def calls_of(policy: Policy, roles: Iterable[Role]) -> set[Call]:
    """Every call that these roles may make, with the roles that come with them."""
    return policy.calls_by(policy.effective_roles(tuple(roles)))


def searches(policy: Policy, roles: Iterable[Role]) -> bool:
    """Whether one of these roles may search for any content."""
    return not SEARCHES.isdisjoint(calls_of(policy, roles))


def takes_two(policy: Policy, roles: Iterable[Role]) -> bool:
    """Whether it takes two people to make, widen or reset an account with these roles (463.3, 463.4)."""
    return not TAKES_TWO.isdisjoint(calls_of(policy, roles))


def has_approvers(policy: Policy, roster: Accounts, user: str) -> bool:
    """Whether anyone except `user` could ever approve. Until then, the first administrator acts alone.

    A role that was taken away still counts, so that this state never returns.
    """
    return any(
        Call.CHANGE_APPROVE in calls_of(policy, roster.ever_roles.get(other, ()))
        for other in roster.ever_own
        if other != user
    )


def account_needs_second(
    policy: Policy, roster: Accounts, account: AccountSet, *, designated_us: int = 0
) -> bool:
    """Whether setting this account needs a second person.

    It does if the account gains a role that takes two people. It does if an account with such a role gets
    another name (and so perhaps another person), an SSH key, or a designation that ends later than
    `designated_us`.

    To take a role, a key or an account away never waits.
    """
    renews = account.active and designated_us > roster.designations.get(account.user, designated_us)
    gained = gains(account, roster.accounts.get(account.user))
    return (gained or renews) and takes_two(policy, account.roles)


def credential_needs_second(policy: Policy, roster: Accounts, user: str) -> bool:
    """Whether a new credential needs a second person. The first one of a new account came with that
    approval."""
    account = roster.accounts.get(user)
    return account is not None and user not in roster.fresh and takes_two(policy, account.roles)


def check_one_administrator(roster: Accounts, account: AccountSet) -> None:
    """Refuse a second administrator, since 463.4 names one and another takes over. Raises DeskRefusal."""
    before = roster.accounts.get(account.user)
    was = before is not None and before.active and Role.ADMINISTRATOR in before.roles
    if (
        account.active
        and Role.ADMINISTRATOR in account.roles
        and not was
        and roster.holders(Role.ADMINISTRATOR)
    ):
        raise DeskRefusal(
            "there is an administrator, and the policy names one",
            code="second-administrator",
            clause="463.4",
            cure="hand the office over under People, or with: department user hand-over",
        )


_ARGON2 = PasswordHasher()  # verifies with the parameters in each hash


def hash_password(terms: SecurityTerms, password: str) -> tuple[str, str]:
    """(scheme, hash) of a new password, under the profile in force."""
    if terms.approved:
        salt = os.urandom(16)
        value = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, PBKDF2_ROUNDS)
        return PBKDF2, f"{PBKDF2_ROUNDS}${salt.hex()}${value.hex()}"
    hasher = PasswordHasher(time_cost=terms.argon2_passes, memory_cost=terms.argon2_memory_kib, parallelism=1)
    return ARGON2, hasher.hash(password)


def is_password(password: str) -> bool:
    """Whether a text can be a password at all. Others are not hashed."""
    return len(password) <= MAX_PASSWORD and is_line(password)


def password_matches(credential: Credential, password: str) -> bool:
    """Compare a password with the credential's hash, under its scheme and in constant time."""
    if not is_password(password):
        return False
    if credential.scheme == PBKDF2:
        try:
            rounds, salt, value = credential.password.split("$")
            made = hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), int(rounds))
            return hmac.compare_digest(made, bytes.fromhex(value))
        except ValueError:
            return False
    try:
        return _ARGON2.verify(credential.password, password)
    except (VerificationError, InvalidHashError):
        return False


def new_credential(
    terms: SecurityTerms, user: str, password: str, now_us: int, *, first: bool, totp: str = ""
) -> Credential:
    """Make a credential, with a fresh TOTP secret unless one is kept.

    `first`: another person made it, so its owner can only change it.
    """
    scheme, hashed = hash_password(terms, password)
    secret = totp or pyotp.random_base32()
    return Credential(user=user, scheme=scheme, password=hashed, totp=secret, set_us=now_us, first=first)


def expires_us(terms: SecurityTerms, set_us: int) -> int:
    """From when on a password set at `set_us` only lets its owner change it."""
    return set_us + terms.password_max_days * DAY_US


def demand_in_date(terms: SecurityTerms, set_us: int, now_us: int) -> None:
    """Refuse an expired password, which its owner can only change. Raises NotYetError."""
    if now_us > expires_us(terms, set_us):
        raise NotYetError(
            "this password has expired: set a new one first",
            code="password-expired",
            clause="CJIS IA-5",
            cure="set it under My account, or with: department user password",
        )


def demand_approved(terms: SecurityTerms, credential: Credential | None) -> None:
    """Refuse an older password in the FIPS profile, which its owner can only change. Raises NotYetError."""
    if terms.approved and (credential is None or credential.scheme != PBKDF2):
        raise NotYetError(
            "this password was hashed before the FIPS profile came into force: set it again",
            code="password-scheme",
            clause="CJIS SC-13",
            cure="set it under My account, or with: department user password",
        )


def nobody(terms: SecurityTerms) -> Credential:
    """The credential for unknown users, so that a wrong name takes as long as a wrong password."""
    return _nobody(terms.profile, terms.argon2_memory_kib, terms.argon2_passes)


@functools.cache
def _nobody(profile: str, memory_kib: int, passes: int) -> Credential:
    password = one_time_password()
    if profile == "fips":
        scheme, hashed = PBKDF2, f"{PBKDF2_ROUNDS}${'00' * 16}${'00' * 32}"
    else:
        hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        scheme, hashed = ARGON2, hasher.hash(password)
    return Credential(user="", scheme=scheme, password=hashed, totp="", set_us=0, first=False)


def one_time_password() -> str:
    """Make a first password, which is handed over once."""
    return "".join(secrets.choice(READABLE) for _ in range(FIRST_PASSWORD_LETTERS))


def totp_uri(user: str, secret: str, department: str) -> str:
    """The URI that a phone's authenticator scans."""
    return pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=f"{department} ALPR")


def totp_step(credential: Credential, code: str, now_us: int, used: int) -> int | None:
    """The time step of a code under a credential's secret; see `step_of`."""
    return step_of(credential.totp, code, now_us, used)


def step_of(secret: str, code: str, now_us: int, used: int) -> int | None:
    """The time step of `code`, newer than `used` and at most one step off; None if there is none.

    Only six ASCII digits are a code, since `compare_digest` raises for other characters.
    """
    if not TOTP_CODE.fullmatch(code):
        return None
    now = now_us // 1_000_000 // TOTP_STEP_S
    totp = pyotp.TOTP(secret)
    for step in range(now - TOTP_SLACK, now + TOTP_SLACK + 1):
        if hmac.compare_digest(totp.at(step * TOTP_STEP_S), code) and step > used:
            return step
    return None


def parse_roles(names: str) -> tuple[Role, ...]:
    """Parse a comma-separated list of roles. Raises RecordError."""
    given = [name.strip() for name in names.split(",") if name.strip()]
    for name in given:
        if name not in set(Role):
            raise RecordError(f"{name[:32]!r} is not a role", where="roles", cure="one of " + ", ".join(Role))
    return tuple(Role(name) for name in given)
