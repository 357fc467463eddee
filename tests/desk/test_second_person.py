"""One person never acts for the department: what stops each attack by a single person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_asking import account, code_of, proposed
from desk_forms import forms
from desk_twins import GROUND, HOLD, PASSWORD, Department
from update_twin import update_file

from storage.times import DAY_US, HOUR_US
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.documents.calls import Signed, SignForm
from sync.department.desk.holds.calls import Exported, ExportForm, Placed
from sync.department.desk.inquiry.forms import (
    Answer,
    Entered,
    ImageForm,
    InquiryDecideForm,
    NothingForm,
    RunForm,
)
from sync.department.desk.people.bulk import Imported, ImportForm, PersonLine
from sync.department.desk.people.calls import CredentialForm, HandedOver, HandoverForm, PasswordForm, UserForm
from sync.department.desk.people.training_calls import TrainingForm
from sync.department.journal.change_entries import ChangeProposed, ChangeUsed, DocumentSigned
from sync.department.journal.entries import AccountSet
from sync.department.policy.refusals import DeskRefusal, FormError, NotProvenError, NotYetError
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]


# --- accounts


@pytest.mark.parametrize(
    "roles",
    [
        (Role.CCAT_SUPERVISOR,),
        (Role.DISPATCHER,),
        (Role.COMMUNICATIONS,),
        (Role.DESIGNEE,),
        (Role.REVIEWER,),
        (Role.OFFICER, Role.COMMUNICATIONS),
    ],
)
def test_an_account_that_can_search_or_approve_needs_two_people(
    department: Department, tokens: Tokens, roles: tuple[Role, ...]
) -> None:
    form = account("pup", *roles)
    assert code_of(department, "user/set", tokens("chief"), form) == "second-person"
    number = proposed(department, "user/set", tokens("chief"), form)
    approve = DecideForm(proposal=number, granted=True, reason="known to me")
    assert code_of(department, "change/approve", tokens("chief"), approve) == "second-person"
    approved = replace(form, approval=number)
    assert code_of(department, "user/set", tokens("chief"), approved) == "second-person"
    department.call("change/approve", tokens("super"), approve)
    assert code_of(department, "change/approve", tokens("deputy"), approve) == "decided"
    other = replace(approved, roles=(*roles, Role.OFFICER) if Role.REVIEWER not in roles else (Role.CCAT,))
    if Role.OFFICER not in roles and Role.REVIEWER not in roles:
        assert code_of(department, "user/set", tokens("chief"), other) == "other-approval"
    made = department.call("user/set", tokens("chief"), approved)
    assert isinstance(made, Entered)
    entry, used = department.desk.log.entry(made.entry), department.desk.log.entry(made.entry - 1)
    assert isinstance(entry.note, AccountSet)
    assert used.note == ChangeUsed(proposal=number, about="pup", second="super")
    department.call("user/set", tokens("chief"), account("pup", active=False))
    assert code_of(department, "user/set", tokens("chief"), approved) == "used-approval"


def test_an_account_that_only_asks_and_a_removal_wait_for_no_one(
    department: Department, tokens: Tokens
) -> None:
    department.call("user/set", tokens("chief"), account("officer9", Role.OFFICER))
    department.call("user/set", tokens("chief"), account("super", active=False))
    asks = account("officer8", Role.OFFICER, propose=True)
    assert code_of(department, "user/set", tokens("chief"), asks) == "no-second"


def test_an_approval_ends_with_its_hours_and_is_the_proposers_alone(
    department: Department, tokens: Tokens
) -> None:
    form = account("pup", Role.DISPATCHER)
    chief = tokens("chief")
    number = proposed(department, "user/set", chief, form)
    department.clock.step(25 * HOUR_US)
    late = DecideForm(proposal=number, granted=True, reason="known to me")
    assert code_of(department, "change/approve", department.logon("super"), late) == "old-proposal"
    chief = department.logon("chief")
    number = proposed(department, "user/set", chief, form)
    department.call(
        "change/approve", department.logon("super"), DecideForm(proposal=number, granted=True, reason="known")
    )
    department.clock.step(25 * HOUR_US)
    again = replace(form, approval=number)
    assert code_of(department, "user/set", department.logon("chief"), again) == "old-approval"
    chief = department.logon("chief")
    number = proposed(department, "user/set", chief, form)
    no = DecideForm(proposal=number, granted=False, reason="never heard of them")
    department.call("change/approve", department.logon("super"), no)
    assert code_of(department, "user/set", chief, replace(form, approval=number)) == "declined"


def test_a_proposal_ends_with_the_account_of_its_person(department: Department, tokens: Tokens) -> None:
    """Otherwise, approved meanwhile, it would be valid for a person who comes back in time."""
    table, chief = forms(department), tokens("chief")
    held = department.call("hold/place", tokens("super"), replace(table["hold/place"], propose=True))
    assert isinstance(held, Placed)
    search = department.call("inquiry/propose", tokens("comm1"), table["inquiry/propose"])
    assert isinstance(search, Entered)
    for user in ("super", "comm1"):
        department.call("user/set", chief, account(user, active=False))
    second = tokens("deputy")
    assert department.call("change/list", second, NothingForm()) == ()
    yes = DecideForm(proposal=held.proposal, granted=True, reason="known to me")
    assert code_of(department, "change/approve", second, yes) == "proposer-gone"
    other = tokens("disp1")
    assert department.call("inquiry/queue", other, NothingForm()) == ()
    search_yes = InquiryDecideForm(proposal=search.entry, granted=True, reason="known to me")
    assert code_of(department, "inquiry/approve", other, search_yes) == "proposer-gone"
    department.two_hands("user/set", chief, account("comm1", Role.COMMUNICATIONS), second="deputy")
    assert department.call("inquiry/queue", other, NothingForm()) == ()
    assert code_of(department, "inquiry/approve", other, search_yes) == "proposer-gone", "who came back"


def test_the_user_name_of_a_person_who_left_is_given_to_no_one_else(
    department: Department, tokens: Tokens
) -> None:
    """Training, requests and lookups belong to a user name: another person would inherit them."""
    chief = tokens("chief")
    other = replace(account("officer1", Role.OFFICER), name="Another Person")
    department.call("user/set", chief, replace(other, active=False))
    assert code_of(department, "user/set", chief, other) == "user-name"
    department.call("user/set", chief, account("officer1", Role.OFFICER))


def test_a_person_comes_back_whose_accents_are_typed_another_way(
    department: Department, tokens: Tokens
) -> None:
    chief = tokens("chief")
    here = replace(account("officer1", Role.OFFICER), name="Zo\u00eb N\u00fa\u00f1ez")
    for form in (here, replace(here, active=False), replace(here, name="Zoe\u0308 Nu\u0301n\u0303ez")):
        department.call("user/set", chief, form)


@pytest.mark.parametrize(
    "gone", [{"active": False}, {"roles": (Role.OFFICER,)}], ids=["account removed", "role taken away"]
)
def test_an_approval_ends_with_the_person_who_gave_it(
    department: Department, tokens: Tokens, gone: dict[str, Any]
) -> None:
    form = account("pup", Role.DISPATCHER)
    number = proposed(department, "user/set", tokens("chief"), form)
    yes = DecideForm(proposal=number, granted=True, reason="known to me")
    department.call("change/approve", tokens("super"), yes)
    department.call("user/set", tokens("chief"), replace(account("super"), **gone))
    approved = replace(form, approval=number)
    assert code_of(department, "user/set", tokens("chief"), approved) == "approver-gone"
    department.two_hands("user/set", tokens("chief"), account("super", Role.CCAT_SUPERVISOR), second="deputy")
    assert code_of(department, "user/set", tokens("chief"), approved) == "approver-gone", "who came back"
    again = proposed(department, "user/set", tokens("chief"), form)
    department.call("change/approve", tokens("deputy"), replace(yes, proposal=again))
    department.call("user/set", tokens("chief"), replace(form, approval=again))


def test_taking_every_approver_away_does_not_bring_the_first_day_back(
    department: Department, tokens: Tokens
) -> None:
    chief = tokens("chief")
    for user in ("super", "deputy"):
        department.call("user/set", chief, account(user, active=False))
    assert code_of(department, "user/set", chief, account("pup", Role.DISPATCHER)) == "second-person"


def test_the_person_concerned_approves_neither_account_nor_reset(
    department: Department, tokens: Tokens
) -> None:
    reset = CredentialForm(user="super", reason="lost phone")
    assert code_of(department, "user/credential", tokens("chief"), reset) == "second-person"
    asked = department.call("user/credential", tokens("chief"), replace(reset, propose=True))
    assert isinstance(asked, HandedOver)
    assert (asked.password, asked.totp_uri) == ("", "")
    approve = DecideForm(proposal=asked.entry, granted=True, reason="called me")
    assert code_of(department, "change/approve", tokens("super"), approve) == "second-person"
    department.call("change/approve", tokens("deputy"), approve)
    given = department.call("user/credential", tokens("chief"), replace(reset, approval=asked.entry))
    assert isinstance(given, HandedOver)
    assert given.password


@pytest.mark.parametrize(
    "roles",
    [
        (Role.REVIEWER, Role.CCAT_SUPERVISOR),
        (Role.REVIEWER, Role.DISPATCHER),
        (Role.REVIEWER, Role.COMMUNICATIONS),
        (Role.VENDOR, Role.OFFICER),
        (Role.VENDOR, Role.REVIEWER),
    ],
)
def test_roles_that_must_not_meet_in_one_account_are_refused(
    department: Department, tokens: Tokens, roles: tuple[Role, ...]
) -> None:
    assert code_of(department, "user/set", tokens("chief"), account("pup", *roles)) == "roles"


def test_a_second_administrator_comes_by_a_handover_of_two_people_alone(
    department: Department, tokens: Tokens
) -> None:
    form = account("deputy", Role.ADMINISTRATOR)
    assert code_of(department, "user/set", tokens("chief"), form) == "second-administrator"
    over = HandoverForm(user="deputy", reason="new commander")
    assert code_of(department, "user/hand-over", tokens("chief"), over) == "second-person"
    mine = replace(over, user="chief")
    assert code_of(department, "user/hand-over", tokens("chief"), mine) == "own-account"
    stranger = replace(over, user="nobody9")
    assert code_of(department, "user/hand-over", tokens("chief"), stranger) == "no-such-user"
    both = replace(over, keep_roles=(Role.ADMINISTRATOR,))
    assert code_of(department, "user/hand-over", tokens("chief"), both) == "second-administrator"
    department.two_hands("user/hand-over", tokens("chief"), over)
    assert department.desk.book.roster.holders(Role.ADMINISTRATOR) == ["deputy"]
    with pytest.raises(NotProvenError):
        department.call("training/list", tokens("chief"), NothingForm())


def test_a_designation_ends_and_cannot_be_longer_than_the_policy_says(
    department: Department, tokens: Tokens
) -> None:
    until = department.clock.us + 400 * DAY_US
    long = account("deputy", Role.DESIGNEE, ends_us=until)
    assert code_of(department, "user/set", tokens("chief"), long) == "designation"
    soon = account("deputy", Role.DESIGNEE, ends_us=department.clock.us + 2 * DAY_US)
    department.call("user/set", tokens("chief"), soon)
    assert department.call("hold/list", department.logon("deputy"), NothingForm()) == ()
    department.clock.step(2 * DAY_US)
    assert code_of(department, "hold/list", department.logon("deputy"), NothingForm()) == "role"


# --- holds, exports, images


def test_reads_that_no_own_search_found_are_held_and_exported_by_two_people_alone(
    department: Department, tokens: Tokens
) -> None:
    form = replace(HOLD, reads=department.reads[:3])
    assert code_of(department, "hold/place", tokens("super"), form) == "second-person"
    of_another = department.searched(tokens("comm1"), department.reads[:3])
    borrowed = replace(form, accesses=of_another)
    assert code_of(department, "hold/place", tokens("super"), borrowed) == "second-person"
    some = replace(form, accesses=department.searched(tokens("super"), department.reads[:2]))
    assert code_of(department, "hold/place", tokens("super"), some) == "second-person"
    placed = department.two_hands("hold/place", tokens("super"), form, second="chief")
    assert isinstance(placed, Placed)
    out = ExportForm(hold=placed.hold, medium="USB 1", ground=GROUND)
    assert code_of(department, "hold/export", tokens("super"), out) == "second-person"
    made = department.two_hands("hold/export", tokens("super"), out, second="deputy")
    assert isinstance(made, Exported)
    assert made.package


def test_a_hold_is_not_a_search_that_an_image_could_rest_on(department: Department, tokens: Tokens) -> None:
    read = department.reads[0]
    form = replace(HOLD, reads=(read,))
    department.two_hands("hold/place", tokens("super"), form, second="chief")
    access = next(
        row.entry
        for row in department.call("inquiry/mine", tokens("super"), NothingForm())  # type: ignore[attr-defined]
        if row.action == "hold"
    )
    view = ImageForm(read=read, access=access, ground=GROUND)
    assert code_of(department, "inquiry/image", tokens("super"), view) == "other-read"


def test_the_access_log_names_the_second_person_of_each_access(
    department: Department, tokens: Tokens
) -> None:
    form = replace(HOLD, reads=department.reads[:1])
    department.two_hands("hold/place", tokens("super"), form, second="chief")
    rows = department.call("inquiry/mine", tokens("super"), NothingForm())
    assert [row.second_person for row in rows if row.action == "hold"] == ["chief"]  # type: ignore[attr-defined]


# --- documents


def test_an_update_is_signed_by_two_people(department: Department, tokens: Tokens) -> None:
    form = SignForm(kind="update", name="0.3.0", body=update_file(), reason="the spring release")
    assert code_of(department, "document/sign", tokens("super"), form) == "second-person"
    assert code_of(department, "document/sign", tokens("comm1"), form) == "role"
    signed = department.two_hands("document/sign", tokens("super"), form, second="chief")
    assert isinstance(signed, Signed)
    note = department.desk.log.entry(signed.entry).note
    assert isinstance(note, DocumentSigned)
    assert (note.name, note.digest.hex()) == ("update/0.3.0", signed.digest)


def test_a_configuration_is_signed_by_two_people_who_see_all_that_it_sets(
    department: Department, tokens: Tokens
) -> None:
    """One person's configuration could blind every camera of the fleet or turn off every alert page."""
    body = b"[camera]\nexposure_us = 60 # brighter\n[alerts]\npage_listen = '127.0.0.1\\u202e'\n"
    form = SignForm(kind="configuration", body=body, reason="a better angle")
    assert code_of(department, "document/sign", tokens("super"), form) == "second-person"
    signed = department.two_hands("document/sign", tokens("super"), form, second="chief")
    assert isinstance(signed, Signed)
    *_, asked = department.desk.log.entries(kinds=(ChangeProposed.KIND,))
    assert isinstance(asked.note, ChangeProposed)
    assert asked.note.summary.startswith(
        'configuration for every unit: camera.exposure_us = 60, alerts.page_listen = "127.0.0.1\\\\u202e"; '
    )
    unit = department.front.state.units(department.clock.us)[0]
    department.call("document/sign", tokens("super"), replace(form, unit=unit.unit, propose=True))
    *_, asked = department.desk.log.entries(kinds=(ChangeProposed.KIND,))
    assert isinstance(asked.note, ChangeProposed)
    assert asked.note.summary.startswith(f"configuration for {unit.name} ({unit.unit}): camera")


