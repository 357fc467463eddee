"""The desk's maintenance grants (463.3), and incidents that two people close (463.8)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_asking import code_of, vendor_grant
from desk_root import problems
from desk_twins import Department

from storage.codec import to_bytes
from storage.grant_format import (
    DEPARTMENT,
    FORMAT,
    REPAIR_COMMANDS,
    Bundle,
    Grant,
    GrantRole,
    issue,
    open_bundle,
)
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, HOUR_US
from sync.department.desk.due import OverdueForm, overdue_now
from sync.department.desk.grants.calls import Granted, GrantForm, LendForm, Lent, SignedForm
from sync.department.desk.grants.revoking import RevokeForm
from sync.department.desk.incidents.calls import SettleForm, Settling, repeat
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.owed import Late, Overdue
from sync.department.desk.people.calls import AccountForm
from sync.department.ground.department_time import Clocks
from sync.department.ground.home import load_ed25519
from sync.department.journal.office_entries import GrantIssued, IncidentSettled
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role
from sync.department.server import daily
from sync.department.server.server import Department as Server
from sync.department.store import incidents, tables
from sync.department.store.opening import open_store

Tokens = Callable[[str], str]
HOLDER = Ed25519PrivateKey.generate()
LINE = SshPublicKey.of(HOLDER).line
FORM = vendor_grant("repair: replace the lens", LINE)


def issued(department: Department, token: str, form: GrantForm = FORM) -> Granted:
    made = department.call("grant/issue", token, form)
    assert isinstance(made, Granted)
    return made


def test_a_grant_is_the_administrators_and_an_entry_that_is_witnessed_before_it_is_signed(
    department: Department, tokens: Tokens
) -> None:
    made = issued(department, tokens("chief"))
    command = load_ed25519(department.home.path / "command.key").public_key()
    grant = open_bundle(Bundle.parse(made.bundle), [command])
    assert (grant.person, grant.units, grant.to_us - grant.from_us) == ("vendor1", ("car-7",), 8 * HOUR_US)
    note = department.desk.log.entry(made.entry).note
    assert isinstance(note, GrantIssued)
    assert note.digest == hashlib.sha256(to_bytes(grant)).digest()
    assert (note.purpose, note.work_order, note.signer) == ("repair: replace the lens", "WO-118", "command")
    assert department.desk.log.cosigned()[0] > made.entry
    for user in ("super", "deputy", "vendor1", "comm1"):
        assert code_of(department, "grant/issue", tokens(user), FORM) == "role"
    department.witness.away = True
    department.clock.step(HOUR_US)
    chief = department.logon("chief")
    issued(department, chief)
    department.clock.step(16 * 60_000_000)
    department.prove("chief", chief, "grant/issue", FORM)
    assert code_of(department, "grant/issue", chief, FORM) == "witness-away"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"person": "nobody"}, "no-such-user"),
        ({"person": "officer1"}, "grant-role"),
        ({"role": GrantRole.TECHNICIAN}, "grant-role"),
        ({"units": ("car-99",)}, "unit"),
        ({"holder_key": "ssh-rsa AAAA"}, "ssh-key"),
        ({"purpose": ""}, "grant-purpose"),
        ({"purpose": "analysis"}, "grant-purpose"),
        ({"purpose": "repairs of the city's image"}, "grant-purpose"),
        ({"work_order": ""}, "work_order"),
        ({"to_us": 1 << 61}, "to_us"),
        ({"to_us": 1}, "to_us"),
        ({"to_us": -5}, "to_us"),
        ({"commands": ("rm",)}, "commands"),
        ({"hours": -1}, "hours"),
        ({"hours": -5}, "hours"),
        ({"hours": 0}, "hours"),
        ({"hours": 14 * 24 + 1}, "hours"),
        ({"hours": 1 << 52}, "hours"),
        ({"destroy_up_to": -1}, "destroy_up_to"),
        ({"destroy_up_to": 9}, "destroy_up_to"),
        ({"units": (DEPARTMENT,), "commands": ("factory-reset",), "propose": True}, "units"),
        ({"units": ("car-7", DEPARTMENT), "commands": ("factory-reset", "status"), "propose": True}, "units"),
    ],
)
def test_a_grant_beyond_what_463_3_gives_is_refused(
    department: Department, tokens: Tokens, change: dict[str, object], code: str
) -> None:
    assert code_of(department, "grant/issue", tokens("chief"), replace(FORM, **change)) == code  # type: ignore[arg-type]


@pytest.mark.parametrize("hours", [1, 14 * 24])
def test_the_hours_of_a_grant_are_what_was_asked(department: Department, tokens: Tokens, hours: int) -> None:
    before = department.clock.us
    made = issued(department, tokens("chief"), replace(FORM, hours=hours))
    assert 0 <= made.to_us - before - hours * HOUR_US < HOUR_US


def test_a_technicians_grant_ends_with_their_training(department: Department, tokens: Tokens) -> None:
    form = replace(FORM, person="analyst1", role=GrantRole.TECHNICIAN)
    made = issued(department, tokens("chief"), form)
    trained = department.desk.book.trainings.newest["analyst1"].held_us
    assert made.to_us == trained + 365 * DAY_US
    department.add_person(tokens("chief"), "analyst2", (Role.CCAT,))
    assert (
        code_of(department, "grant/issue", tokens("chief"), replace(form, person="analyst2")) == "untrained"
    )


def test_a_vendor_works_at_the_departments_server_only_during_a_grant_for_it(
    department: Department, tokens: Tokens
) -> None:
    chief, vendor = tokens("chief"), tokens("vendor1")

    def may() -> str:
        try:
            department.call("incident/list", vendor, NothingForm())
        except DeskRefusal as refused:
            return refused.code
        return "yes"

    assert may() == "no-grant"
    issued(department, chief)
    assert may() == "no-grant"  # that grant is for a car
    made = issued(department, chief, replace(FORM, units=(DEPARTMENT,)))
    assert may() == "yes"
    department.call("grant/revoke", chief, RevokeForm(names=(made.grant_id,), reason="done"))
    assert may() == "no-grant"
    issued(department, chief, replace(FORM, units=(DEPARTMENT,)))
    assert may() == "yes"
    department.clock.step(8 * HOUR_US)
    vendor = department.logon("vendor1")
    assert may() == "no-grant"
    rows = department.call("grant/list", department.logon("reviewer1"), NothingForm())
    assert [one.state for one in rows] == ["ended", "ended", "ended"]  # type: ignore[attr-defined]
    assert [one.unit_names for one in rows] == [(DEPARTMENT,), (DEPARTMENT,), ("car-7",)]  # type: ignore[attr-defined]


def test_revoked_names_reach_units_in_one_signed_list(department: Department, tokens: Tokens) -> None:
    chief = tokens("chief")
    for names, count in ((("vendor1",), 1), (("ab" * 16, "vendor1"), 2)):
        made = department.call("grant/revoke", chief, RevokeForm(names=names, reason="left"))
        assert made.names == count  # type: ignore[attr-defined]
    assert code_of(department, "grant/revoke", chief, RevokeForm(names=(), reason="left")) == "names"
    assert code_of(department, "grant/revoke", chief, RevokeForm(names=("x",), reason=" ")) == "names"


def test_a_mistyped_name_revokes_nothing_and_says_so(department: Department, tokens: Tokens) -> None:
    chief = tokens("chief")
    made = issued(department, chief)
    for slip in ("vendor11", "VENDOR1", made.grant_id[:31], "SHA256:short"):
        assert code_of(department, "grant/revoke", chief, RevokeForm(names=(slip,), reason="left")) == "names"
        both = RevokeForm(names=(made.grant_id, slip), reason="left")
        assert code_of(department, "grant/revoke", chief, both) == "names"
    assert department.desk.book.grants.revoked == set()
    revoke = RevokeForm(names=(made.grant_id,), reason="done")
    assert [department.call("grant/revoke", chief, revoke).ended for _ in range(2)] == [1, 0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    [pytest.param("vendor1", id="by name"), pytest.param(SshPublicKey.of(HOLDER).fingerprint, id="by key")],
)
def test_a_grant_that_every_unit_would_refuse_is_not_issued(
    department: Department, tokens: Tokens, name: str
) -> None:
    chief = tokens("chief")
    issued(department, chief)
    revoked = department.call("grant/revoke", chief, RevokeForm(names=(name,), reason="left"))
    assert revoked.ended == 1  # type: ignore[attr-defined]
    assert code_of(department, "grant/issue", chief, FORM) == "taken-back"


def test_a_refusal_says_whose_training_it_is(department: Department, tokens: Tokens) -> None:
    department.add_person(tokens("chief"), "analyst2", (Role.CCAT,))
    form = replace(FORM, person="analyst2", role=GrantRole.TECHNICIAN)
    with pytest.raises(DeskRefusal, match="analyst2 has no recorded training"):
        department.call("grant/issue", tokens("chief"), form)
    with pytest.raises(DeskRefusal, match="you have no recorded training"):
        department.call("share/list", department.logon("analyst2"), NothingForm())


def test_a_designees_night_grant_is_entered_and_a_forged_one_is_not(
    department: Department, tokens: Tokens
) -> None:
    chief = tokens("chief")
    for designee in ("super", "nobody"):
        assert (
            code_of(department, "grant/lend", chief, LendForm(designee=designee, days=30)) == "no-such-user"
        )
    lent = department.call("grant/lend", chief, LendForm(designee="deputy", days=30))
    assert isinstance(lent, Lent)
    now = department.clock.us
    grant = Grant(
        format=FORMAT, grant_id="ab" * 16, person="vendor1", organisation="Maker", role=GrantRole.VENDOR,
        holder_key=SshPublicKey.of(HOLDER).blob, purpose="repair", work_order="WO-9", units=("car-7",),
        commands=tuple(sorted(REPAIR_COMMANDS)), issued_us=now, from_us=now, to_us=now + HOUR_US,
        destroy_up_to=0, destroy_holds=(),
    )  # fmt: skip
    key = Ed25519PrivateKey.from_private_bytes(lent.key)
    data = issue(grant, key, delegation=lent.delegation).to_bytes()
    department.call("grant/enter", tokens("deputy"), SignedForm(bundle=data))
    note = department.desk.book.grants.issued["ab" * 16].note
    assert isinstance(note, GrantIssued)
    assert note.signer == "deputy"
    forged = issue(grant, Ed25519PrivateKey.generate(), delegation=lent.delegation).to_bytes()
    for bundle, code in ((data, "entered"), (forged, "grant"), (b"junk", "grant")):
        assert code_of(department, "grant/enter", tokens("deputy"), SignedForm(bundle=bundle)) == code
    assert code_of(department, "grant/enter", tokens("super"), SignedForm(bundle=data)) == "role"
    accounts = department.desk.book.roster.accounts
    accounts["super"] = replace(accounts["super"], ssh_keys=(grant.holder_key,))
    other = replace(grant, grant_id="cd" * 16)  # in the log, it would not count as signed
    bundle = issue(other, key, delegation=lent.delegation).to_bytes()
    assert code_of(department, "grant/enter", tokens("deputy"), SignedForm(bundle=bundle)) == "ssh-key"


def test_the_night_key_of_a_person_who_is_a_designee_no_more_is_overdue_until_it_is_revoked(
    department: Department, tokens: Tokens
) -> None:
    """Units accept what it signs: the roster revokes people who were removed, not those who lost a role."""

    def due() -> list[Overdue]:
        return [one for one in overdue_now(department.front, department.clock.us) if one.kind is Late.GRANT]

    chief = tokens("chief")
    department.call("grant/lend", chief, LendForm(designee="deputy", days=30))
    assert due() == []
    moved = AccountForm(user="deputy", name="D", organisation="PD", roles=(Role.OFFICER,), reason="moved")
    department.call("user/set", chief, moved)
    (one,) = due()
    key = one.what.rpartition("department grant revoke ")[2]
    department.call("grant/revoke", chief, RevokeForm(names=(key,), reason="moved"))
    assert due() == []


@pytest.fixture
def incident(department: Department) -> Iterator[int]:
    store = open_store(department.home.database_url)
    with store.write() as connection:
        number = incidents.record(
            connection, kind="fork", detail="another past", unit_id="car-7", log_id=None, now_us=1
        )
    yield number
    store.close()


FINDING = "the card was cloned on the bench"


def test_two_different_people_close_an_incident_and_each_word_is_an_entry(
    department: Department, tokens: Tokens, incident: int
) -> None:
    form = SettleForm(incident=incident, kind="fork", unit="car-7", opened_us=1, finding=FINDING)
    for user in ("comm1", "officer1", "reviewer1", "vendor1"):
        assert code_of(department, "incident/close", tokens(user), form) == "role"
    assert code_of(department, "incident/close", tokens("super"), replace(form, incident=99)) == "no-incident"
    assert code_of(department, "incident/close", tokens("super"), replace(form, finding="ok")) == "finding"
    for other in ({"kind": "rollback"}, {"unit": "car-8"}, {"opened_us": 2}):  # as the store had it before
        assert code_of(department, "incident/close", tokens("super"), replace(form, **other)) == (
            "other-incident"
        )
    first = department.call("incident/close", tokens("super"), form)
    assert isinstance(first, Settling)
    assert not first.closed
    assert code_of(department, "incident/close", tokens("super"), form) == "second-person"
    second = department.call("incident/close", tokens("chief"), replace(form, finding="I saw it too"))
    assert isinstance(second, Settling)
    assert second.closed
    assert code_of(department, "incident/close", tokens("deputy"), form) == "closed"
    notes = list(department.desk.log.entries(kinds=(IncidentSettled.KIND,)))
    assert [(one.stamp.user, one.note.second) for one in notes] == [("super", False), ("chief", True)]  # type: ignore[attr-defined]
    (row,) = cast("list[Any]", department.call("incident/list", tokens("reviewer1"), NothingForm()))
    assert (row.state, row.first_by, row.second_by) == ("closed", "super", "chief")
    assert row.finding == f"{FINDING}; I saw it too"
    (stored,) = department.front.incidents.listed()
    assert (stored.closed_by, stored.second_by) == ("super", "chief")


def test_the_store_alone_closes_no_incident_and_learns_a_closing_that_a_crash_kept_from_it(
    department: Department, tokens: Tokens, incident: int
) -> None:
    """Root writes two names into the table: the desk follows its log, and compliance keeps asking."""
    department.front.incidents.settle(incident, "super", "chief", 2)
    (row,) = cast("list[Any]", department.call("incident/list", tokens("chief"), NothingForm()))
    assert row.state == "open"
    found = department.call("compliance/overdue", tokens("chief"), OverdueForm())
    assert "incident" in {one.kind for one in found}  # type: ignore[attr-defined]
    store = open_store(department.home.database_url)
    with store.write() as connection:
        connection.execute(tables.incidents.update().values(closed_us=None, closed_by=None, second_by=None))
    form = SettleForm(incident=incident, kind="fork", unit="car-7", opened_us=1, finding=FINDING)
    department.call("incident/close", tokens("super"), form)
    department.call("incident/close", tokens("chief"), form)
    with store.write() as connection:
        connection.execute(tables.incidents.update().values(closed_us=None, closed_by=None, second_by=None))
    store.close()
    server = Server(department.home, Clocks.simulated(department.clock))
    daily.run(department.front, server.retention)
    server.close()
    (stored,) = department.front.incidents.listed()
    assert (stored.closed_by, stored.second_by) == ("super", "chief")


def test_an_incident_that_got_the_number_of_another_one_is_open_and_takes_two_people(
    department: Department, tokens: Tokens, incident: int
) -> None:
    """The store was set back after the first decision; its maker may be the second person on the new fork."""
    form = SettleForm(incident=incident, kind="fork", unit="car-7", opened_us=1, finding=FINDING)
    department.call("incident/close", tokens("super"), form)
    with store_of(department) as connection:
        connection.execute(tables.incidents.update().values(at_us=2, detail="a clone that came later"))
    (row,) = cast("list[Any]", department.call("incident/list", tokens("chief"), NothingForm()))
    assert (row.state, row.first_by) == ("open", "")
    form = replace(form, opened_us=2)
    words = [department.call("incident/close", tokens(user), form) for user in ("chief", "super")]
    assert [one.closed for one in words] == [False, True]  # type: ignore[attr-defined]
    with store_of(department) as connection:
        connection.execute(tables.incidents.update().values(at_us=3, closed_us=None, closed_by=None))
    repeat(department.front)
    (stored,) = department.front.incidents.listed()
    assert stored.closed_us is None
    found = department.call("compliance/overdue", tokens("chief"), OverdueForm())
    assert "incident" in {one.kind for one in found}  # type: ignore[attr-defined]


@contextmanager
def store_of(department: Department) -> Iterator[sa.Connection]:
    store = open_store(department.home.database_url)
    with closing(store), store.write() as connection:
        yield connection


@pytest.mark.parametrize("roles", [(), (Role.COMMUNICATIONS,)], ids=["removed", "another role"])
def test_the_first_word_on_an_incident_ends_with_the_role_that_gave_it(
    department: Department, tokens: Tokens, incident: int, roles: tuple[Role, ...]
) -> None:
    """The incident may be why the role was taken away; two people who are still there close it."""
    form = SettleForm(incident=incident, kind="fork", unit="car-7", opened_us=1, finding=FINDING)
    department.call("incident/close", tokens("super"), form)
    account = department.desk.book.roster.accounts["super"]
    changed = AccountForm(
        user="super",
        name=account.name,
        organisation=account.organisation,
        roles=roles or account.roles,
        reason="moved or left",
        active=bool(roles),
    )
    department.two_hands("user/set", department.logon("chief"), changed, second="deputy")
    (row,) = cast("list[Any]", department.call("incident/list", tokens("reviewer1"), NothingForm()))
    assert (row.state, row.first_by) == ("open", "")
    words = [department.call("incident/close", tokens(user), form) for user in ("chief", "deputy")]
    assert [one.closed for one in words] == [False, True]  # type: ignore[attr-defined]
    assert problems(department) == ()


def test_a_grant_that_was_signed_before_the_desk_still_needs_the_command_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a desk, the key alone signs; with one, `department grant issue` requires a login."""
    from sync.department.cli import main
    from sync.department.ground.settings import Settings
    from sync.department.policy.named_files import command_key
    from sync.department.server.founding import found
    from sync.department.server.open_desk import first_administrator

    home = found(tmp_path / "home", Settings(day_keys_ahead=2)).home
    (tmp_path / "v.pub").write_text(LINE)
    words = [
        "grant", "issue", "--home", str(home.path), "--person", "v", "--role", "vendor",
        "--key", str(tmp_path / "v.pub"), "--purpose", "repair", "--work-order", "WO-1", "--unit", DEPARTMENT,
        "--out", str(tmp_path / "v.grant"),
    ]  # fmt: skip
    strange = ["installation" if one == "repair" else one for one in words]
    assert main(strange) == 1  # the desk would never enter this
    assert not (tmp_path / "v.grant").exists()
    assert main([*words, "--for", "15d"]) == 1
    assert "refused: 463.3: Until: a vendor grant lasts at most 14 days" in capsys.readouterr().err
    assert main(["grant", "list", "--home", str(home.path)]) == 2
    assert "no desk yet (department user first USER)" in capsys.readouterr().err
    assert main(words) == 0
    bundle = Bundle.parse((tmp_path / "v.grant").read_bytes())
    assert set(open_bundle(bundle, [command_key(home).public_key()]).commands) == REPAIR_COMMANDS
    first_administrator(home, "chief", "Chief")
    assert main(words) == 2
