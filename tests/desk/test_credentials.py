"""A new password or authenticator: who may set it, which sessions it ends, and what it hides from others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyotp
import pytest
from desk_asking import account, code_of
from desk_twins import DAY_US, MINUTE_US, PASSWORD, START_US, Department, secret_of

from sync.department.desk.audit.events import rows_of
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.logon_forms import Me
from sync.department.desk.people.calls import CredentialForm, HandedOver, PasswordForm
from sync.department.desk.people.new_secrets import NewSecrets
from sync.department.policy.refusals import FormError, NotProvenError
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]


def test_a_new_credential_ends_every_other_session(department: Department, tokens: Tokens) -> None:
    older, changing = department.logon("comm1"), department.logon("comm1")
    department.call("user/password", changing, PasswordForm(old=PASSWORD, new="another horse 463"))
    department.secrets["comm1"] = ("another horse 463", department.secrets["comm1"][1])
    department.call("training/list", changing, NothingForm())
    assert code_of(department, "training/list", older, NothingForm()) == "no-session"
    department.two_hands("user/credential", tokens("chief"), CredentialForm(user="comm1", reason="stolen"))
    assert code_of(department, "training/list", changing, NothingForm()) == "no-session"


def secret_of_new(department: Department, token: str) -> str:
    shown = department.call("user/authenticator", token, NothingForm())
    assert isinstance(shown, HandedOver)
    return secret_of(shown)


@pytest.mark.parametrize("renews", [True, False])
def test_a_stolen_session_replaces_neither_password_nor_authenticator(
    department: Department, *, renews: bool
) -> None:
    """Not even with the phished password: the second factor is required."""
    stolen = department.logon("comm1", proves=False)
    form = PasswordForm(old=PASSWORD, new="another horse 463", new_authenticator=renews)
    size = department.desk.log.size()
    assert code_of(department, "user/password", stolen, form) == "fresh-proof"
    wrong = replace(form, old="wrong horse 463")
    assert code_of(department, "user/password", stolen, wrong) == "fresh-proof"  # and no guess is checked
    assert {one.note.KIND for one in department.desk.log.entries(size)} == {"refused"}
    secret = secret_of_new(department, stolen)
    code = pyotp.TOTP(secret).at(department.clock.us // 1_000_000 + 31)  # the code at the time of the proof
    form = replace(form, code=code if renews else "")
    department.prove("comm1", stolen, "user/password", form)
    assert isinstance(department.call("user/password", stolen, form), HandedOver)


def test_the_old_password_cannot_be_guessed_in_a_session(department: Department) -> None:
    token = department.logon("comm1")
    form = PasswordForm(old="wrong horse 463", new="another horse 463")
    attempts = department.desk.policy.sessions.attempts
    answers = [code_of(department, "user/password", token, form) for _ in range(attempts + 1)]
    assert answers == ["password"] * attempts + ["locked-out"]
    assert code_of(department, "user/password", token, replace(form, old=PASSWORD)) == "locked-out"
    assert department.logon("comm1")  # the person logs in elsewhere


def test_an_expired_password_is_changed_without_another_proof(department: Department) -> None:
    department.clock.step(department.desk.policy.security.password_max_days * DAY_US)
    token = department.logon("comm1", proves=False)
    form = PasswordForm(old=PASSWORD, new="another horse 463")
    assert isinstance(department.call("user/password", token, form), HandedOver)


def test_a_removal_ends_sessions_and_the_old_password_for_good(
    department: Department, tokens: Tokens
) -> None:
    token = department.logon("comm1")
    department.call("user/set", tokens("chief"), account("comm1", active=False))
    department.two_hands("user/set", tokens("chief"), account("comm1", Role.COMMUNICATIONS))
    assert code_of(department, "training/list", token, NothingForm()) == "no-session"
    with pytest.raises(NotProvenError):
        department.logon("comm1")


def test_a_password_change_keeps_the_authenticator_and_its_used_codes(department: Department) -> None:
    token = department.logon("comm1")
    code = department.code("comm1")
    made = department.call("user/password", token, PasswordForm(old=PASSWORD, new="another horse 463"))
    assert made == HandedOver(user="comm1", password="", totp_uri="")
    with pytest.raises(NotProvenError):
        department.desk.logons.logon("comm1", "another horse 463", code)
    department.secrets["comm1"] = ("another horse 463", department.secrets["comm1"][1])
    token = department.logon("comm1")
    form = PasswordForm(old="another horse 463", new=PASSWORD, new_authenticator=True)
    assert department.renew_authenticator(token, form) != department.secrets["comm1"][1]
    assert authenticators(department, "comm1")[-2:] == [
        "the authenticator stays",
        "a new authenticator, as its owner asked",
    ]


def test_a_new_authenticator_is_in_force_with_its_first_code_and_not_before(department: Department) -> None:
    """An unscanned picture, or a phone that did not save it, locks no one out."""
    token, other = department.logon("comm1"), department.logon("comm1")
    form = PasswordForm(old=PASSWORD, new="another horse 463", new_authenticator=True)
    unasked = replace(form, code="123456")
    assert code_of(department, "user/password", token, unasked) == "none-waits"
    secret = secret_of_new(department, token)
    assert secret_of_new(department, token) != secret  # a copy of the session is never shown the scanned one
    code = pyotp.TOTP(secret).at(department.clock.us // 1_000_000)
    before = pyotp.TOTP(secret).at(department.clock.us // 1_000_000 - 300)
    size = department.desk.log.size()
    for wrong in ("", department.code("comm1"), before, "１２３４５６"):
        assert code_of(department, "user/password", token, replace(form, code=wrong)) == "new-code"
    foreign = replace(form, code=code)
    assert code_of(department, "user/password", other, foreign) == "none-waits"  # in another session
    assert not [one for one in department.desk.log.entries(size) if one.note.KIND == "credential"]
    assert department.logon("comm1")  # with the old password and authenticator
    again = pyotp.TOTP(secret).at(department.clock.us // 1_000_000)
    assert department.call("user/password", token, replace(form, code=again))
    with pytest.raises(NotProvenError):
        department.logon("comm1")
    department.secrets["comm1"] = ("another horse 463", secret)
    with pytest.raises(NotProvenError):  # the confirming code is used up
        department.desk.logons.logon("comm1", "another horse 463", again)
    assert department.logon("comm1")


def test_a_new_authenticator_waits_half_an_hour_for_its_code_and_the_newest_four_do() -> None:
    kept, soon_us, late_us = NewSecrets(), START_US + 30 * MINUTE_US, START_US + 31 * MINUTE_US

    def code(secret: str, at_us: int) -> str:
        return pyotp.TOTP(secret).at(at_us // 1_000_000)

    made = [kept.make(b"session", START_US) for _ in range(5)]
    step, late = soon_us // 30_000_000, late_us // 30_000_000  # late: by the phone's clock
    assert kept.confirmed(b"session", code(made[1], soon_us), soon_us, soon_us) == (made[1], step)
    assert kept.confirmed(b"session", code(made[4], late_us), soon_us, late_us) == (made[4], late)
    for typed, at_us, says, word in (
        (code(made[0], soon_us), soon_us, "was replaced by newer ones", "none-waits"),
        ("123456", soon_us, "not a code of the new", "new-code"),
        (code(made[4], late_us), late_us, "no new authenticator waits", "none-waits"),
    ):
        with pytest.raises(FormError, match=says) as refused:
            kept.confirmed(b"session", typed, at_us, at_us)
        assert refused.value.code == word
    assert made[4] not in repr(kept)
    kept.make(b"session", late_us)
    kept.forget(b"session")
    with pytest.raises(FormError, match="no new authenticator waits"):
        kept.confirmed(b"session", "000000", late_us, late_us)


def authenticators(department: Department, user: str) -> list[str]:
    """What the log says of this person's authenticator, for each credential in turn."""
    rows = rows_of(department.desk.log.entries(kinds=("credential",)))
    return [row.detail for row in rows if row.about == user]