def test_another_body_is_not_signed_under_the_approval_of_one(department: Department, tokens: Tokens) -> None:
    form = SignForm(kind="update", name="0.3.0", body=update_file(), reason="the spring release")
    made = department.call("document/sign", tokens("super"), replace(form, propose=True))
    assert isinstance(made, Signed)
    approve = DecideForm(proposal=made.proposal, granted=True, reason="read it")
    department.call("change/approve", tokens("chief"), approve)
    partner = replace(form, body=update_file(version=8), approval=made.proposal)
    assert code_of(department, "document/sign", tokens("super"), partner) == "other-approval"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "policy"}, "document"),
        ({"kind": "hot-list"}, "document"),  # only by hotlist/push: units refuse an unchecked table
        ({"name": "../x"}, "name"),
        ({"body": b""}, "document"),
        ({"reason": "."}, "reason"),
        ({"kind": "configuration", "body": b"= not toml"}, "document"),
        ({"kind": "configuration", "body": b"[site]\nlatitude = 10.0\n"}, "document"),
        ({"kind": "configuration", "body": b'[camera]\nsource = "camera:3"\n'}, "document"),
        ({"kind": "configuration", "body": b'[camera]\nname = "%b"\n' % (b"x" * 4000)}, "document"),
    ],
)
def test_what_is_not_a_document_is_not_signed(
    department: Department, tokens: Tokens, change: dict[str, Any], code: str
) -> None:
    form = SignForm(kind="update", name="0.3.0", body=update_file(), reason="the spring release")
    assert code_of(department, "document/sign", tokens("super"), replace(form, **change)) == code


