"""What a logon and an unlock send. The repr shows no secret."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginForm:
    """The user who is going to log on, before the password is typed."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a client makes a person's key with.

    `department`: the access log's id; `now_us`: the department's time. An unknown name is answered
    too; so is a person without a key yet, who logs on with the password itself.
    """

    department: bytes
    salt: bytes
    scheme: str
    now_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogonForm:
    """User, password and the code of the moment; `post`: a staffed post, where the person sits at one.

    `certificate`: instead of the password, a session's key that the person's key certified. `passkey`:
    instead of user, password and code, an authenticator's answer as JSON. `proves`: it is a fresh proof too,
    for the session of one command; not with a passkey.
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
    """The same person's password and code, for a locked session, or instead of the password a new certificate
    of the session's own key by theirs; or a passkey's answer as JSON, alone."""

    password: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    passkey: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveForm:
    """A fresh proof of one call in an open session: password and code, or instead of the password a
    certificate by the person's key over the call's challenge, with the challenge's `nonce`; or a passkey's
    answer as JSON, alone. `proof`: as the call's refusal named it; else the call that was refused last."""

    password: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    nonce: bytes = b""
    passkey: str = field(default="", repr=False)
    proof: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskProofForm:
    """A passkey is asked for a fresh proof. `proof`: as for `ProveForm`."""

    proof: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshlyProven:
    """A fresh proof: its entry, how (code or passkey), of which call, and until when it is good."""

    entry: int
    how: str
    call: str
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Whose a session is, in which roles, until when; `locks_after_min`: idle minutes to its lock, -1: never.

    `must_change`: why only the password can be changed: first-password, password-expired, or empty;
    `replaces_authenticator`: that change makes a new authenticator too, because another person made this one.
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
    """A session as its logon answers it: the same, and its token."""

    token: str = field(repr=False)
