"""The rules of people, each alone and at its limits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import pyotp
import pytest
from log_entries import NOW_US, POLICY, account, accounts, code_of, entry

from storage.errors import RecordError
from storage.times import DAY_US
from sync.department.desk.people import rules as people
from sync.department.desk.people.on_roster import ALONE, acts_alone, demand_someone
from sync.department.desk.people.passwords import MAX_PASSWORD
from sync.department.desk.people.rules import MAX_SSH_KEYS, PBKDF2, Credential
from sync.department.journal.change_entries import (
    AuthenticatorKept,
    ChangeUsed,
    DesignationSet,
)
from sync.department.journal.entries import (
    KEPT,
    AccountSet,
    CredentialSet,
    LockoutLifted,
    Logon,
    SessionEnded,
    Shift,
)
from sync.department.journal.entry_base import SYSTEM
from sync.department.journal.person_entries import FreshProof
from sync.department.journal.signers import Signers
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role


def credential(user: str, *, first: bool = True, authenticator: str = "") -> CredentialSet:
    return CredentialSet(user=user, digest=b"", first=first, authenticator=authenticator)


@dataclass(frozen=True, kw_only=True)
class AccountAsked:
    user: str = "pup"
    name: str = "P"
    organisation: str = "PD"
    reason: str = "new"
    roles: tuple[Role, ...] = (Role.OFFICER,)
    active: bool = True
    ssh_keys: tuple[bytes, ...] = ()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, ""),
        ({"user": "p"}, "user-name"),
        ({"user": "p1"}, ""),
        ({"user": "p" * 32}, ""),
        ({"user": "p" * 33}, "user-name"),
        ({"user": "Pup"}, "user-name"),
        ({"user": "system"}, "user-name"),
        ({"name": "..."}, "name"),
        ({"organisation": " "}, "organisation"),
        ({"reason": ""}, "reason"),
        ({"roles": ()}, "roles"),
        ({"roles": (), "active": False}, ""),
        ({"roles": (Role.VENDOR,)}, ""),
        ({"roles": (Role.VENDOR, Role.OFFICER)}, "roles"),
        ({"roles": (Role.REVIEWER, Role.COMMUNICATIONS)}, "roles"),
        ({"roles": (Role.REVIEWER, Role.OFFICER)}, ""),
        ({"ssh_keys": (b"k",) * MAX_SSH_KEYS}, ""),
        ({"ssh_keys": (b"k",) * (MAX_SSH_KEYS + 1)}, "ssh-key"),
    ],
)
def test_an_account_says_who_it_is_for(asked: dict[str, Any], code: str) -> None:
    assert code_of(people.check_account, POLICY, AccountAsked(**asked)) == code


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (account("pup", keys=(b"1", b"3")), "ssh-key"),
        (account("pup", keys=(b"3",)), ""),
        (account("pup", active=False, keys=(b"1",)), ""),
        (account("ann", keys=(b"1",)), ""),
        (account("pup", keys=(b"2",)), ""),  # its holder has left
    ],
)
def test_an_ssh_key_is_one_persons(wanted: AccountSet, code: str) -> None:
    gone = account("ben", active=False, keys=(b"2",))
    roster = accounts(("chief", account("ann", keys=(b"1",))), ("chief", gone))
    assert code_of(people.check_ssh_keys, roster, wanted) == code


def test_a_designation_that_ended_gives_no_role() -> None:
    roster = accounts(
        ("chief", account("dan", Role.DESIGNEE, Role.OFFICER)),
        ("chief", DesignationSet(user="dan", ends_us=NOW_US + 100)),
        ("chief", account("gone", Role.OFFICER, active=False)),
    )
    assert roster.roles_of("dan", NOW_US + 99) == (Role.DESIGNEE, Role.OFFICER)
    assert roster.roles_of("dan", NOW_US + 100) == (Role.OFFICER,)
    assert roster.roles_of("gone", NOW_US) == roster.roles_of("nobody", NOW_US) == ()


def test_active_accounts_alone_hold_roles_and_review() -> None:
    roster = accounts(
        ("chief", account("rae", Role.REVIEWER)),
        ("chief", account("roy", Role.REVIEWER, active=False)),
        ("chief", account("abe", Role.REVIEWER, Role.OFFICER)),
    )
    assert roster.holders(Role.REVIEWER) == ["abe", "rae"]
    assert roster.holders(Role.OFFICER) == ["abe"]
    assert [roster.may_review(POLICY, user) for user in ("rae", "roy", "nobody")] == [True, False, False]
    assert not accounts(("chief", account("ann", Role.OFFICER))).may_review(POLICY, "ann")


@pytest.mark.parametrize(
    ("before", "wanted", "needed"),
    [
        (None, account("pup", Role.COMMUNICATIONS), True),
        (None, account("pup", Role.OFFICER), False),
        (account("pup", Role.COMMUNICATIONS), account("pup", Role.COMMUNICATIONS), False),
        (account("pup", Role.OFFICER), account("pup", Role.COMMUNICATIONS), True),
        (account("pup", Role.COMMUNICATIONS, active=False), account("pup", Role.COMMUNICATIONS), True),
        (account("pup", Role.OFFICER), account("pup", Role.COMMUNICATIONS, active=False), False),
        (
            account("pup", Role.COMMUNICATIONS),
            replace(account("pup", Role.COMMUNICATIONS), name="B New"),
            True,
        ),
        (account("pup", Role.OFFICER), replace(account("pup", Role.OFFICER), name="B New"), False),
        (account("pup", Role.COMMUNICATIONS), account("pup", Role.COMMUNICATIONS, keys=(b"1",)), True),
        (account("pup", Role.COMMUNICATIONS, keys=(b"1",)), account("pup", Role.COMMUNICATIONS), False),
        (account("pup", Role.OFFICER), account("pup", Role.OFFICER, keys=(b"1",)), False),
    ],
)
def test_two_people_give_a_role_that_searches_or_approves(
    before: AccountSet | None, wanted: AccountSet, needed: bool
) -> None:
    roster = accounts() if before is None else accounts(("chief", before))
    assert people.account_needs_second(POLICY, roster, wanted) is needed


def test_a_new_credential_needs_a_second_person_unless_the_account_is_new() -> None:
    made = account("com", Role.COMMUNICATIONS)
    roster = accounts(("chief", made))
    assert not people.credential_needs_second(POLICY, roster, "com")
    roster.apply(entry(2, "chief", credential("com")))
    assert people.credential_needs_second(POLICY, roster, "com")
    assert not people.credential_needs_second(POLICY, roster, "nobody")
    plain = accounts(("chief", account("off", Role.OFFICER)), ("chief", credential("off")))
    assert not people.credential_needs_second(POLICY, plain, "off")


def test_a_person_who_ever_could_approve_ends_the_first_day() -> None:
    roster = accounts(("chief", account("ann", Role.CCAT_SUPERVISOR)), ("chief", credential("ann")))
    assert not people.has_approvers(POLICY, roster, "chief")  # another person set the password
    alone = acts_alone(POLICY, roster, Signers(), "chief")
    with pytest.raises(DeskRefusal, match="no other person may approve this") as refused:
        demand_someone(POLICY, accounts(), "chief", "com", 0, alone=alone)
    assert (alone, refused.value.cure) == (True, ALONE)
    roster.apply(entry(3, "ann", credential("ann", first=False)))
    assert people.has_approvers(POLICY, roster, "chief")
    assert not people.has_approvers(POLICY, roster, "ann")
    roster.apply(entry(4, "chief", account("ann", active=False)))
    assert people.has_approvers(POLICY, roster, "chief")
    officer = accounts(("c", account("off", Role.OFFICER)), ("off", credential("off", first=False)))
    assert not people.has_approvers(POLICY, officer, "chief")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (account("pup", Role.ADMINISTRATOR), "second-administrator"),
        (account("pup", Role.ADMINISTRATOR, active=False), ""),
        (account("pup", Role.OFFICER), ""),
        (account("chief", Role.ADMINISTRATOR, Role.OFFICER), ""),
        (account("old", Role.ADMINISTRATOR), "second-administrator"),
    ],
)
def test_there_is_one_administrator(wanted: AccountSet, code: str) -> None:
    old = account("old", Role.ADMINISTRATOR, active=False)
    roster = accounts(("system", account("chief", Role.ADMINISTRATOR)), ("system", old))
    assert code_of(people.check_one_administrator, roster, wanted) == code
    assert code_of(people.check_one_administrator, accounts(), wanted) == ""


def test_the_log_shows_by_whose_hands_an_account_came_about() -> None:
    used = ChangeUsed(proposal=1, about="pup", second="ben")
    roster = accounts(
        ("chief", used),
        ("chief", account("pup", Role.OFFICER)),
        ("chief", credential("pup")),  # the first credential, made with the account
        ("chief", credential("pup")),
        ("chief", account("pup", Role.OFFICER)),  # no gain
        ("chief", replace(used, about="x")),
        ("chief", account("pup", Role.OFFICER, Role.CCAT)),
        ("chief", used),
        ("dan", account("pup", Role.OFFICER, Role.REVIEWER)),
        (SYSTEM, account("sys", Role.OFFICER)),
        ("eve", account("pup", Role.OFFICER)),
        ("eve", account("pup", Role.REVIEWER)),
        ("eve", account("pup", Role.REVIEWER, active=False)),
        ("eve", account("pup", Role.REVIEWER)),
    )
    assert [(one.entry, one.by, one.second, one.what) for one in roster.makings] == [
        (1, "chief", "ben", "account"),
        (3, "chief", "", "credential"),
        (6, "chief", "", "account"),
        (8, "dan", "", "account"),
        (11, "eve", "", "account"),
        (13, "eve", "", "account"),
    ]
    assert [(one.entry, one.by) for one in roster.removed_reviewers] == [(10, "eve"), (12, "eve")]
    assert "pup" in roster.fresh  # came back, which includes a new credential
    assert roster.ever_roles["pup"] == {Role.OFFICER, Role.CCAT, Role.REVIEWER}


def test_an_authenticator_is_a_persons_own_once_no_other_person_saw_it() -> None:
    roster = accounts(("c", account("ann", Role.OFFICER)), ("c", credential("ann")))
    assert roster.own_secrets == set()
    roster.fresh.add("ann")
    roster.apply(entry(3, "ann", credential("ann", first=False)))
    assert (roster.own_secrets, roster.ever_own, roster.fresh) == ({"ann"}, {"ann"}, set())
    roster.apply(entry(4, "c", credential("ann", authenticator=KEPT)))
    assert roster.own_secrets == {"ann"}
    roster.apply(entry(5, "c", credential("ann")))
    assert roster.own_secrets == set()
    roster.apply(entry(6, "ann", credential("ann", first=False)))
    assert roster.credential_us["ann"] == NOW_US
    roster.apply(entry(7, "c", account("ann", active=False)))
    assert (roster.own_secrets, roster.credentials) == (set(), {})


def logon(user: str, *, proven: bool, reason: str = "", step: int = -1) -> Logon:
    return Logon(user=user, proven=proven, reason=reason, session=b"", post="", totp_step=step)


def test_failed_logons_count_until_one_succeeds_or_the_lock_is_lifted() -> None:
    wrong = ("ann", logon("ann", proven=False, reason="password"))
    locked = ("ann", logon("ann", proven=False, reason="locked-out"))
    assert accounts(wrong, wrong, locked).failures == {"ann": [NOW_US, NOW_US + 1]}
    for ends in (
        logon("ann", proven=True, step=7),
        LockoutLifted(user="ann", reason=""),
        FreshProof(how="code", totp_step=7, credential_id=b""),
        SessionEnded(session=b"", how="unlocked", totp_step=7),
    ):
        made = accounts(wrong, ("ann", ends))
        assert made.failures == {}
        assert made.used_steps == ({} if isinstance(ends, LockoutLifted) else {"ann": 7})
    for leaves in (
        FreshProof(how="passkey", totp_step=-1, credential_id=b""),
        SessionEnded(session=b"", how="closed", totp_step=7),
    ):
        made = accounts(wrong, ("ann", leaves))
        assert (len(made.failures["ann"]), made.used_steps) == (1, {})
    assert accounts(("ann", FreshProof(how="code", totp_step=0, credential_id=b""))).used_steps == {"ann": 0}
    assert len(accounts(*[wrong] * 33).failures["ann"]) == 32
    assert accounts(*[wrong] * 33).failures["ann"][-1] == NOW_US + 32


def test_a_used_code_is_forgotten_with_its_secret_unless_that_is_kept() -> None:
    made = accounts(("ann", logon("ann", proven=True, step=7)), ("ann", credential("ann", first=False)))
    assert made.used_steps == {}
    made.apply(entry(3, "ann", AuthenticatorKept(user="ann", used_step=7)))
    assert made.used_steps == {"ann": 7}


SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # noqa: S105 - a secret for tests
STEP_US = 30_000_000
CREDENTIAL = Credential(
    user="ann", scheme=PBKDF2, totp=SECRET, set_us=NOW_US, first=False,
    password="2$00$" + hashlib.pbkdf2_hmac("sha256", b"right", b"\0", 2).hex(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "used", "taken"),
    [
        (0, -1, True),
        (-1, -1, True),
        (1, -1, True),
        (-2, -1, False),
        (2, -1, False),
        (0, 0, False),
        (0, 1, True),
    ],
)
def test_a_code_is_good_once_and_a_step_either_way(steps: int, used: int, taken: bool) -> None:
    now = NOW_US // STEP_US
    code = pyotp.TOTP(SECRET).at((now + steps) * 30)
    last = -1 if used < 0 else now + steps - used
    assert people.totp_step(CREDENTIAL, code, NOW_US, last) == (now + steps if taken else None)
    assert people.totp_step(CREDENTIAL, code + "0", NOW_US, last) is None
    assert people.totp_step(CREDENTIAL, "１２３４５６", NOW_US, last) is None


def test_no_credential_shows_in_a_repr() -> None:
    shown = repr(CREDENTIAL)
    assert CREDENTIAL.password not in shown
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("typed", "stored", "matches"),
    [
        ("right", {}, True),
        ("wrong", {}, False),
        ("right", {"password": "2$00"}, False),
        ("right", {"password": "2$zz$00"}, False),
        ("right", {"scheme": "argon2id"}, False),
        ("right\u200b", {}, False),
        ("r" * (MAX_PASSWORD + 1), {}, False),
    ],
)
def test_a_password_is_held_against_its_own_hash(typed: str, stored: dict[str, str], matches: bool) -> None:
    assert people.password_matches(replace(CREDENTIAL, **stored), typed) is matches  # type: ignore[arg-type]


def test_a_password_can_be_so_long_and_has_no_hidden_character() -> None:
    assert people.is_password("a" * MAX_PASSWORD)
    assert not people.is_password("a" * (MAX_PASSWORD + 1))
    assert not people.is_password("a\u200b")


def test_a_password_expires_and_an_older_scheme_is_renewed_under_fips() -> None:
    terms = POLICY.security
    ends_us = NOW_US + terms.password_max_days * DAY_US
    assert code_of(people.demand_in_date, terms, NOW_US, ends_us) == ""
    assert code_of(people.demand_in_date, terms, NOW_US, ends_us + 1) == "password-expired"
    fips, old = replace(terms, profile="fips"), replace(CREDENTIAL, scheme="argon2id")
    for profile, one, code in ((terms, old, ""), (fips, CREDENTIAL, ""), (fips, old, "password-scheme"),
                               (fips, None, "password-scheme"), (terms, None, "")):  # fmt: skip
        assert code_of(people.demand_approved, profile, one) == code


def test_roles_are_read_from_a_list() -> None:
    assert people.parse_roles(" ccat, reviewer,,") == (Role.CCAT, Role.REVIEWER)
    with pytest.raises(RecordError, match="'chief' is not a role"):
        people.parse_roles("ccat,chief")


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("22:00-06:00", "22:00-06:00"),
        (" 6:00 - 14:30 ", "06:00-14:30"),
        ("16:00\u201300:00", "16:00-24:00"),
        ("16:00-24:00", "16:00-24:00"),
    ],
)
def test_a_shift_is_taken_as_people_write_it(typed: str, text: str) -> None:
    assert Shift.parse(typed).text() == text


@pytest.mark.parametrize("typed", ["", "10pm-6", "25:00-06:00", "08:00-16:75", "24:00-06:00", "08:00"])
def test_what_is_not_a_shift_is_refused_by_pages_and_commands_alike(typed: str) -> None:
    """A page once took 08:00-16:75 as ending at 17:15, and refused shifts until midnight."""
    with pytest.raises(RecordError, match="22:00-06:00"):
        Shift.parse(typed)