# --- lists of people


def test_a_list_of_people_is_made_by_one_form_and_one_second_person(
    department: Department, tokens: Tokens
) -> None:
    lines = tuple(
        PersonLine(user=f"comm{n}", name=f"Comm {n}", roles=(Role.COMMUNICATIONS,)) for n in range(5, 8)
    )
    form = ImportForm(people=lines, reason="academy class")
    assert code_of(department, "user/import", tokens("chief"), form) == "second-person"
    asked = department.call("user/import", tokens("chief"), replace(form, propose=True))
    assert isinstance(asked, Imported)
    approve = DecideForm(proposal=asked.proposal, granted=True, reason="the whole class")
    department.call("change/approve", tokens("super"), approve)
    made = department.call("user/import", tokens("chief"), replace(form, approval=asked.proposal))
    assert isinstance(made, Imported)
    assert [one.user for one in made.people] == ["comm5", "comm6", "comm7"]
    assert len({one.password for one in made.people}) == 3
    alone = [one.user for one in department.desk.book.roster.makings if not one.second]
    assert not {"comm5", "comm6", "comm7"} & set(alone)
    with pytest.raises(FormError):
        department.call("user/import", tokens("chief"), form)


# --- what two people do is not refused


def test_a_lockout_is_lifted_by_another_person_who_says_why(department: Department, tokens: Tokens) -> None:
    assert (
        code_of(department, "user/lift-lockout", tokens("chief"), UserForm(user="comm1", reason="…"))
        == "reason"
    )
    own = UserForm(user="chief", reason="mine")
    assert code_of(department, "user/lift-lockout", tokens("chief"), own) == "own-account"
    department.call("user/lift-lockout", tokens("chief"), UserForm(user="comm1", reason="called"))


