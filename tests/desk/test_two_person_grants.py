"""A grant that can destroy a unit's content needs two people; attacks by a single person fail (463.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_asking import code_of, vendor_grant
from desk_root import Root, problems
from desk_twins import GROUND, Department
from desk_units import UnitTwin

from storage.codec import to_bytes
from storage.grant_format import (
    COMMANDS,
    FORMAT,
    REPAIR_COMMANDS,
    Bundle,
    Grant,
    GrantRole,
    format_of,
    issue,
    open_bundle,
)
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, HOUR_US
from sync.department.desk.audit.calls import look_daily
from sync.department.desk.audit.event_calls import EventsForm
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.grants.calls import Granted, GrantForm, SignedForm
from sync.department.desk.inquiry.forms import Entered, NothingForm, ProposeForm
from sync.department.desk.inquiry.forms import InquiryDecideForm as SearchWord
from sync.department.desk.people.calls import AccountForm
from sync.department.ground.home import load_ed25519
from sync.department.journal.change_entries import ChangeDecided, ChangeProposed, ChangeUsed
from sync.department.journal.entries import AccountSet, Entry, FindingOpened
from sync.department.journal.office_entries import GrantIssued
from sync.department.journal.statements import form_fields, proposal_digest, sign_call
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]


def public_line() -> str:
    """A holder's SSH key."""
    return SshPublicKey.of(Ed25519PrivateKey.generate()).line


LOG = "3fa2b1c04d5e6f70"
REPAIR = vendor_grant("repair: replace the card", public_line())
RESET = replace(REPAIR, commands=("status", "factory-reset"), destroy_up_to=40, destroy_log=LOG)
RESET = replace(RESET, destroy_holds=(3,))
UPDATE = replace(REPAIR, commands=("status", "update"))


def proposed(department: Department, token: str, form: GrantForm) -> int:
    made = department.call("grant/issue", token, replace(form, propose=True))
    assert isinstance(made, Granted)
    assert (made.entry, made.bundle, made.grant_id) == (-1, b"", "")
    return made.proposal


def agree(department: Department, second: str, number: int, *, granted: bool = True) -> None:
    word = DecideForm(proposal=number, granted=granted, reason="read the work order")
    department.call("change/approve", department.logon(second), word)


def given(department: Department, form: GrantForm = RESET, second: str = "super") -> Granted:
    made = department.two_hands("grant/issue", department.logon("chief"), form, second=second)
    assert isinstance(made, Granted)
    return made


def entry_of(department: Department, made: Granted) -> Entry:
    return department.desk.log.entry(made.entry)


# --- at the desk


@pytest.mark.parametrize("form", [RESET, UPDATE], ids=["factory-reset", "update"])
def test_a_grant_that_can_destroy_is_signed_after_a_second_persons_word(
    department: Department, tokens: Tokens, form: GrantForm
) -> None:
    chief = tokens("chief")
    assert code_of(department, "grant/issue", chief, form) == "second-person"
    number = proposed(department, chief, form)
    with_it = replace(form, approval=number)
    assert code_of(department, "grant/issue", department.logon("chief"), with_it) == "second-person"
    agree(department, "super", number)
    made = department.call("grant/issue", department.logon("chief"), with_it)
    assert isinstance(made, Granted)
    command = load_ed25519(department.home.path / "command.key").public_key()
    grant = open_bundle(Bundle.parse(made.bundle), [command])
    assert grant.commands == tuple(sorted(form.commands))
    assert (grant.destroy_up_to, grant.destroy_holds) == (form.destroy_up_to, form.destroy_holds)
    assert (grant.destroy_log, grant.format) == (form.destroy_log, 2 if form is RESET else 1)
    used = department.desk.log.entry(made.entry - 1).note
    assert used == ChangeUsed(proposal=number, about="vendor1", second="super")
    assert problems(department) == ()