def told(department: Department, token: str) -> tuple[str, bool]:
    """What a person's session says before a change of the password."""
    me = department.call("user/me", token, NothingForm())
    assert isinstance(me, Me)
    return me.must_change, me.replaces_authenticator


def test_a_reset_of_the_password_alone_keeps_the_phone_and_locks_out_the_person_who_made_it(
    department: Department,
) -> None:
    """The administrator knows the first password but has no code; the person's change keeps the phone."""
    secret = department.secrets["comm1"][1]
    used = department.code("comm1")
    department.logon("comm1")
    form = CredentialForm(user="comm1", reason="forgot the password", keep_authenticator=True)
    given = department.two_hands("user/credential", department.logon("chief"), form)
    assert isinstance(given, HandedOver)
    assert given.password
    assert given.totp_uri == ""
    for code in ("000000", used):  # neither a guess nor a code used before the reset
        with pytest.raises(NotProvenError):
            department.desk.logons.logon("comm1", given.password, code)
    department.secrets["comm1"] = (given.password, secret)
    token = department.logon("comm1")
    assert told(department, token) == ("first-password", False)
    made = department.call("user/password", token, PasswordForm(old=given.password, new=PASSWORD))
    assert made == HandedOver(user="comm1", password="", totp_uri="")
    department.secrets["comm1"] = (PASSWORD, secret)
    assert department.call("training/list", department.logon("comm1"), NothingForm())
    assert authenticators(department, "comm1")[-2:] == ["the authenticator stays"] * 2


def test_an_authenticator_that_another_person_made_is_never_kept(department: Department) -> None:
    chief = department.logon("chief")
    lost = CredentialForm(user="comm1", reason="lost the phone")
    given = department.two_hands("user/credential", chief, lost)
    assert isinstance(given, HandedOver)
    kept = CredentialForm(user="comm1", reason="and the password", keep_authenticator=True)
    assert code_of(department, "user/credential", chief, kept) == "authenticator"
    department.secrets["comm1"] = (given.password, secret_of(given))
    token = department.logon("comm1")
    assert told(department, token) == ("first-password", True)
    department.renew_authenticator(token, PasswordForm(old=given.password, new=PASSWORD))
    assert authenticators(department, "comm1")[-2:] == [
        "a new authenticator",
        "a new authenticator: another person had made the old one",
    ]
    assert told(department, token) == ("", False)


@pytest.mark.parametrize(
    "code", ["١٢٣٤٥٦", "１２３４５６", "12345", "1234567", "", "12345\n", "abcdef", "①②③④⑤⑥"]
)
def test_a_code_that_is_not_six_ascii_digits_is_a_plain_refusal_with_either_password(
    department: Department, code: str
) -> None:
    for password in (PASSWORD, "wrong horse 463"):
        with pytest.raises(NotProvenError) as refused:
            department.desk.logons.logon("comm1", password, code)
        assert refused.value.code == "logon"
