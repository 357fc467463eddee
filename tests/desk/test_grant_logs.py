"""A grant that destroys records names their log and ends no other one, for the desk and `verify`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_asking import code_of, vendor_grant
from desk_root import covered_by
from desk_twins import Department
from desk_units import UnitTwin
from log_twins import stamp

from storage.grant_format import LOG_DIGITS, Grant, format_of
from storage.ssh_signature import SshPublicKey
from sync.department.desk.grants.calls import Granted, GrantForm
from sync.department.desk.grants.calls import _note as note_of
from sync.department.desk.people.calls import AccountForm
from sync.department.journal import check_log
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.entries import EntryOf
from sync.department.journal.granted import demand_own_key
from sync.department.journal.made_by import demand_made
from sync.department.journal.office_entries import GrantIssued
from sync.department.journal.statements import form_fields, said_in, sign_call
from sync.department.journal.unsigned import UnsignedError
from sync.department.server.drawn_samples import DrawnSamples
from sync.department.server.folded_log import FoldedLog
from sync.department.server.unit_reports import CoveredByEntries, Reported, Reset

LOG = "3fa2b1c04d5e6f70"
REPAIR = vendor_grant("repair: replace the card", SshPublicKey.of(Ed25519PrivateKey.generate()).line)
RESET = replace(REPAIR, commands=("status", "factory-reset"), destroy_up_to=40, destroy_log=LOG)


def test_a_grant_that_destroys_records_says_of_which_log(department: Department) -> None:
    chief = department.logon("chief")
    for form in (replace(RESET, destroy_log=""), replace(RESET, destroy_log=LOG.upper())):
        asked = replace(form, propose=True)
        assert code_of(department, "grant/issue", chief, asked) == "destroy_log"
    alone = replace(REPAIR, commands=("status",), destroy_log=LOG)
    assert code_of(department, "grant/issue", chief, alone) == "destroy_log"


def test_the_desk_compares_the_log_of_a_grant_with_those_that_it_knows(department: Department) -> None:
    front, units = department.front, department.front.grants.unit_ids(RESET.units)
    logs = front.state.unit_logs()
    own = next(log for log, unit, _ in logs if unit == units[0])
    twin = UnitTwin(department.home, Ed25519PrivateKey.generate(), "car-8")
    other = twin.log_id.hex()
    twin.close()
    named = replace(RESET, propose=True, destroy_log=other[:LOG_DIGITS])
    assert code_of(department, "grant/issue", department.logon("chief"), named) == "destroy_log"
    for log, said in ((own, "alone; key"), (LOG, "alone, which no unit has delivered here")):
        form = replace(named, destroy_log=log[:LOG_DIGITS])
        department.call("grant/issue", department.logon("chief"), form)
        asked = department.desk.log.entry(department.desk.log.size() - 1).note
        assert isinstance(asked, ChangeProposed)
        assert f"ends log {log[:LOG_DIGITS]} {said}" in asked.summary


@pytest.mark.parametrize("form", [RESET, replace(RESET, destroy_up_to=0), replace(RESET, destroy_holds=(3,))])
def test_a_grant_for_one_log_ends_no_other_and_verify_names_one_that_was(
    department: Department, form: GrantForm
) -> None:
    made = department.two_hands("grant/issue", department.logon("chief"), form)
    assert isinstance(made, Granted)
    at_us = department.clock.us
    covered, log = covered_by(department), department.desk.log
    assert check_log.check(log.folder, log.public, keys=log.keys, taken=covered).problems == ()

    def wrong(*resets: Reset) -> list[str]:
        return covered.compare(Reported(resets=list(resets)))[0]

    last = form.destroy_up_to - 1
    first = Reset("car-7", LOG * 4, made.grant_id, at_us, "car-7", last=last, holds=form.destroy_holds)
    assert wrong(first) == []
    (named,) = wrong(first, replace(first, log="ab" * 32))
    assert named.endswith(f"which is for log {LOG}: it ended log {'ab' * 8}")
    (named,) = wrong(replace(first, unit="car-8", unit_id="car-8"))
    assert named.endswith("which is for other units")
    (named,) = wrong(replace(first, last=last + 1))
    assert named.endswith(f"which gives up records up to {last + 1}: record {last + 1} was never delivered")
    (named,) = wrong(replace(first, holds=(3, 4)))
    assert named.endswith(f"which does not give up hold {4 if form.destroy_holds else 3}")


def test_no_grant_lets_a_person_in_by_the_key_of_another(department: Department) -> None:
    """Otherwise a person who approves a reset could enter under the name of a vendor."""
    key = SshPublicKey.of(Ed25519PrivateKey.generate())
    account = department.desk.book.roster.accounts["super"]
    form = AccountForm(
        user="super", name=account.name, organisation=account.organisation, roles=account.roles,
        reason="a key for units", shift=account.shift, ssh_keys=(key.line,),
    )  # fmt: skip
    department.two_hands("user/set", department.logon("chief"), form, second="deputy")
    chief = department.logon("chief")
    assert code_of(department, "grant/issue", chief, replace(REPAIR, holder_key=key.line)) == "ssh-key"
    accounts = department.desk.book.roster.accounts
    note = GrantIssued(
        grant_id="ab" * 16, person="vendor1", organisation="Maker", role="vendor", holder=key.fingerprint,
        purpose="repair", work_order="1", units=("car-7",), commands=("status",), from_us=1, to_us=2,
        digest=b"", signer="command",
    )  # fmt: skip
    with pytest.raises(UnsignedError, match="its key is super's"):
        demand_own_key(note, accounts.values())
    demand_own_key(replace(note, person="super"), accounts.values())
    both = [accounts["super"], replace(accounts["vendor1"], ssh_keys=accounts["super"].ssh_keys)]
    for owners in (both, both[::-1]):  # a person with two accounts has the same key in both
        demand_own_key(note, owners)
    demand_own_key(note, [replace(accounts["super"], active=False)])


def of_grants(**forms: GrantForm | dict[str, object]) -> CoveredByEntries:
    """What the entries of these grants, each in its signed form, say about resets."""
    covered = CoveredByEntries(FoldedLog(set()), DrawnSamples(b"", ()))
    for number, (name, form) in enumerate(forms.items()):
        signed = sign_call(Ed25519PrivateKey.generate(), bytes(32), "chief", "grant/issue", form, 1)
        note = GrantIssued(
            grant_id=name, person="vendor1", organisation="Maker", role="vendor", holder="", purpose="repair",
            work_order="1", units=("car-7", "car-8"), commands=RESET.commands, from_us=1, to_us=2,
            digest=b"", signer="command",
        )  # fmt: skip
        covered.judge(EntryOf(number, stamp(0), note, signed), holds=True)
    return covered


def test_verify_names_a_second_reset_under_a_grant_that_names_no_log() -> None:
    """Grants of earlier versions named none: their numbers were of one log. That was allowed, so it is not
    reported as wrong forever.
    """
    covered = of_grants(ab=replace(RESET, destroy_log=""), cd=replace(RESET, destroy_log="", destroy_up_to=0))
    resets = [
        Reset(unit, log, grant, stamp(1).at_us, unit, last=-1, holds=())
        for grant in ("ab", "cd")
        for unit, log in (("car-7", "01"), ("car-7", "02"), ("car-8", "03"))
    ]
    assert list(covered._let_in(Reported(resets=resets))) == [
        (False, "a second reset of car-7 under grant ab, which names no log")
    ]


def test_verify_reads_the_log_of_a_grant_in_what_its_person_signed() -> None:
    covered = of_grants(ab=RESET)
    resets = [
        Reset("car-7", log, "ab", stamp(1).at_us, "car-7", last=39, holds=())
        for log in (LOG * 4, "cd" * 32, LOG * 4)
    ]
    assert list(covered._let_in(Reported(resets=resets))) == [
        (True, f"car-7 was reset under grant ab, which is for log {LOG}: it ended log {'cd' * 8}")
    ]


@pytest.mark.parametrize("wrong", [{"destroy_log": 5}, {"destroy_up_to": "40"}, {"destroy_holds": ("1",)}])
def test_a_grant_with_a_field_of_another_type_does_not_hold_and_stops_no_verify(
    wrong: dict[str, object],
) -> None:
    form = {**form_fields(RESET), **wrong}
    made = Grant(
        format=format_of(LOG), grant_id="ab" * 16, person=RESET.person, organisation=RESET.organisation,
        role=RESET.role, holder_key=SshPublicKey.from_line(RESET.holder_key).blob, purpose=RESET.purpose,
        work_order=RESET.work_order, units=RESET.units, commands=RESET.commands, issued_us=9, from_us=9,
        to_us=10, **{"destroy_up_to": 40, "destroy_holds": (), "destroy_log": LOG, **wrong},  # type: ignore[arg-type]
    )  # fmt: skip
    signed = sign_call(Ed25519PrivateKey.generate(), bytes(32), "chief", "grant/issue", form, 9)
    with pytest.raises(UnsignedError, match="does not match the entry"):
        demand_made(note_of(made, "command"), said_in(signed))
    of_grants(ab=form)