def test_every_command_of_a_console_is_repair_or_takes_two_people(
    department: Department, tokens: Tokens
) -> None:
    """A new command must be one or the other."""
    codes = {
        one: code_of(department, "grant/issue", tokens("chief"), replace(REPAIR, commands=(one,)))
        for one in sorted(COMMANDS - REPAIR_COMMANDS)
    }
    assert codes == dict.fromkeys(("factory-reset", "update"), "second-person")
    made = department.call("grant/issue", tokens("chief"), REPAIR)
    assert isinstance(made, Granted)
    assert set(made.commands) == REPAIR_COMMANDS
    asks = replace(REPAIR, propose=True)
    assert code_of(department, "grant/issue", tokens("chief"), asks) == "no-second"


def test_the_second_person_sees_what_the_grant_destroys_and_for_which_key(
    department: Department, tokens: Tokens
) -> None:
    number = proposed(department, tokens("chief"), RESET)
    rows: Any = department.call("change/list", tokens("super"), NothingForm())
    (said,) = [one.summary for one in rows if one.proposal == number]
    key = SshPublicKey.from_line(RESET.holder_key).fingerprint
    for word in ("vendor1", "car-7", "factory-reset", "up to 40", "holds: 3", LOG, "WO-118", key):
        assert word in said, said


def test_neither_the_proposer_nor_the_holder_is_the_second_person(
    department: Department, tokens: Tokens
) -> None:
    own = replace(RESET, person="super", role=GrantRole.TECHNICIAN)
    number = proposed(department, tokens("chief"), own)
    word = DecideForm(proposal=number, granted=True, reason="read the work order")
    for user in ("chief", "super"):
        assert code_of(department, "change/approve", department.logon(user), word) == "second-person"
    for user in ("comm1", "reviewer1", "vendor1"):
        assert code_of(department, "change/approve", department.logon(user), word) == "role"


