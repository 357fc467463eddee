"""A person with root on the department's server: has the log's key and the database, no person's key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import GROUND, Department

from storage.times import DAY_US
from sync.department.desk.inquiry.forms import RunForm
from sync.department.desk.people.calls import AccountForm
from sync.department.desk.people.keys import new_key
from sync.department.desk.sessions import digest_of
from sync.department.ground.person_key import read_token
from sync.department.journal import check_log
from sync.department.journal.access_log import KEYS, AuditKeys
from sync.department.journal.entries import AccessLogOpened, AccountSet, CredentialSet, Logon
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.inquiry_entries import Access, Query
from sync.department.journal.person_entries import SessionKeySet
from sync.department.journal.sharing_entries import ShareAsked, written_digest, written_of
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.statements import SESSION, certify, sign_call
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.drawn_samples import DrawnSamples
from sync.department.server.folded_log import FoldedLog
from sync.department.server.unit_reports import CoveredByEntries

VICTIM = "comm1"
PLATE = "8XYZ123"


def access_of(query: Query) -> Access:
    """The access entry of a search that no desk ran."""
    return Access(
        action="search",
        elements=query.text(),
        plate=query.plate,
        ground=GROUND,
        on_behalf_of="",
        request=-1,
        approval=-1,
        reads=(),
    )


def written_in(department: Department, request: int) -> bytes:
    """The digest that a delivery under a written request has for its recipient."""
    note = department.desk.log.entry(request).note
    assert isinstance(note, ShareAsked)
    return written_digest(*written_of(note))


def account_form(account: AccountSet, **changes: Any) -> AccountForm:
    """A form that sets an account as it is now, except for these changes."""
    form = AccountForm(
        user=account.user,
        name=account.name,
        organisation=account.organisation,
        roles=account.roles,
        reason="as discussed",
        shift=account.shift,
    )
    return replace(form, **changes)


class Root:
    """A person who writes entries past the desk, with the log's own key."""

    def __init__(self, department: Department) -> None:
        self.department = department
        self.log = department.desk.log
        self.own = Ed25519PrivateKey.generate()

    def stamp(self, user: str = VICTIM, session: bytes = bytes(32)) -> Stamp:
        account = self.department.desk.book.roster.accounts.get(user)
        return Stamp(
            at_us=max(self.department.clock(), self.log.newest_us()),
            user=user,
            role=account.roles[0].value if account and account.roles else "communications",
            organisation=account.organisation if account else "Monrovia PD",
            session=session,
            demo=self.department.desk.root.demo,
        )

    def write(self, note: Note, stamp: Stamp, signed: bytes = b"") -> int:
        return self.log.append(note, stamp, signed).sequence

    def query(self, plate: str = PLATE) -> Query:
        return self.department.plate(plate)

    def look_up(self, plate: str = PLATE) -> Access:
        return access_of(self.query(plate))

    def session(self, key: Ed25519PrivateKey, by: Ed25519PrivateKey, user: str = VICTIM) -> bytes:
        """Write a login of the user with a session key that `by` certifies. Returns the session's digest."""
        session = digest_of("root's own token")
        at_us, public = self.stamp().at_us, key.public_key().public_bytes_raw()
        logon = Logon(user=user, proven=True, reason="", session=session, post="", totp_step=0)
        self.write(logon, self.stamp(user))
        certificate = certify(by, self.log.log_id, user, SESSION, public, at_us)
        self.write(
            SessionKeySet(session=session, user=user, certificate=certificate), self.stamp(user, session)
        )
        return session

    def statement(self, key: Ed25519PrivateKey, plate: str = PLATE, user: str = VICTIM) -> bytes:
        form = RunForm(query=self.query(plate), ground=GROUND)
        return sign_call(key, self.log.log_id, user, "inquiry/run", form, self.stamp().at_us)

    def opens(self, entry: int, plate: str = PLATE) -> None:
        """Ask the key service for the plate's tokens under an entry. Raises DeskRefusal."""
        desk, door = self.department.desk, self.department.front.door
        door.tokens(desk.covered(entry), self.query(plate), [self.department.clock.us // DAY_US])

    def accomplice(self, user: str) -> tuple[Ed25519PrivateKey, bytes]:
        """The session key of a person in the department who helps root, and the session's digest."""
        token = self.department.logon(user)
        given = read_token(token)
        assert given.key is not None
        return given.key, digest_of(token)

    def signed(self, user: str, call: str, form: object) -> tuple[Stamp, bytes]:
        """A stamp with an accomplice's own session, and their signed statement of this call."""
        key, session = self.accomplice(user)
        stamp = self.stamp(user, session)
        return stamp, sign_call(key, self.log.log_id, user, call, form, stamp.at_us)


def problems(department: Department) -> tuple[str, ...]:
    """The problems that `department verify` finds in the log."""
    log = department.desk.log
    return check_log.check(log.folder, log.public, keys=AuditKeys(log.folder / KEYS)).problems


def by_a_key_that_root_set(root: Root) -> int:
    """Root enters its own key for the victim, who already has one."""
    terms = root.department.desk.policy.security
    key, made = new_key(terms, root.log.log_id, VICTIM, "root's own password")
    root.write(made, root.stamp())
    session = root.session(root.own, by=key)
    return root.write(root.look_up(), root.stamp(session=session), root.statement(root.own))


def demand_named(
    department: Department,
    attack: Callable[[Root], int],
    plate: str = PLATE,
    words: str = "is not proven to be",
) -> None:
    """Assert that the attack's entry is refused in these words, and `department verify` names it once."""
    assert problems(department) == ()
    root = Root(department)
    entry = attack(root)
    with pytest.raises(DeskRefusal, match=words) as refused:
        root.opens(entry, plate)
    assert refused.value.code == "unsigned"
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: ")]
    assert len(named) == 1
    assert f"in the name of {VICTIM}" in named[0]


def reasons(department: Department, form: int, entry: int) -> list[str]:
    """Why an entry would be rejected in a log of that form."""
    first, *others = department.desk.log.entries()
    assert isinstance(first.note, AccessLogOpened)
    known, found = SignedLog(), []
    for one in (replace(first, note=replace(first.note, signs=form)), *others):
        try:
            known.judge(one)
        except UnsignedError as error:
            found += [str(error)] * (one.sequence == entry)
    return found


def covered_by(department: Department) -> CoveredByEntries:
    """The rules that `department verify` gives to `check_log.check` in addition to its own."""
    return CoveredByEntries(FoldedLog({department.home.settings.name}), samples_of(department))


def samples_of(department: Department) -> DrawnSamples:
    """The samples of audits, as `department verify` draws them again."""
    log = department.desk.log
    return DrawnSamples(log.first_salt(CredentialSet.KIND), check_log.heads_of(log.folder))