def test_an_account_made_by_one_hand_that_then_searches_is_a_finding(
    department: Department, tokens: Tokens
) -> None:
    """The log decides: it has an entry by one person, however it got there."""
    from sync.department.desk.audit.calls import look_daily

    chief, super_ = tokens("chief"), tokens("super")
    department.two_hands("user/credential", chief, CredentialForm(user="disp1", reason="lost phone"))
    department.desk.book.roster.makings[-1] = replace(department.desk.book.roster.makings[-1], second="")
    department.call("user/password", super_, PasswordForm(old=PASSWORD, new="another horse 463"))
    assert look_daily(department.front) == []
    single = department.desk.book.roster.makings[-1]
    department.desk.book.roster.makings.append(replace(single, user="comm1"))
    answer = department.call(
        "inquiry/run", tokens("comm1"), RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    )
    assert isinstance(answer, Answer)
    (finding,) = look_daily(department.front)
    note = department.desk.log.entry(finding).note
    assert (note.detector, note.about) == ("one_hand", "comm1")  # type: ignore[attr-defined]
    assert look_daily(department.front) == []


@pytest.mark.parametrize(
    ("role", "trainer", "found"),
    [(Role.COMMUNICATIONS, "super", False), (Role.CCAT_SUPERVISOR, "chief", True)],
)
def test_an_account_trained_by_the_hand_that_made_it_is_a_finding_once_it_searches(
    department: Department, tokens: Tokens, role: Role, trainer: str, found: bool
) -> None:
    from sync.department.desk.audit.calls import look_daily

    department.add_person(tokens("chief"), "pup", (role,))  # with super's approval
    department.train(tokens(trainer), "pup", trainer)
    assert look_daily(department.front) == []  # nothing has been opened yet
    run = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    answer = department.call("inquiry/run", department.logon("pup"), run)
    assert isinstance(answer, Answer)
    notes = [department.desk.log.entry(one).note for one in look_daily(department.front)]
    assert [(one.detector, one.about) for one in notes] == [("one_hand", "pup")] * found  # type: ignore[attr-defined]
    assert look_daily(department.front) == []


