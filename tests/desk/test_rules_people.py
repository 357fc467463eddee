"""The rules of people, audits and alerts, each alone and at its limit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import pyotp
import pytest
from log_entries import GROUND, NOW_US, POLICY, code_of, entry, refused

from storage.alert_life import AlertAnswer, AlertEvent, AlertStep, Fit, Outcome
from storage.errors import RecordError
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.desk.alerts.rules import AlertRow, AlertStates, SourceShare, VerifierShare
from sync.department.desk.audit import rules as audit
from sync.department.desk.audit.detectors import Flag
from sync.department.desk.audit.rules import AuditFilter, Findings
from sync.department.desk.people import rules as people
from sync.department.desk.people.passwords import MAX_PASSWORD
from sync.department.desk.people.rules import MAX_SSH_KEYS, PBKDF2, Accounts, Credential
from sync.department.journal.alert_entries import AlertKnown, AlertRecordsOpened, AlertStepTaken
from sync.department.journal.change_entries import (
    AuthenticatorKept,
    ChangeDecided,
    ChangeUsed,
    DesignationSet,
    GlassJudged,
)
from sync.department.journal.entries import (
    KEPT,
    AccountSet,
    AuditDone,
    CredentialSet,
    Entry,
    Filed,
    FindingClosed,
    FindingOpened,
    LockoutLifted,
    Logon,
    SessionEnded,
)
from sync.department.journal.entry_base import SYSTEM, Note
from sync.department.journal.inquiry_entries import Access, AccessEnded, SearchApproved
from sync.department.journal.person_entries import FreshProof
from sync.department.policy.roles import Role
from sync.hot_lists.entry import cleared_name

# --- accounts


def account(user: str, *roles: Role, active: bool = True, keys: tuple[bytes, ...] = ()) -> AccountSet:
    return AccountSet(
        user=user,
        name="N",
        organisation="PD",
        roles=roles,
        shift=None,
        active=active,
        reason="r",
        ssh_keys=keys,
    )


def accounts(*notes: tuple[str, Note]) -> Accounts:
    made = Accounts()
    for at, (user, note) in enumerate(notes):
        made.apply(entry(at, user, note, NOW_US + at))
    return made


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
        (account("pup", keys=(b"2",)), ""),  # its holder is gone
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
    assert not people.has_approvers(POLICY, roster, "chief")  # the password was another's
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


def test_the_log_tells_by_whose_hands_an_account_came_about() -> None:
    used = ChangeUsed(proposal=1, about="pup", second="ben")
    roster = accounts(
        ("chief", used),
        ("chief", account("pup", Role.OFFICER)),
        ("chief", credential("pup")),  # the first one came with the account
        ("chief", credential("pup")),
        ("chief", account("pup", Role.OFFICER)),  # nothing gained
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
    assert "pup" in roster.fresh  # came back: a new credential belongs to that
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


# --- audits


def access(at: int, user: str, **changed: Any) -> Any:
    note: dict[str, Any] = {
        "action": "search", "elements": "plate=8X", "plate": "8X", "ground": GROUND, "on_behalf_of": "",
        "request": -1, "approval": -1, "reads": (),
    }  # fmt: skip
    return entry(at, user, Access(**note | changed), NOW_US + at)


def requests_of(entries: list[Entry]) -> list[audit.AlprRequest]:
    """The ALPR Requests of these entries, in order."""
    fold = audit.RequestFold()
    for one in entries:
        fold.apply(one)
    return list(fold.requests.values())


def test_an_access_is_shown_with_its_result_its_filing_and_its_second_person() -> None:
    rows = requests_of(
        [
            entry(1, "ben", SearchApproved(proposal=9, granted=True, reason="")),
            entry(2, "cat", ChangeDecided(proposal=8, granted=False, reason="")),
            entry(3, "dan", ChangeDecided(proposal=7, granted=True, reason="")),
            access(4, "ann", approval=9),
            access(5, "ann", approval=8),
            access(6, "ann", approval=7),
            access(7, "ann"),
            entry(8, "", AccessEnded(access=4, count=3, reads=(), unwitnessed=True)),
            entry(9, "", AccessEnded(access=99, count=3, reads=(), unwitnessed=True)),
            entry(10, "ann", Filed(access=5, rms_number="RMS-1")),
            entry(11, "eve", GlassJudged(access=7, justified=True, reason="")),
        ]
    )
    assert [(one.entry, one.results, one.unwitnessed, one.rms_number, one.second_person) for one in rows] == [
        (4, 3, True, "not filed", "ben"),
        (5, None, False, "RMS-1", ""),
        (6, None, False, "not filed", "dan"),
        (7, None, False, "not filed", "eve"),
    ]


WANTED = AuditFilter(since_us=0, until_us=NOW_US * 2, user="", purpose="", plate="")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [1, 2]),
        ({"since_us": NOW_US + 2}, [2]),
        ({"until_us": NOW_US + 2}, [1]),
        ({"user": "ann"}, [1]),
        ({"user": "off"}, [2]),
        ({"purpose": "investigation"}, [1, 2]),
        ({"purpose": "crime-analysis"}, []),
        ({"plate": "8X"}, [1]),
        ({"entries": frozenset({1})}, [1]),
        ({"entries": frozenset({7})}, [2]),
        ({"entries": frozenset()}, []),
    ],
)
def test_accesses_are_picked_by_time_person_purpose_plate_and_number(
    wanted: dict[str, Any], found: list[int]
) -> None:
    other = access(2, "ben", on_behalf_of="off", plate="7A", request=7)
    rows = requests_of([other, access(1, "ann")])
    assert sorted(one.entry for one in audit.pick(rows, replace(WANTED, **wanted))) == found
    assert [one.sequence for one in audit.look_ups_of(rows)] == [1, 2]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\ta", "\ra"])
def test_no_cell_runs_in_a_spreadsheet(text: str) -> None:
    assert audit.cell(text) == "'" + text
    assert (audit.cell("a=1"), audit.cell(None), audit.cell(3), audit.cell("")) == ("a=1", "", "3", "")


def found(*accesses: int, about: str = "ann", detector: str = "burst") -> FindingOpened:
    return FindingOpened(
        detector=detector, about=about, accesses=accesses, reviewer="rae", due_us=1, detail="d"
    )


def findings(*notes: Note) -> Findings:
    made = Findings()
    for at, note in enumerate(notes):
        made.apply(entry(at, "rae", note))
    return made


def flag(*entries: int, about: str = "ann", detector: str = "burst") -> Flag:
    return Flag(detector=detector, about=about, entries=entries, detail="25 plates")


CLOSED = FindingClosed(finding=0, verdict="justified", note="")


@pytest.mark.parametrize(
    ("notes", "flags", "fresh"),
    [
        ((), [flag(1, 2)], [((1, 2), "25 plates")]),
        ((found(1, 2),), [flag(1, 2)], []),
        ((found(1, 2),), [flag(1, 2, 3)], []),
        ((found(1, 2), CLOSED), [flag(1, 2)], []),
        ((found(1, 2), CLOSED), [flag(1, 2, 3)], [((3,), "25 plates; again")]),
        ((found(1, 2),), [flag(1, 2, about="ben")], [((1, 2), "25 plates")]),
        ((found(1, 2),), [flag(1, 2, detector="sample")], [((1, 2), "25 plates")]),
        ((), [flag(1, 2), flag(2, 3)], [((1, 2), "25 plates"), ((3,), "25 plates; again")]),
        ((found(1),), [flag(2)], [((2,), "25 plates")]),
    ],
)
def test_a_pattern_is_found_once_and_what_came_since_is_found_again(
    notes: tuple[Note, ...], flags: list[Flag], fresh: list[tuple[tuple[int, ...], str]]
) -> None:
    assert [(one.entries, one.detail) for one in audit.new_findings(findings(*notes), flags)] == fresh


def test_the_least_busy_reviewer_who_did_not_search_reviews() -> None:
    chief = ("c", account("chief", Role.ADMINISTRATOR))
    roster = accounts(*(("c", account(user, Role.REVIEWER)) for user in ("rae", "roy", "abe")), chief)
    assert audit.reviewer_for(roster, {"abe": 1, "rae": 1}, set()) == "roy"
    assert audit.reviewer_for(roster, {"abe": 1, "rae": 1, "roy": 1}, {"abe"}) == "rae"
    assert audit.reviewer_for(roster, {}, {"abe", "rae", "roy"}) == "chief"
    refused("no-reviewer", audit.reviewer_for, roster, {}, {"abe", "rae", "roy", "chief"})


@pytest.mark.parametrize(
    ("number", "reviewer", "verdict", "note", "code"),
    [
        (1, "rae", "unclear", "asked the officer", ""),
        (1, "rae", "unclear", "asked him .", "note"),
        (1, "rae", "fine", "asked the officer", "verdict"),
        (1, "ann", "unclear", "asked the officer", "own-finding"),
        (0, "rae", "unclear", "asked the officer", "closed"),
        (2, "rae", "unclear", "asked the officer", "no-finding"),
    ],
)
def test_a_finding_is_closed_once_with_a_verdict_by_another_person(
    number: int, reviewer: str, verdict: str, note: str, code: str
) -> None:
    done = AuditDone(from_us=0, to_us=1, accesses=0, findings=(), tree_size=0)
    made = findings(found(1), found(2, 3), CLOSED, done)
    assert code_of(audit.to_close, made, number, reviewer, verdict, note) == code
    assert [one.sequence for one in made.open_findings()] == [1]
    assert [one.sequence for one in made.audits] == [3]
    assert audit.entries_of(made, 1) == (2, 3)
    assert made.of("burst", "ann") == ({1, 2, 3}, {2, 3})
    refused("no-finding", audit.entries_of, made, 2)


# --- alerts


def known(alert: str, **changed: Any) -> AlertKnown:
    note: dict[str, Any] = {
        "alert": alert, "read": "r1", "unit": "car-7", "raised_us": NOW_US, "list_id": "l", "source": "DOJ",
        "category": "stolen-vehicle", "entry": b"e1", "silent": (), "stale": False, "requester": "",
        "recipients": (), "planted_plate": "", "planted_state": "",
    }  # fmt: skip
    return AlertKnown(**note | changed)


def step(alert: str, event: AlertEvent, user: str = "ann", *, unit: str = "", **said: Any) -> AlertStepTaken:
    return AlertStepTaken(
        alert=alert, unit=unit, step=AlertStep(step=event, user=user, role="", at_us=NOW_US, **said)
    )


def alerts(*notes: Note) -> AlertStates:
    made = AlertStates()
    for at, note in enumerate(notes):
        made.apply(entry(at, "x", note))
    return made


ANSWERED, CLOSED_STEP = AlertEvent.ANSWERED, AlertEvent.CLOSED


@pytest.mark.parametrize(
    ("recipients", "hidden", "user", "visible"),
    [
        ((), (), "ann", True),
        (("ann",), (), "ann", True),
        (("ben",), (), "ann", False),
        ((), ("ann",), "ann", False),
    ],
)
def test_a_covert_alert_is_for_its_recipients_alone(
    recipients: tuple[str, ...], hidden: tuple[str, ...], user: str, visible: bool
) -> None:
    row = AlertRow(known("a", recipients=recipients), alerts(known("a")).rows["a"].state, 1, hidden)
    assert row.visible_to(user) is visible


@pytest.mark.parametrize(
    ("checked", "rejected", "people", "muted"),
    [
        (10, 2, 2, False),
        (10, 3, 2, True),
        (10, 3, 1, False),
        (9, 9, 9, False),
        (100, 20, 9, False),
        (100, 21, 9, True),
        (100, 99, 1, False),
    ],
)
def test_a_source_goes_silent_once_people_rejected_too_many_of_enough_hits(
    checked: int, rejected: int, people: int, muted: bool
) -> None:
    terms = replace(POLICY.alerts, source_rejected_least=10, source_rejected_percent=20)
    assert SourceShare("DOJ", checked, rejected, people).muted(terms) is muted


def test_alerts_are_found_by_number_or_name_and_the_loud_and_old_come_first() -> None:
    made = alerts(
        known("a", silent=("stale",), raised_us=NOW_US - 9),
        known("b", raised_us=NOW_US),
        known("c", raised_us=NOW_US - 5),
        known("d"),
        step("d", CLOSED_STEP, outcome=Outcome.NO_STOP),
        known("b", raised_us=7),  # known already
    )
    assert [row.number for row in made.open()] == [2, 1, 0]
    by_number, by_name = made.find("1"), made.find("b")
    assert by_number is by_name is made.rows["b"]
    assert made.rows["b"].known.raised_us == NOW_US
    assert (made.find("9"), made.find("x"), made.find("١")) == (None, None, None)
    made.apply(entry(9, "x", AlertRecordsOpened(records=("z",))))
    assert made.opened == {"a", "b", "c", "d", "z"}


def test_a_units_step_that_comes_twice_is_one_and_a_persons_at_the_desk_is_two() -> None:
    once = step("a", AlertEvent.VIEWED, unit="car-7")
    desk = step("a", AlertEvent.VIEWED)
    assert len(alerts(known("a"), once, once).rows["a"].state.steps) == 1
    assert len(alerts(known("a"), desk, desk).rows["a"].state.steps) == 2
    assert alerts(step("b", AlertEvent.VIEWED)).rows == {}


def test_the_first_open_alert_of_an_entry_stands_for_the_later_ones() -> None:
    made = alerts(
        known("a", recipients=("ben",)),
        known("b"),
        known("c"),
        known("d", entry=b"e2"),
        known("p", planted_plate="7A"),
        known("e"),
        step("e", CLOSED_STEP, outcome=Outcome.NO_STOP),
    )
    rows = made.rows
    assert (made.first_of(rows["c"], "ann"), made.first_of(rows["c"], "ben")) == ("1", "0")
    assert [made.first_of(rows[one], "ann") for one in ("b", "d", "p", "e")] == ["", "", "", ""]
    made.apply(entry(9, "x", step("b", CLOSED_STEP, outcome=Outcome.NO_STOP)))
    assert made.first_of(rows["c"], "ann") == ""


def test_overdue_outcomes_and_references_are_named_when_they_are_due() -> None:
    made = alerts(known("a"), step("a", ANSWERED, answer=AlertAnswer.CONFIRMED, fit=Fit.YES))
    late_us = NOW_US + POLICY.alerts.outcome_hours * HOUR_US
    assert made.overdue(POLICY.alerts, late_us - 1) == []
    assert made.overdue(POLICY.alerts, late_us) == [made.rows["a"]]
    due_us = NOW_US + POLICY.alerts.clets_minutes * MINUTE_US
    assert made.clets_owed(POLICY.alerts, due_us - 1) == []
    assert made.clets_owed(POLICY.alerts, due_us) == [made.rows["a"]]
    assert alerts(known("a")).clets_owed(POLICY.alerts, late_us) == []


def answered(alert: str, user: str, plate: str, answer: AlertAnswer) -> tuple[Note, Note]:
    typed = step(alert, AlertEvent.TRANSCRIBED, user, plate=plate)
    return typed, step(alert, ANSWERED, user, answer=answer, fit=Fit.NO)


def test_a_plate_is_cleared_by_one_who_typed_another_and_by_two_who_typed_the_entrys_own() -> None:
    wrong, other = AlertAnswer.WRONG_CHARACTER, AlertAnswer.NOT_THIS_VEHICLE
    for notes, cleared in (
        (answered("a", "ann", "8XYZ 128", wrong), {cleared_name(b"e1", "8XYZ128")}),
        (answered("a", "ann", "8XYZ123", other), set()),
        ((*answered("a", "ann", "8XYZ123", other), *answered("b", "ann", "8XYZ123", other)), set()),
        (
            (*answered("a", "ann", "8XYZ123", other), *answered("b", "ben", "8XYZ123", other)),
            {cleared_name(b"e1", "8XYZ123")},
        ),
        (answered("a", "ann", "8XYZ1?8", wrong), set()),
        (answered("a", "ann", "8XYZ123", AlertAnswer.CONFIRMED), set()),
        (answered("p", "ann", "8XYZ128", wrong), set()),
    ):
        assert alerts(known("a"), known("b"), known("p", planted_plate="7A"), *notes).cleared() == cleared


def test_sources_and_verifiers_are_counted_by_what_people_found() -> None:
    wrong, cannot = AlertAnswer.NOT_THIS_VEHICLE, AlertAnswer.CANNOT_TELL
    made = alerts(
        known("a"),
        step("a", ANSWERED, answer=wrong),
        known("b", entry=b"e2"),
        step("b", ANSWERED, answer=AlertAnswer.CONFIRMED),
        known("c", entry=b"e3"),
        step("c", ANSWERED, answer=cannot),
        known("d", entry=b"e4"),
        known("m", entry=b"e6"),
        step("m", ANSWERED, answer=AlertAnswer.WRONG_CHARACTER),  # the camera's error
        known("s", entry=b"e7"),
        step("s", ANSWERED, answer=AlertAnswer.WRONG_STATE),
        known("t", entry=b"e8"),
        step("t", ANSWERED, "ben", answer=AlertAnswer.WRONG_STATE),
        known("p", planted_plate="7ABC000", entry=b"e5"),
        step("p", AlertEvent.TRANSCRIBED, plate="8XYZ123"),
        step("p", AlertEvent.TRANSCRIBED, "ben", plate="7ABC000"),
        step("p", ANSWERED, answer=AlertAnswer.WRONG_CHARACTER),
    )
    assert made.sources() == [SourceShare("DOJ", 5, 3, 2)]
    assert made.verifiers() == []
    made.apply(entry(20, "x", step("p", CLOSED_STEP, outcome=Outcome.UNFOUNDED)))
    assert made.verifiers() == [VerifierShare("ann", 1, 1), VerifierShare("ben", 1, 0)]
