"""The forms and answers of logins, unlocks and proofs. No repr shows a secret."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginForm:
    """The user who is about to log in, before the password is typed."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a client needs to make a person's key.

    `department`: the access log's id; `now_us`: the department's time. An unknown name gets an answer too, as
    does a person who has no key yet and logs in with the password itself.
    """

    department: bytes
    salt: bytes
    scheme: str
    now_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogonForm:
    """User, password and current code. `post`: the staffed post at which the person sits, if any.

    `certificate`: replaces the password by a session key that the person's key certified. `passkey`: replaces
    user, password and code by an authenticator's answer as JSON. `proves`: whether the login is a fresh proof
    too, for the session of one command; not with a passkey.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    post: str = ""
    certificate: bytes = field(default=b"", repr=False)
    passkey: str = field(default="", repr=False)
    proves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockForm:
    """The same person's password and code, for a locked session.

    `certificate`: replaces the password by a new certificate of the session's key, made by the person's key.
    `passkey`: replaces all of them by a passkey's answer as JSON.
    """

    password: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    passkey: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveForm:
    """A fresh proof for one call in an open session: password and code.

    `certificate`: replaces the password by the person's key's signature over the call's challenge, with the
    challenge's `nonce`. `passkey`: replaces all of them by a passkey's answer as JSON. `proof`: as named in
    the call's refusal; by default that of the last refused call.
    """

    password: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    nonce: bytes = b""
    passkey: str = field(default="", repr=False)
    proof: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskProofForm:
    """Asks for the options of a fresh proof by passkey. `proof`: as for `ProveForm`."""

    proof: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshlyProven:
    """A fresh proof: its entry, its kind (code or passkey), its call, and until when it is good."""

    entry: int
    how: str
    call: str
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """A session's person, roles and end. `locks_after_min`: after how many idle minutes it locks, -1 for
    never.

    `must_change`: why only the password can be changed: first-password, password-expired, or empty;
    `replaces_authenticator`: whether that change makes a new authenticator too, because another person made
    the present one.
    """

    user: str
    name: str
    organisation: str
    roles: tuple[str, ...]
    expires_us: int
    locks_after_min: int
    password_ends_us: int
    must_change: str
    replaces_authenticator: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedOn(Me):
    """The answer to a login: the session and its token."""

    token: str = field(repr=False)