@pytest.mark.parametrize(
    "change",
    [
        {"destroy_up_to": 41},
        {"destroy_log": f"4{LOG[1:]}"},
        {"destroy_holds": (3, 4)},
        {"commands": ("status", "factory-reset", "update")},
        {"holder_key": public_line()},
        {"units": ("car-7", "car-9")},
        {"hours": 9},
        {"person": "vendor2"},
        {"work_order": "WO-119"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_a_word_is_good_for_that_grant_alone(
    department: Department, tokens: Tokens, change: dict[str, Any]
) -> None:
    department.call(
        "user/set",
        tokens("chief"),
        AccountForm(user="vendor2", name="V", organisation="M", roles=(Role.VENDOR,), reason="new"),
    )
    UnitTwin(department.home, Ed25519PrivateKey.generate(), "car-9").close()
    number = proposed(department, tokens("chief"), RESET)
    agree(department, "super", number)
    other = replace(RESET, approval=number, **change)
    assert code_of(department, "grant/issue", department.logon("chief"), other) == "other-approval"


def test_a_word_is_good_once_and_for_its_hours(department: Department) -> None:
    number = proposed(department, department.logon("chief"), RESET)
    agree(department, "super", number)
    with_it = replace(RESET, approval=number)
    department.call("grant/issue", department.logon("chief"), with_it)
    assert code_of(department, "grant/issue", department.logon("chief"), with_it) == "used-approval"
    number = proposed(department, department.logon("chief"), RESET)
    agree(department, "super", number)
    department.clock.step(25 * HOUR_US)
    late = replace(RESET, approval=number)
    assert code_of(department, "grant/issue", department.logon("chief"), late) == "old-approval"
    number = proposed(department, department.logon("chief"), RESET)
    agree(department, "super", number, granted=False)
    refused = replace(RESET, approval=number)
    assert code_of(department, "grant/issue", department.logon("chief"), refused) == "declined"


def test_a_grant_signed_elsewhere_enters_the_log_only_for_repair(
    department: Department, tokens: Tokens
) -> None:
    """The command key can sign without the desk, and then a single person would enter the grant."""
    command = load_ed25519(department.home.path / "command.key")
    bundle = issue(signed_elsewhere(department, ("factory-reset",)), command).to_bytes()
    assert code_of(department, "grant/enter", tokens("chief"), SignedForm(bundle=bundle)) == "second-person"
    bundle = issue(signed_elsewhere(department, ("status",)), command).to_bytes()
    assert isinstance(department.call("grant/enter", tokens("chief"), SignedForm(bundle=bundle)), Entered)
    assert problems(department) == ()


def signed_elsewhere(department: Department, commands: tuple[str, ...]) -> Grant:
    now = department.clock.us
    return Grant(
        format=FORMAT, grant_id="cd" * 16, person="vendor1", organisation="Maker Inc.", role=GrantRole.VENDOR,
        holder_key=SshPublicKey.from_line(REPAIR.holder_key).blob, purpose="repair: card", work_order="WO-1",
        units=("car-7",), commands=commands, issued_us=now, from_us=now, to_us=now + HOUR_US, destroy_up_to=0,
        destroy_holds=(),
    )  # fmt: skip


# --- root with the log's key, and an accomplice


def note_of(department: Department, form: GrantForm, at_us: int, **change: Any) -> GrantIssued:
    """The entry of a grant that root signs with the command key for this form, after `change`."""
    made = Grant(
        format=format_of(form.destroy_log), grant_id="ef" * 16, person=form.person,
        organisation=form.organisation, role=form.role,
        holder_key=SshPublicKey.from_line(form.holder_key).blob, purpose=form.purpose,
        work_order=form.work_order, units=form.units,
        commands=tuple(sorted(set(form.commands or REPAIR_COMMANDS))), issued_us=at_us, from_us=at_us,
        to_us=at_us + 8 * HOUR_US, destroy_up_to=form.destroy_up_to, destroy_holds=form.destroy_holds,
        destroy_log=form.destroy_log,
    )  # fmt: skip
    made = replace(made, **change)
    return GrantIssued(
        grant_id=made.grant_id, person=made.person, organisation=made.organisation, role=str(made.role),
        holder=made.holder.fingerprint, purpose=made.purpose, work_order=made.work_order, units=made.units,
        commands=made.commands, from_us=made.from_us, to_us=made.to_us,
        digest=hashlib.sha256(to_bytes(made)).digest(), signer="command",
    )  # fmt: skip


def written(root: Root, form: GrantForm, **change: Any) -> int:
    """Chief signs this form in a session; root writes the entry of another grant under it."""
    stamp, signed = root.signed("chief", "grant/issue", form)
    return root.write(note_of(root.department, form, stamp.at_us, **change), stamp, signed)


def without_a_second_person(root: Root) -> int:
    return written(root, RESET)


def by_a_repair_grants_word(root: Root) -> int:
    """The administrator signed for a repair; root adds the reset."""
    return written(root, REPAIR, commands=("factory-reset", "status"), destroy_up_to=1 << 40)


def by_a_no(root: Root) -> int:
    number = proposed(root.department, root.department.logon("chief"), RESET)
    agree(root.department, "super", number, granted=False)
    return written(root, replace(RESET, approval=number))


def by_nobodys_approval(root: Root) -> int:
    return written(root, replace(RESET, approval=5))


def by_ones_own_approval(root: Root) -> int:
    """Root lets the proposer decide."""
    number = proposed(root.department, root.department.logon("chief"), RESET)
    word = DecideForm(proposal=number, granted=True, reason="I know what I do")
    stamp, signed = root.signed("chief", "change/approve", word)
    root.write(ChangeDecided(proposal=number, granted=True, reason=word.reason), stamp, signed)
    return written(root, replace(RESET, approval=number))


def by_the_holders_approval(root: Root) -> int:
    """Root lets the holder of the grant approve it."""
    own = replace(RESET, person="super", role=GrantRole.TECHNICIAN)
    number = proposed(root.department, root.department.logon("chief"), own)
    word = DecideForm(proposal=number, granted=True, reason="I know what I do")
    stamp, signed = root.signed("super", "change/approve", word)
    root.write(ChangeDecided(proposal=number, granted=True, reason=word.reason), stamp, signed)
    return written(root, replace(own, approval=number))


def by_an_approval_that_root_wrote(root: Root) -> int:
    number = proposed(root.department, root.department.logon("chief"), RESET)
    root.write(ChangeDecided(proposal=number, granted=True, reason="known to me"), root.stamp("super"))
    return written(root, replace(RESET, approval=number))


def by_the_word_for_another_grant(root: Root) -> int:
    number = proposed(root.department, root.department.logon("chief"), UPDATE)
    agree(root.department, "super", number)
    return written(root, replace(RESET, approval=number))


def by_the_word_for_a_search(root: Root) -> int:
    """Two people approved a search; its number is used for a grant."""
    department = root.department
    query = replace(department.plate("7AB*"), since_us=department.clock.us - DAY_US)
    made = department.call(
        "inquiry/propose", department.logon("comm1"), ProposeForm(query=query, ground=GROUND)
    )
    assert isinstance(made, Entered)
    yes = SearchWord(proposal=made.entry, granted=True, reason="the case is known")
    department.call("inquiry/approve", department.logon("super"), yes)
    return written(root, replace(RESET, approval=made.entry))


def by_a_word_that_was_used(root: Root) -> int:
    """The grant was issued and withdrawn; the same approval issues it again."""
    made = given(root.department)
    number = department_approval(root.department, made)
    return written(root, replace(RESET, approval=number))


def by_the_same_signature_again(root: Root) -> int:
    """Without an accomplice, root repeats the entry of a genuine grant with another number."""
    entry = entry_of(root.department, given(root.department))
    assert isinstance(entry.note, GrantIssued)
    again = note_of(root.department, RESET, entry.note.from_us)
    return root.write(again, replace(entry.stamp, at_us=root.stamp().at_us), entry.signed)


def after_the_words_hours(root: Root) -> int:
    number = proposed(root.department, root.department.logon("chief"), RESET)
    agree(root.department, "super", number)
    root.department.clock.step(25 * HOUR_US)
    return written(root, replace(RESET, approval=number))


def for_another_key(root: Root) -> int:
    number = approved(root)
    thief = SshPublicKey.from_line(public_line()).blob
    return written(root, replace(RESET, approval=number), holder_key=thief)


def that_destroys_more(root: Root) -> int:
    return written(root, replace(RESET, approval=approved(root)), destroy_up_to=1 << 40)


def of_another_log(root: Root) -> int:
    return written(root, replace(RESET, approval=approved(root)), destroy_log=f"4{LOG[1:]}")


def of_any_log(root: Root) -> int:
    """Two people signed in an earlier form, whose numbers apply to whatever log the unit has."""
    form, department = replace(RESET, destroy_log=""), root.department
    stamp, signed = root.signed("chief", "grant/issue", replace(form, propose=True))
    digest = proposal_digest("grant/issue", form_fields(form))
    note = ChangeProposed(call="grant/issue", about="vendor1", digest=digest, summary="a reset")
    number = root.write(note, stamp, signed)
    agree(department, "super", number)
    return written(root, replace(form, approval=number))


def that_lasts_longer(root: Root) -> int:
    number = approved(root)
    later = root.department.clock.us + 13 * DAY_US
    return written(root, replace(RESET, approval=number), to_us=later)


def that_begins_later(root: Root) -> int:
    number = approved(root)
    begins = root.department.clock.us + 30 * DAY_US
    return written(
        root, replace(RESET, approval=number), issued_us=begins, from_us=begins, to_us=begins + HOUR_US
    )


def at_more_units(root: Root) -> int:
    return written(root, replace(RESET, approval=approved(root)), units=("car-7", "car-8"))


def by_a_second_whom_the_first_made_alone(root: Root) -> int:
    """Root lets the administrator make an approver without a second person; that approver then agrees."""
    department = root.department
    form = AccountForm(user="pup", name="Pup", organisation="PD", roles=(Role.CCAT_SUPERVISOR,), reason="new")
    stamp, signed = root.signed("chief", "user/set", form)
    note = AccountSet(
        user="pup", name="Pup", organisation="PD", roles=(Role.CCAT_SUPERVISOR,), shift=None, active=True,
        reason="new", ssh_keys=(),
    )  # fmt: skip
    root.write(note, stamp, signed)
    key = Ed25519PrivateKey.generate()
    session = root.session(key, key, "pup")
    number = proposed(department, department.logon("chief"), RESET)
    word = DecideForm(proposal=number, granted=True, reason="known to me")
    at = root.stamp("pup", session)
    said = sign_call(key, root.log.log_id, "pup", "change/approve", word, at.at_us)
    root.write(ChangeDecided(proposal=number, granted=True, reason=word.reason), at, said)
    return written(root, replace(RESET, approval=number))


def entered_past_the_desk(root: Root) -> int:
    command = load_ed25519(root.department.home.path / "command.key")
    grant = signed_elsewhere(root.department, ("factory-reset",))
    stamp, signed = root.signed("chief", "grant/enter", SignedForm(bundle=issue(grant, command).to_bytes()))
    note = GrantIssued(
        grant_id=grant.grant_id, person=grant.person, organisation=grant.organisation, role=str(grant.role),
        holder=grant.holder.fingerprint, purpose=grant.purpose, work_order=grant.work_order,
        units=grant.units, commands=grant.commands, from_us=grant.from_us, to_us=grant.to_us,
        digest=hashlib.sha256(to_bytes(grant)).digest(), signer="command",
    )  # fmt: skip
    return root.write(note, stamp, signed)


def department_approval(department: Department, made: Granted) -> int:
    used = department.desk.log.entry(made.entry - 1).note
    assert isinstance(used, ChangeUsed)
    return used.proposal


def approved(root: Root) -> int:
    number = proposed(root.department, root.department.logon("chief"), RESET)
    agree(root.department, "super", number)
    return number


ATTACKS = (
    without_a_second_person,
    by_a_repair_grants_word,
    by_a_no,
    by_nobodys_approval,
    by_ones_own_approval,
    by_the_holders_approval,
    by_an_approval_that_root_wrote,
    by_the_word_for_another_grant,
    by_the_word_for_a_search,
    by_a_word_that_was_used,
    by_the_same_signature_again,
    after_the_words_hours,
    for_another_key,
    that_destroys_more,
    of_another_log,
    of_any_log,
    that_lasts_longer,
    that_begins_later,
    at_more_units,
    by_a_second_whom_the_first_made_alone,
    entered_past_the_desk,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_root_with_the_command_key_and_an_accomplice_gives_no_such_grant_unseen(
    department: Department, attack: Callable[[Root], int]
) -> None:
    entry = attack(Root(department))
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: grant")]
    assert len(named) == 1, problems(department)
    department.desk.refresh()
    assert all(one.sequence != entry for one in department.desk.book.grants.issued.values())


def test_the_control_is_a_grant_that_root_writes_as_two_people_signed_it(department: Department) -> None:
    root = Root(department)
    entry = written(root, replace(RESET, approval=approved(root)))
    assert problems(department) == ()
    department.desk.refresh()
    assert department.desk.book.grants.issued["ef" * 16].sequence == entry


# --- what the reviewer sees


def findings_about(department: Department, user: str) -> list[FindingOpened]:
    look_daily(department.front)
    notes = [one.note for one in department.desk.book.findings.opened.values()]
    return [one for one in notes if isinstance(one, FindingOpened) and one.about == user]


def test_a_grant_by_the_hand_that_made_the_account_is_a_finding(department: Department) -> None:
    """chief alone made vendor1's account, and alone lets vendor1 in."""
    assert findings_about(department, "vendor1") == []
    made = department.call("grant/issue", department.logon("chief"), REPAIR)
    assert isinstance(made, Granted)
    (found,) = findings_about(department, "vendor1")
    assert (found.detector, made.entry in found.accesses) == ("one_hand", True)
    assert "a grant by chief alone" in found.detail
    assert found.reviewer not in {"chief", "vendor1"}
    assert findings_about(department, "vendor1") == [found]  # once


def test_a_grant_that_two_people_gave_is_none(department: Department) -> None:
    given(department)
    assert findings_about(department, "vendor1") == []


def test_the_reviewer_reads_the_second_person_and_the_commands_of_a_grant(department: Department) -> None:
    made = given(department)
    answer: Any = department.call("audit/events", department.logon("reviewer1"), EventsForm())
    (row,) = [one for one in answer.rows if one.entry == made.entry]
    assert (row.kind, row.user, row.about, row.second) == ("grant", "chief", "vendor1", "super")
    assert "factory-reset" in row.detail