def test_training_in_a_class_is_all_or_nothing(department: Department, tokens: Tokens) -> None:
    from sync.department.desk.people.training_calls import ClassForm, ClassRecorded

    one = TrainingForm(
        user="comm1",
        trainer="super",
        course="ALPR-463",
        policy_version=department.desk.policy.version,
        topics=("equipment", "department-policy", "privacy-policy"),
        held_us=department.clock.us - HOUR_US,
    )
    fields = {
        name: getattr(one, name) for name in ("trainer", "course", "policy_version", "topics", "held_us")
    }
    size = department.desk.log.size()
    bad = ClassForm(users=("comm1", "super"), **fields)
    assert code_of(department, "training/record-class", tokens("super"), bad) == "own-training"
    unknown = ClassForm(users=("comm1", "nobody1", "disp1", "nobody2"), **fields)
    with pytest.raises(
        FormError, match="nobody1 is not on the roster; nobody2 is not on the roster"
    ) as refused:
        department.call("training/record-class", tokens("super"), unknown)
    assert "department user list" in refused.value.cure
    double = ClassForm(users=("comm1", "comm1"), **fields)
    assert code_of(department, "training/record-class", tokens("super"), double) == "sign-in"
    kinds = [entry.note.KIND for entry in department.desk.log.entries(size)]
    assert "training" not in kinds
    made = department.call(
        "training/record-class", tokens("super"), ClassForm(users=("comm1", "disp1"), **fields)
    )
    assert isinstance(made, ClassRecorded)
    assert len(made.entries) == 2


