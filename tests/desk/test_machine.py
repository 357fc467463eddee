"""Clock and backlog confirmed by two people, an administrator named by two offices, and what ends."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_asking import code_of
from desk_root import Root, account_form, problems
from desk_twins import GROUND, Department, SwitchedWitness
from log_entries import refused

from storage.codec import to_plain
from storage.envelope import encode
from storage.errors import RecordError, SignatureError, StorageError
from storage.times import DAY_US, HOUR_US, day_text
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.due import endings_now, overdue_now
from sync.department.desk.endings import soon
from sync.department.desk.inquiry.forms import Entered, RunForm
from sync.department.desk.machine.calls import ClockForm, PurgeForm
from sync.department.desk.owed import Late
from sync.department.desk.people.calls import AccountEntered, AccountForm, CredentialForm, HandedOver
from sync.department.ground.department_time import Clocks, DepartmentTime
from sync.department.ground.home import load_ed25519
from sync.department.journal import named_administrator
from sync.department.journal.entries import PROOFS_OF_ONE, AccessLogOpened
from sync.department.journal.machine_entries import AdministratorNamed
from sync.department.journal.signed_log import SignedLog
from sync.department.journal.signers import SIGNER_KINDS
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role
from sync.department.server import naming
from sync.department.server.due_work import standing
from sync.department.server.founding import OFFICES
from sync.department.server.open_desk import open_front

Tokens = Callable[[str], str]


class Machine:
    """A machine whose wall clock moves independently of its running time."""

    def __init__(self, department: Department) -> None:
        self.department, self.ahead_us = department, 0
        clocks = Clocks(
            wall=lambda: department.clock.us + self.ahead_us,
            running=lambda: department.clock.us,
            boot=lambda: "boot",
        )
        self.time = DepartmentTime(department.home.path, clocks)
        self.time.accept(department.clock.us)


@pytest.fixture
def machine(department: Department) -> Machine:
    """Give the department's desk its own time and a wall clock that a test can move."""
    made = Machine(department)
    department.front.close()
    department.front = open_front(department.home, clock=made.time, link=department.witness)
    department.witness = replace_witness(department)
    return made


def replace_witness(department: Department) -> SwitchedWitness:
    department.close()
    witness = SwitchedWitness(department.home.path.parent / "witness", department.clock)
    time = department.front.time
    assert time is not None
    department.front = open_front(department.home, clock=time, link=witness)
    return witness


def approved(department: Department, call: str, form: ClockForm | PurgeForm, by: str, second: str) -> Entered:
    """Make a call that a second person approves."""
    token = department.logon(by)
    asked = department.call(call, token, replace(form, propose=True))
    assert isinstance(asked, Entered)
    decide = DecideForm(proposal=asked.entry, granted=True, reason="seen on my watch")
    department.call("change/approve", department.logon(second), decide)
    made = department.call(call, token, replace(form, approval=asked.entry))
    assert isinstance(made, Entered)
    return made


