"""Compares entries of the roster field by field with the calls that administrators signed. No I/O.

Otherwise root at the department's server could write any account, first password or designation under an
administrator's signature for something else: another role, another SSH key, a reset instead of a new shift.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from storage.codec import to_plain
from storage.errors import StorageError
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US
from sync.department.journal.change_entries import DesignationSet
from sync.department.journal.entries import BY_OWN_HAND, KEPT, AccountSet, CredentialSet
from sync.department.journal.statements import SIGNED_WITHIN_US, Statement
from sync.department.policy.roles import Role

AS_SET = ("user", "name", "organisation", "roles", "reason", "shift", "active")
Form = Mapping[str, Any]


def fits_account(said: Statement, note: AccountSet, known: AccountSet | None) -> bool:
    """Whether this call makes exactly this account. `known`: the account before."""
    form = _form(said)
    if form is None:
        return False
    if said.call == "user/set":
        plain = to_plain(note)
        as_set = all(plain[name] == form[name] for name in AS_SET if name in form)
        return as_set and note.user != said.user and note.ssh_keys == _blobs(form.get("ssh_keys", []))
    if said.call == "user/import":
        line = _line_of(form, note.user)
        said_so = (to_plain(note.roles), note.name, note.reason)
        listed = line is not None and said_so == (line.get("roles"), line.get("name"), form.get("reason"))
        return listed and known is None and note.active and note.shift is None and not note.ssh_keys
    if said.call != "user/hand-over" or known is None:
        return False
    if note.user == said.user:
        kept = tuple(Role(one) for one in form.get("keep_roles", ()))
        wanted = replace(known, roles=kept, active=bool(kept))
    elif note.user == form.get("user"):
        wanted = replace(known, roles=tuple(dict.fromkeys((*known.roles, Role.ADMINISTRATOR))))
    else:
        return False
    return note == replace(wanted, reason=form.get("reason", ""))


def gains(note: AccountSet, known: AccountSet | None, *, whole: bool = True) -> bool:
    """Whether an account gains something that takes two people for some roles.

    That is a role; another name, which may mean another person; or an SSH key, which lets its holder in.
    `whole`: False in older logs, in which only roles count.
    """
    if known is None or not known.active:
        return note.active
    renamed, keys = note.name.split() != known.name.split(), set(note.ssh_keys) - set(known.ssh_keys)
    return note.active and bool(set(note.roles) - set(known.roles) or (whole and (renamed or keys)))


def ssh_owner(note: AccountSet, accounts: Iterable[AccountSet]) -> str:
    """Another person who has an SSH key of this account, or empty; the key's holder would be two people."""
    others = (one for one in accounts if one.active and one.user != note.user)
    shared = (one.user for one in others if not set(one.ssh_keys).isdisjoint(note.ssh_keys))
    return next(shared, "") if note.active else ""


def fits_credential(said: Statement, note: CredentialSet) -> bool:
    """Whether this call gives the person a first password and treats the authenticator as the entry says."""
    form = _form(said)
    if form is None or not note.first or note.user == said.user:
        return False
    if said.call == "user/import":
        return _line_of(form, note.user) is not None and note.authenticator != KEPT
    kept = bool(form.get("keep_authenticator", False))
    return (
        said.call == "user/credential"
        and form.get("user") == note.user
        and kept is (note.authenticator == KEPT)
    )


def by_offices(note: AccountSet, known: AccountSet | None, named: str) -> bool:
    """Whether an account follows from the offices' statement.

    The person whom they named gets that one role, and the one who had it loses it; nothing else changes.
    """
    if note.user == named:
        keys, shift = (known.ssh_keys, known.shift) if known is not None else ((), None)
        return (note.roles, note.active, note.ssh_keys, note.shift) == (
            (Role.ADMINISTRATOR,),
            True,
            keys,
            shift,
        )
    if known is None or Role.ADMINISTRATOR not in known.roles:
        return False
    left = tuple(role for role in known.roles if role is not Role.ADMINISTRATOR)
    return note == replace(known, roles=left, active=bool(left), reason=note.reason)


def designation_of(said: Statement, at_us: int, days: int) -> int | None:
    """When the designation in this call ends: as in its form, else after the policy's days.

    None if the form has no designation.
    """
    form = _form(said)
    ends = None if form is None else form.get("ends_us")
    if type(ends) is not int:
        return None
    return ends if ends >= 0 else at_us + days * DAY_US


def fits_designation(said: Statement, note: DesignationSet, at_us: int, days: int) -> bool:
    """Whether a designation ends when its call says."""
    ends = designation_of(said, at_us, days)
    return ends is None or abs(ends - note.ends_us) <= SIGNED_WITHIN_US


def accounts_shown(form: int, accounts: Mapping[str, AccountSet]) -> Mapping[str, AccountSet] | None:
    """The accounts by which proposals say which SSH keys are new; None for forms before `BY_OWN_HAND`."""
    return accounts if form >= BY_OWN_HAND else None


def words_of(
    call: str, form: Form, user: str, accounts: Mapping[str, AccountSet] | None = None
) -> tuple[str, str] | None:
    """Whom a proposed change is about, and the change in words; None if it is not of the roster.

    The words are part of the log: a new wording must leave this one, and `earlier_words_of`, valid. Since an
    SSH key's holder is that person at the units, each key is named, with whether it is new compared with
    `accounts`; None for logs before form 10, which do not say so.
    """
    about, reason = str(form.get("user", "")), form.get("reason", "")
    people = form.get("people")
    if call == "user/import" and isinstance(people, list) and people:
        lines = [f"{one['user']}: {', '.join(one['roles'])}" for one in people]
        return str(people[0]["user"]), "; ".join(lines)[:2000]
    known = accounts.get(about) if accounts is not None else None
    held = known.ssh_keys if known is not None and known.active else ()
    keys = ""
    for key in map(SshPublicKey.from_line, form.get("ssh_keys", [])):
        is_new = accounts is not None and key.blob not in held
        keys += f"; {'new ' if is_new else ''}SSH key {key.fingerprint}"
    words = {
        "user/set": lambda: f"{about}, {form.get('name', '')}: {', '.join(form['roles'])}{keys}; {reason}",
        "user/credential": lambda: f"new first password for {about}; {reason}",
        "user/hand-over": lambda: f"{user} hands the office over to {about}; {reason}",
    }.get(call)
    return None if words is None else (about, words())


def earlier_words_of(call: str, form: Form, user: str) -> tuple[tuple[str, str] | None, ...]:
    """As `words_of`, in logs before form 8: of an account without SSH keys, and at first without its name."""
    if call != "user/set":
        return (words_of(call, form, user),)
    about = str(form.get("user", ""))
    nameless = f"{about}: {', '.join(form['roles'])}; {form.get('reason', '')}"
    return words_of(call, {**form, "ssh_keys": []}, user), (about, nameless)


def _form(said: Statement) -> Form | None:
    """The form of a call that is carried out; None if it only proposes or is malformed."""
    try:
        form = said.fields()
    except StorageError:
        return None
    return None if form.get("propose") is True else form


def _line_of(form: Form, user: str) -> Form | None:
    people = form.get("people")
    lines = people if isinstance(people, list) else []
    return next((one for one in lines if isinstance(one, dict) and one.get("user") == user), None)


def _blobs(lines: object) -> tuple[bytes, ...] | None:
    try:
        return tuple(SshPublicKey.from_line(one).blob for one in lines) if isinstance(lines, list) else None
    except (StorageError, TypeError, AttributeError):
        return None