def test_a_change_that_waits_is_shown_in_words_to_those_who_may_approve(
    department: Department, tokens: Tokens
) -> None:
    number = proposed(department, "user/set", tokens("chief"), account("pup", Role.DISPATCHER))
    rows = department.call("change/list", tokens("deputy"), NothingForm())
    assert isinstance(rows, tuple)
    (row,) = rows
    assert (row.proposal, row.user, row.call, row.about) == (number, "chief", "user/set", "pup")
    assert "dispatcher" in row.summary
    assert code_of(department, "change/list", tokens("officer1"), NothingForm()) == "role"
    wrong = DecideForm(proposal=0, granted=True, reason="known to me")
    assert code_of(department, "change/approve", tokens("deputy"), wrong) == "no-proposal"
    mute = DecideForm(proposal=number, granted=True, reason="...")
    assert code_of(department, "change/approve", tokens("deputy"), mute) == "reason"


def test_the_first_administrator_acts_alone_until_a_second_person_could_approve(
    department: Department,
) -> None:
    """For the founding: the first approver's account is marked as made by one person, and reviewed."""
    (first,) = [one for one in department.desk.book.roster.makings if not one.second and one.user == "super"]
    assert first.by == "chief"
    others = [one for one in department.desk.book.roster.makings if one.user in {"comm1", "disp1", "deputy"}]
    assert others
    assert {one.second for one in others} == {"super"}


def test_not_yet_and_no_are_distinguished_by_their_status() -> None:
    assert (NotYetError.status, DeskRefusal.status, FormError.status) == (409, 403, 422)
