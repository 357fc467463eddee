"""People: passwords, codes, lockouts, sessions and their locks, swapped credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from desk_twins import PASSWORD, Department, secret_of

from storage.times import HOUR_US, MINUTE_US
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people import rules as people
from sync.department.desk.people.calls import AccountForm, CredentialForm, HandedOver, PasswordForm, UserForm
from sync.department.ground.settings import Settings
from sync.department.journal.credential_key import credential_key
from sync.department.policy.policy_file import default_document, parse_policy, policy_digest
from sync.department.policy.refusals import DeskRefusal, LockedError, NotProvenError, NotYetError
from sync.department.policy.roles import Role
from sync.department.server.founding import found
from sync.department.server.open_desk import adopt_root, first_administrator, open_desk

Tokens = Callable[[str], str]
POLICY = parse_policy(default_document())


def test_a_logon_needs_user_password_and_code(department: Department) -> None:
    department.clock.step(31_000_000)
    code = department.code("comm1")
    for user, password, given in (
        ("comm1", PASSWORD, "000000"),
        ("comm1", "wrong horse 463", code),
        ("nobody", PASSWORD, code),
        ("super", PASSWORD, code),
        ("comm1", "", ""),
    ):
        with pytest.raises(NotProvenError):
            department.desk.logons.logon(user, password, given)
    assert department.desk.logons.logon("comm1", PASSWORD, code)


def test_a_code_is_good_once(department: Department) -> None:
    department.clock.step(31_000_000)
    code = department.code("comm1")
    department.desk.logons.logon("comm1", PASSWORD, code)
    with pytest.raises(NotProvenError):
        department.desk.logons.logon("comm1", PASSWORD, code)


def test_a_code_that_logged_on_does_not_unlock_and_one_that_unlocked_does_not_log_on(
    department: Department,
) -> None:
    department.clock.step(31_000_000)
    code = department.code("comm1")
    token = department.desk.logons.logon("comm1", PASSWORD, code)
    with pytest.raises(NotProvenError):
        department.desk.logons.unlock(token, PASSWORD, code)
    department.clock.step(31_000_000)
    later = department.code("comm1")
    department.desk.logons.unlock(token, PASSWORD, later)
    for replayed in (later, code):
        with pytest.raises(NotProvenError):
            department.desk.logons.logon("comm1", PASSWORD, replayed)


def test_five_failed_unlocks_lock_out_too(department: Department) -> None:
    token = department.logon("comm1")
    department.clock.step(31 * MINUTE_US)
    for _ in range(5):
        with pytest.raises(NotProvenError):
            department.desk.logons.unlock(token, "wrong horse 463", "000000")
    with pytest.raises(LockedError):
        department.desk.logons.unlock(token, PASSWORD, department.code("comm1"))


def test_five_failed_logons_in_fifteen_minutes_lock_out(department: Department, tokens: Tokens) -> None:
    chief = tokens("chief")
    for _ in range(5):
        with pytest.raises(NotProvenError):
            department.desk.logons.logon("comm1", "wrong horse 463", "000000")
        department.clock.step(2 * MINUTE_US)
    with pytest.raises(LockedError):
        department.desk.logons.logon("comm1", PASSWORD, department.code("comm1"))
    department.clock.step(14 * MINUTE_US)
    assert department.logon("comm1")
    for _ in range(5):
        with pytest.raises(NotProvenError):
            department.desk.logons.logon("disp1", "wrong horse 463", "000000")
    with pytest.raises(LockedError):
        department.logon("disp1")
    department.call("user/lift-lockout", chief, UserForm(user="disp1", reason="called in person"))
    assert department.logon("disp1")


def test_failures_spread_over_hours_do_not_lock_out(department: Department) -> None:
    for _ in range(6):
        with pytest.raises(NotProvenError):
            department.desk.logons.logon("comm1", "wrong horse 463", "000000")
        department.clock.step(HOUR_US)
    assert department.logon("comm1")


def test_a_session_locks_after_thirty_idle_minutes_and_opens_to_its_owner(department: Department) -> None:
    desk, token = department.desk, department.logon("comm1")
    for _ in range(3):
        department.clock.step(29 * MINUTE_US)
        department.call("training/list", token, NothingForm())
    department.clock.step(30 * MINUTE_US)
    for _ in range(2):
        with pytest.raises(LockedError):
            department.call("training/list", token, NothingForm())
    with pytest.raises(NotProvenError):
        desk.logons.unlock(token, "wrong horse 463", department.code("comm1"))
    desk.logons.unlock(token, PASSWORD, department.code("comm1"))
    department.call("training/list", token, NothingForm())
    department.clock.step(13 * HOUR_US)
    with pytest.raises(NotProvenError):
        department.call("training/list", token, NothingForm())


def test_a_staffed_dispatch_post_is_exempt_from_the_lock_and_no_other(department: Department) -> None:
    at_post, elsewhere = department.logon("disp1", post="dispatch"), department.logon("comm1")
    for user, post in (("comm1", "lobby"), ("officer1", "dispatch"), ("chief", "dispatch")):
        with pytest.raises(NotProvenError):
            department.logon(user, post=post)
    department.clock.step(2 * HOUR_US)
    department.call("training/list", at_post, NothingForm())
    with pytest.raises(LockedError):
        department.call("training/list", elsewhere, NothingForm())


def test_a_session_ends_with_logoff_and_with_the_account(department: Department, tokens: Tokens) -> None:
    token, chief = department.logon("comm1"), tokens("chief")
    department.desk.logons.logoff(token)
    with pytest.raises(NotProvenError):
        department.call("training/list", token, NothingForm())
    token = department.logon("disp1")
    gone = AccountForm(user="disp1", name="D", organisation="PD", roles=(), reason="left", active=False)
    department.call("user/set", chief, gone)
    with pytest.raises(NotProvenError):
        department.call("training/list", token, NothingForm())
    with pytest.raises(NotProvenError):
        department.logon("disp1")


def test_a_credential_swapped_beside_the_log_is_refused(department: Department) -> None:
    """Root replaces a person's password hash by one of its own, which does not match the log's digest."""
    from storage import sealing
    from storage.codec import to_bytes

    desk = department.desk
    forged = people.new_credential(
        desk.policy.security, "comm1", "roots own password", department.clock.us, first=False
    )
    key = credential_key(desk.log)
    desk.log.put_credential("comm1", sealing.wrap(key, desk.log.log_id, 0, "comm1", to_bytes(forged)))
    department.secrets["comm1"] = ("roots own password", forged.totp)
    with pytest.raises(NotProvenError):
        department.logon("comm1")


def test_a_session_planted_in_the_database_opens_nothing(department: Department) -> None:
    from sync.department.desk.sessions import digest_of

    department.desk.log.touch(digest_of("planted"), department.clock.us)
    with pytest.raises(NotProvenError):
        department.call("training/list", "planted", NothingForm())


def test_a_first_password_opens_only_its_own_change(department: Department, tokens: Tokens) -> None:
    form = CredentialForm(user="comm1", reason="lost phone")
    given = department.two_hands("user/credential", tokens("chief"), form)
    assert isinstance(given, HandedOver)
    department.secrets["comm1"] = (given.password, secret_of(given))
    token = department.logon("comm1")
    with pytest.raises(DeskRefusal) as refused:
        department.call("training/list", token, NothingForm())
    assert refused.value.code == "first-password"
    for old, new, code in (
        ("wrong horse 463", "another horse 463", "password"),
        (given.password, "short", "password"),
        (given.password, "comm1comm1comm1", "password"),
        (given.password, given.password, "password"),
    ):
        with pytest.raises(DeskRefusal) as refused:
            department.call("user/password", token, PasswordForm(old=old, new=new))
        assert refused.value.code == code
    fresh = department.renew_authenticator(token, PasswordForm(old=given.password, new=PASSWORD))
    assert fresh != secret_of(given)
    department.call("training/list", token, NothingForm())


def test_no_person_manages_their_own_account(department: Department, tokens: Tokens) -> None:
    more = AccountForm(
        user="chief",
        name="C",
        organisation="PD",
        roles=(Role.ADMINISTRATOR, Role.COMMUNICATIONS),
        reason="me",
    )
    for name, form in (
        ("user/set", more),
        ("user/credential", UserForm(user="chief", reason="me")),
        ("user/lift-lockout", UserForm(user="chief", reason="me")),
    ):
        with pytest.raises(DeskRefusal):
            department.call(name, tokens("chief"), form)


@pytest.mark.parametrize(
    "account",
    [
        pytest.param({"user": "Root!"}, id="odd name"),
        pytest.param({"user": "system"}, id="reserved name"),
        pytest.param({"roles": ()}, id="no role"),
        pytest.param({"roles": (Role.VENDOR, Role.COMMUNICATIONS)}, id="a vendor who searches"),
        pytest.param(
            {"roles": (Role.REVIEWER, Role.DISPATCHER)}, id="a reviewer who searches through another role"
        ),
        pytest.param({"reason": " "}, id="no reason"),
    ],
)
def test_an_account_that_463_does_not_allow_is_refused(
    department: Department, tokens: Tokens, account: dict[str, object]
) -> None:
    form = AccountForm(user="new1", name="New", organisation="PD", roles=(Role.OFFICER,), reason="hired")
    with pytest.raises(DeskRefusal):
        department.call("user/set", tokens("chief"), replace(form, **account))  # type: ignore[arg-type]


def test_passwords_in_both_profiles_verify_and_nothing_else_does() -> None:
    for profile in ("standard", "fips"):
        terms = replace(POLICY.security, profile=profile, argon2_memory_kib=19456, argon2_passes=2)
        made = people.new_credential(terms, "comm1", PASSWORD, 1, first=False)
        assert made.scheme == {"standard": "argon2id", "fips": "pbkdf2-sha256"}[profile]
        assert people.password_matches(made, PASSWORD)
        assert not people.password_matches(made, PASSWORD + "x")
        assert not people.password_matches(replace(made, password="junk"), PASSWORD)  # noqa: S106 - of no one
        assert PASSWORD not in repr(made)
        assert made.totp not in repr(made)


def test_a_password_from_before_the_fips_profile_opens_only_its_own_change(
    department: Department, tokens: Tokens
) -> None:
    token = tokens("comm1")
    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n")
    document = text.replace('profile = "standard"', 'profile = "fips"').encode()
    root = department.new_root(policy_version=3, policy_digest=policy_digest(document))
    adopt_root(department.home, department.desk, root, document)
    with pytest.raises(DeskRefusal) as refused:
        department.call("training/list", token, NothingForm())
    assert refused.value.code == "password-scheme"
    with pytest.raises(NotProvenError):
        department.desk.logons.logon("nobody", PASSWORD, "000000")
    department.renew_password("comm1")
    known = department.desk.credential("comm1")
    assert known is not None
    assert known.scheme == "pbkdf2-sha256"
    department.call("training/list", department.logon("comm1"), NothingForm())


def test_a_department_that_is_founded_with_the_profile_has_no_argon2_from_the_first_person_on(
    tmp_path: Path,
) -> None:
    home = found(tmp_path / "home", Settings(day_keys_ahead=2), fips=True).home
    assert home.fips
    first_administrator(home, "chief", "Chief")
    desk = open_desk(home)
    known = desk.credential("chief")
    desk.close()
    assert known is not None
    assert known.scheme == "pbkdf2-sha256"


@pytest.mark.parametrize("user", ["comm1", "chief"])
def test_an_expired_password_opens_its_own_change_and_nothing_else(department: Department, user: str) -> None:
    department.clock.step(366 * 24 * HOUR_US)
    token = department.logon(user)
    with pytest.raises(NotYetError) as refused:
        department.call("training/list", token, NothingForm())
    assert refused.value.code == "password-expired"
    form = PasswordForm(old=PASSWORD, new="a new year 463463")
    assert department.call("user/password", token, form) == HandedOver(user=user, password="", totp_uri="")
    department.secrets[user] = ("a new year 463463", department.secrets[user][1])
    assert department.call("training/list", department.logon(user), NothingForm())