def test_who_has_to_put_the_clock_right_gets_in_by_their_phones(
    machine: Machine, department: Department
) -> None:
    """The machine was off for five days: clock and phones are right, but the department cannot know that."""
    department.witness.away, machine.ahead_us = True, 5 * DAY_US
    assert machine.time.doubt() is not None
    password, secret = department.secrets["chief"]

    def code() -> str:
        department.clock.step(31_000_000)
        return pyotp.TOTP(secret).at((department.clock.us + machine.ahead_us) // 1_000_000)

    used = code()
    token = department.desk.logons.logon("chief", password, used)
    with pytest.raises(DeskRefusal, match="wrong"):
        department.desk.logons.logon("chief", password, used)
    department.desk.logons.logoff(token, lock=True)
    department.desk.logons.unlock(token, password, code())
    with pytest.raises(DeskRefusal, match="wrong"):  # a phone that shows neither time
        department.desk.logons.logon("super", *wrong_phone(department, "super", 2 * DAY_US))
    machine.ahead_us = 0
    department.logon("super")


@pytest.mark.parametrize("off_us", [30 * HOUR_US, 40 * DAY_US, -20 * DAY_US])
def test_a_host_clock_that_is_stepped_under_the_server_locks_out_no_phone(
    machine: Machine, department: Department, off_us: int
) -> None:
    """Phones have the right time, and no witness is there to confirm it."""
    department.witness.away = True
    department.clock.step(HOUR_US)
    machine.ahead_us = off_us
    for user in ("chief", "super", "chief"):
        department.logon(user)


def wrong_phone(department: Department, user: str, ahead_us: int) -> tuple[str, str]:
    """A login with the right password and a code for another time."""
    password, secret = department.secrets[user]
    return password, pyotp.TOTP(secret).at((department.clock.us + ahead_us) // 1_000_000)


def test_a_month_without_power_is_believed_by_two_people(machine: Machine, department: Department) -> None:
    department.witness.away = True
    machine.ahead_us = 30 * DAY_US
    form = ClockForm(
        day=day_text((department.clock.us + 30 * DAY_US) // DAY_US), reason="power was cut in June"
    )
    with pytest.raises(DeskRefusal) as refused:
        department.call("clock/confirm", department.logon("chief"), form)
    assert refused.value.code == "second-person"
    assert machine.time.doubt() is not None
    assert any(one.kind == "clock" for one in standing(department.front).overdue)
    approved(department, "clock/confirm", form, "chief", "super")
    assert machine.time.doubt() is None
    assert machine.time.now_us() == department.clock.us + 30 * DAY_US


def test_a_command_that_has_not_heard_the_witness_asks_it_before_people_confirm(
    machine: Machine, department: Department
) -> None:
    """20 hours ahead, within the bound: the running server has heard the witness, the command has not."""
    machine.ahead_us = 20 * HOUR_US
    assert machine.time.doubt() is None
    day = day_text((department.clock.us + 20 * HOUR_US) // DAY_US)
    form = ClockForm(day=day, reason="three radios show it", propose=True)
    department.call("clock/confirm", department.logon("chief"), form)
    doubt = machine.time.doubt()
    assert doubt is not None
    assert doubt.by_us == 20 * HOUR_US


@pytest.mark.parametrize(
    ("ahead_days", "day", "reason", "code"),
    [
        pytest.param(30, "2027-12-31", "power was cut in June", "other-day", id="another day"),
        pytest.param(30, "tomorrow", "power was cut in June", "form", id="no day"),
        pytest.param(30, None, "..", "reason", id="no reason"),
        pytest.param(0, None, "power was cut in June", "no-doubt", id="a clock that is believed"),
    ],
)
def test_a_word_on_the_clock_that_is_refused(
    machine: Machine, department: Department, ahead_days: int, day: str | None, reason: str, code: str
) -> None:
    department.witness.away = True
    machine.ahead_us = ahead_days * DAY_US
    day = day or day_text((department.clock.us + machine.ahead_us) // DAY_US)
    with pytest.raises(DeskRefusal) as refused:
        department.call(
            "clock/confirm", department.logon("chief"), ClockForm(day=day, reason=reason, propose=True)
        )
    assert refused.value.code == code


def test_a_backlog_is_allowed_by_two_people_and_no_day_before_its_year(department: Department) -> None:
    day = department.clock.us // DAY_US
    form = PurgeForm(through=day_text(day), reason="the server stood still")
    with pytest.raises(DeskRefusal) as refused:
        department.call("backlog/allow", department.logon("chief"), replace(form, propose=True))
    assert refused.value.code == "not-due"
    old = replace(form, through=day_text(day - 366))
    with pytest.raises(DeskRefusal) as refused:
        department.call("backlog/allow", department.logon("chief"), old)
    assert refused.value.code == "second-person"
    approved(department, "backlog/allow", old, "chief", "super")
    assert department.desk.book.purge_through == day - 366


def test_a_clock_set_back_gives_no_training_back(machine: Machine, department: Department) -> None:
    """What has ended stays ended: no entry is dated before an earlier one."""
    token = department.logon("comm1")
    newest = department.desk.log.newest_us()
    machine.ahead_us = -64 * DAY_US
    answer = department.call("inquiry/run", token, RunForm(query=department.plate("8XYZ123"), ground=GROUND))
    assert answer is not None
    stamps = [one.stamp.at_us for one in department.desk.log.entries()]
    assert stamps == sorted(stamps)
    assert stamps[-1] >= newest


# an administrator by two offices ---------------------------------------------------------------------------


def office(department: Department, name: str) -> Ed25519PrivateKey:
    return load_ed25519(department.home.path / "root-keys" / f"{name}.key")


def signed(
    department: Department, offices: Sequence[str], user: str = "newchief", /, **changes: object
) -> bytes:
    """A statement about the user, with `changes`, signed by these offices."""
    said, _ = named_administrator.parse(naming.draft(department.desk, user, "N. Chief"))
    data = named_administrator.unsigned(replace(said, **changes))  # type: ignore[arg-type]
    for name in offices:
        data = named_administrator.add_signature(data, office(department, name))
    return data


@pytest.mark.parametrize("offices", [OFFICES[:2], OFFICES[1:], OFFICES])
def test_two_offices_name_an_administrator_who_logs_on(
    department: Department, offices: tuple[str, ...]
) -> None:
    department.clock.step(400 * DAY_US)  # all passwords have expired, and the chief has left
    given = naming.name_administrator(department.desk, signed(department, offices))
    department.own_password(given)
    roster = department.desk.book.roster
    assert roster.holders(roster.accounts["newchief"].roles[0]) == ["newchief"]
    assert not roster.accounts["chief"].active
    assert len(list(department.desk.log.entries(kinds=(AdministratorNamed.KIND,)))) == 1


def left(user: str, role: Role) -> AccountForm:
    return AccountForm(
        user=user, name=user.title(), organisation="PD", roles=(role,), reason="left", active=False
    )


def test_when_the_last_second_person_has_left_two_offices_let_the_administrator_enter_the_next(
    department: Department,
) -> None:
    """Supervisor and designee left, or one left and the other forgot the password: otherwise no one could
    ever approve their successor.
    """
    chief = department.logon("chief")
    one_left = department.call("user/set", chief, left("deputy", Role.DESIGNEE))
    assert isinstance(one_left, AccountEntered)
    assert one_left.warning.startswith("only super may approve what chief proposes: enter another CCAT")
    assert Late.APPROVER not in {one.kind for one in overdue_now(department.front, department.clock.us)}
    forgot = CredentialForm(user="super", reason="forgot the password", propose=True)
    with pytest.raises(DeskRefusal, match="no other person may approve this") as refused:
        department.call("user/credential", chief, forgot)
    assert refused.value.code == "no-approver"
    assert refused.value.cure.startswith("take the account of super away; two of the three offices")
    none_left = department.call("user/set", chief, left("super", Role.CCAT_SUPERVISOR))
    assert isinstance(none_left, AccountEntered)
    assert none_left.warning.startswith("no one may approve what chief proposes: ")
    said = {one.what for one in overdue_now(department.front, department.clock.us)}
    assert none_left.warning in said
    back = AccountForm(
        user="super", name="Super", organisation="PD", roles=(Role.CCAT_SUPERVISOR,), reason="is back"
    )
    assert code_of(department, "user/set", chief, replace(back, propose=True)) == "no-approver"
    given = naming.name_administrator(department.desk, signed(department, OFFICES[:2], "chief"))
    department.own_password(given)
    chief = department.logon("chief")
    with pytest.raises(DeskRefusal, match="no other person may approve this") as alone:
        department.call("user/set", chief, replace(back, propose=True))
    assert alone.value.cure.startswith(
        "the administrator enters a CCAT supervisor or a designee first, alone"
    )
    department.call("user/set", chief, back)
    fresh = department.call("user/credential", chief, CredentialForm(user="super", reason="is back"))
    assert isinstance(fresh, HandedOver)
    department.own_password(fresh)
    assert code_of(department, "user/set", chief, replace(back, user="super2")) == "second-person"
    assert problems(department) == ()


def test_a_designation_that_ended_leaves_no_second_person(department: Department) -> None:
    chief, now_us = department.logon("chief"), department.clock.us
    known = department.desk.book.roster.accounts["deputy"]
    department.two_hands("user/set", chief, account_form(known, ends_us=now_us + DAY_US))
    department.clock.step(2 * DAY_US)
    chief = department.logon("chief")
    department.call("user/set", chief, left("super", Role.CCAT_SUPERVISOR))
    department.own_password(
        naming.name_administrator(department.desk, signed(department, OFFICES[:2], "chief"))
    )
    chief = department.logon("chief")
    department.call("user/set", chief, account_form(known))  # designated again
    friend = replace(left("friend", Role.CCAT_SUPERVISOR), active=True)
    department.two_hands("user/set", chief, friend, second="deputy")
    assert problems(department) == ()


def test_an_administrator_named_by_offices_gains_nothing_by_removing_the_others(
    department: Department,
) -> None:
    given = naming.name_administrator(department.desk, signed(department, OFFICES[:2], "chief"))
    department.own_password(given)
    chief = department.logon("chief")
    for user, role in (("deputy", Role.DESIGNEE), ("super", Role.CCAT_SUPERVISOR)):
        department.call("user/set", chief, left(user, role))
    friend = AccountForm(
        user="friend", name="A. Friend", organisation="PD", roles=(Role.CCAT_SUPERVISOR,), reason="hired"
    )
    assert code_of(department, "user/set", chief, friend) == "second-person"
    assert code_of(department, "user/set", chief, replace(friend, propose=True)) == "no-approver"


@pytest.mark.parametrize("offices", [(), OFFICES[:1], (OFFICES[0], OFFICES[0])])
def test_fewer_than_two_offices_name_no_administrator(
    department: Department, offices: tuple[str, ...]
) -> None:
    size = department.desk.log.size()
    with pytest.raises(SignatureError, match="2 of the three must sign"):
        naming.name_administrator(department.desk, signed(department, offices))
    assert department.desk.log.size() == size


def test_a_statement_holds_once_and_for_its_own_root(department: Department) -> None:
    data = signed(department, OFFICES[:2])
    naming.name_administrator(department.desk, data)
    with pytest.raises(RecordError, match="has been named since"):
        naming.name_administrator(department.desk, data)
    stranger = Ed25519PrivateKey.generate()
    forged = named_administrator.add_signature(
        named_administrator.add_signature(naming.draft(department.desk, "x1", ""), stranger), stranger
    )
    with pytest.raises(SignatureError, match="no office"):
        naming.name_administrator(department.desk, forged)
    elsewhere = signed(department, OFFICES[:2], "third", department="Azusa Police Department")
    with pytest.raises(RecordError, match="another root file"):
        naming.name_administrator(department.desk, elsewhere)
    old = signed(department, OFFICES[:2], "third")
    department.desk.set_root(department.new_root(), department.desk.policy_document)
    with pytest.raises(RecordError, match="another root file"):
        naming.name_administrator(department.desk, old)
    for bent in (b"", b"\xa0", data[:-1]):
        with pytest.raises(StorageError):
            naming.name_administrator(department.desk, bent)
        assert not named_administrator.is_statement(bent)


def test_the_offices_give_a_removed_persons_user_name_to_no_other_person(department: Department) -> None:
    roster = department.desk.book.roster
    data = signed(department, OFFICES[:2], "comm1")  # for "N. Chief", who got that name only later
    person = roster.accounts["comm1"]
    left = AccountForm(
        user="comm1",
        name=person.name,
        organisation=person.organisation,
        roles=(),
        reason="left",
        active=False,
    )
    department.call("user/set", department.logon("chief"), left)
    refused("user-name", naming.name_administrator, department.desk, data)
    refused("user-name", naming.draft, department.desk, "comm1", "N. Chief")
    assert naming.draft(department.desk, "comm1", person.name)
    assert department.desk.book.roster.accounts["comm1"].name == person.name


def test_a_statement_kept_too_long_has_no_force(department: Department) -> None:
    """Nor does one whose draft has a future date."""
    kept, fresh = (signed(department, OFFICES[:2], user) for user in ("kept", "newchief"))
    ahead = signed(department, OFFICES[:2], at_us=department.clock.us + DAY_US)
    size = department.desk.log.size()
    with pytest.raises(RecordError, match="last 14 days"):
        naming.name_administrator(department.desk, ahead)
    department.clock.step(13 * DAY_US)
    naming.name_administrator(department.desk, fresh)
    department.clock.step(DAY_US)
    with pytest.raises(RecordError):
        naming.name_administrator(department.desk, kept)
    stale = signed(department, OFFICES[:2], "kept")
    department.clock.step(14 * DAY_US)
    with pytest.raises(RecordError, match="last 14 days"):
        naming.name_administrator(department.desk, stale)
    assert department.desk.book.roster.accounts.get("kept") is None
    said, _ = named_administrator.parse(stale)
    undated = {name: value for name, value in to_plain(said).items() if name != "at_us"}
    assert replace(said, at_us=0).digest() == hashlib.sha256(encode(undated)).digest()  # in older logs
    assert department.desk.log.size() > size


def again(department: Department) -> AdministratorNamed:
    """Use the statement of the last named administrator again."""
    (named,) = department.desk.log.entries(kinds=(AdministratorNamed.KIND,))
    assert isinstance(named.note, AdministratorNamed)
    return named.note


def third(department: Department, *offices: str, **changes: object) -> AdministratorNamed:
    return AdministratorNamed(user="third", statement=signed(department, offices, "third", **changes))


FORGED: tuple[Callable[[Department], AdministratorNamed], ...] = (
    again,
    lambda department: replace(third(department, *OFFICES[:2]), user="pup"),
    lambda department: third(department, *OFFICES[:2], root=bytes(32)),
    lambda department: third(department, OFFICES[0]),
    lambda department: third(department, *OFFICES[:2], log_size=department.desk.log.size() + 1),
    lambda department: third(department, *OFFICES[:2], at_us=department.clock.us - 15 * DAY_US),
    lambda department: third(department, *OFFICES[:2], at_us=0),
)


def test_verify_names_each_administrator_whom_the_offices_did_not_name(department: Department) -> None:
    naming.name_administrator(department.desk, signed(department, OFFICES[:2]))
    assert problems(department) == ()
    root = Root(department)
    entries = [root.write(forged(department), root.stamp("system")) for forged in FORGED]
    named = problems(department)
    assert [int(one.removeprefix("entry ").partition(":")[0]) for one in named] == entries


@pytest.mark.parametrize("seen", [False, True])
def test_in_an_older_log_a_statement_had_no_date(department: Department, *, seen: bool) -> None:
    """Old papers count until the first entry in a form that has the date; after that, they have no force."""
    Root(department).write(third(department, *OFFICES[:2], at_us=0), Root(department).stamp("system"))
    older = SignedLog()
    first, *others, named = department.desk.log.entries()
    assert isinstance(first.note, AccessLogOpened)
    older.judge(replace(first, note=replace(first.note, signs=PROOFS_OF_ONE)))
    for entry in others:
        if entry.note.KIND in SIGNER_KINDS:
            older.judge(entry)
    older.signers.second.seen_by_two = seen
    with pytest.raises(UnsignedError, match="had expired") if seen else contextlib.nullcontext():
        older.judge(named)


# notices -----------------------------------------------------------------------------------------------


def kinds(department: Department) -> set[str]:
    desk = department.desk
    return {
        one.kind for one in soon(desk.policy, endings_now(department.front, desk.now_us()), desk.now_us())
    }


def test_what_ends_is_announced_thirty_days_before_and_not_earlier(department: Department) -> None:
    assert kinds(department) <= {"policy-training"}
    made_us = department.desk.book.roster.credential_us["chief"]
    department.clock.us = made_us + 335 * DAY_US - HOUR_US
    assert "password" not in kinds(department)
    department.clock.step(2 * HOUR_US)
    assert "password" in kinds(department)
    department.clock.step(29 * DAY_US)
    assert {"password", "training", "policy"} <= kinds(department)
    found = soon(
        department.desk.policy, endings_now(department.front, department.clock.us), department.clock.us
    )
    assert [one.ends_us for one in found] == sorted(one.ends_us for one in found)
    assert all(" ends " in one.what or one.kind == "policy-training" for one in found)


def test_certificates_and_day_keys_are_among_what_ends(department: Department) -> None:
    found = {one.kind for one in department.front.ending()}
    assert "authority" in found
