"""Besides its query, an access or a decision says what its person signed, and its stamp names that person.

463.5 (b): an ALPR Request names its elements, its purpose and its person. Root writes other words above the
signature; the key service opens nothing, and `department verify` names the entry. Older logs keep their form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from desk_asking import look_up
from desk_cars import Car
from desk_root import VICTIM, Root, access_of, problems, reasons
from desk_twins import GROUND, HOLD, Department
from proof_twins import export_of

from sync.department.desk.alerts.calls import AlertForm
from sync.department.desk.alerts.opening import access_of as alert_access
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.holds.calls import _access
from sync.department.desk.inquiry.forms import (
    AskForm,
    Entered,
    InquiryDecideForm,
    NothingForm,
    ProposeForm,
    RunForm,
)
from sync.department.desk.people.calls import AccountForm
from sync.department.desk.sharing.calls import DecisionForm
from sync.department.journal.alert_entries import RAISED
from sync.department.journal.change_entries import ChangeDecided
from sync.department.journal.entries import BY_OWN_HAND, JUDGED_WHOLE
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.journal.inquiry_entries import SearchApproved, SearchProposed
from sync.department.journal.second_hand_facts import DecisionSaid
from sync.department.journal.sharing_entries import ShareDecided
from sync.department.journal.statements import offering
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.roles import Role

Made: TypeAlias = tuple[Note, Stamp, bytes]


def a_look_at_the_list_for_a_case(root: Root, name: str) -> Made:
    note = replace(alert_access("alert", RAISED, (name,)), ground=GROUND)
    return note, *root.signed("disp1", "alert/list", NothingForm())


def a_look_at_the_list_in_other_words(root: Root, name: str) -> Made:
    return alert_access("alert", "alert 7", (name,)), *root.signed("disp1", "alert/list", NothingForm())


def a_look_at_one_alert_as_at_the_list(root: Root, name: str) -> Made:
    return alert_access("alert", RAISED, (name,)), *root.signed("disp1", "alert/show", AlertForm(alert=name))


def a_look_at_one_alert_as_at_another(root: Root, name: str) -> Made:
    note = alert_access("alert", f"alert {alert_of(root.department) + 1}", (name,))
    return note, *root.signed("disp1", "alert/show", AlertForm(alert=str(alert_of(root.department))))


def a_picture_of_an_alert_for_a_case(root: Root, _name: str) -> Made:
    number = alert_of(root.department)
    read = root.department.desk.book.alerts.find(str(number))
    assert read is not None
    note = alert_access("alert-image", f"images of alert {number}", (read.known.read,))
    return replace(note, ground=GROUND), *root.signed("disp1", "alert/show", AlertForm(alert=str(number)))


def alert_of(department: Department) -> int:
    (number,) = department.desk.book.alerts.numbers
    return number


ALERTS = (
    a_look_at_the_list_for_a_case,
    a_look_at_the_list_in_other_words,
    a_look_at_one_alert_as_at_the_list,
    a_look_at_one_alert_as_at_another,
    a_picture_of_an_alert_for_a_case,
)


def demand_bound(department: Department, entry: int, words: str) -> None:
    """Assert that `verify` names the entry, which is still valid in a log of the previous form."""
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: ")]
    assert len(named) == 1
    assert words in named[0]
    assert reasons(department, BY_OWN_HAND, entry) == []
    assert len(reasons(department, JUDGED_WHOLE, entry)) == 1


@pytest.mark.parametrize("attack", ALERTS, ids=lambda one: one.__name__)
def test_an_access_to_an_alert_says_what_its_person_looked_at(
    department: Department, car: Car, attack: Callable[[Root, str], Made]
) -> None:
    name = car.raises()
    department.call("alert/list", department.logon("disp1"), NothingForm())
    root = Root(department)
    entry = root.write(*attack(root, name))
    demand_bound(department, entry, "its ground or its data elements are not those of that alert")


def test_a_hold_is_under_the_number_that_was_signed(department: Department) -> None:
    root, form = Root(department), replace(HOLD, reads=department.reads[:1])
    note = _access("hold", form.ground, form.reads, "26-000000", -1)
    entry = root.write(note, *root.signed("super", "hold/place", form))
    demand_bound(department, entry, "its data elements are not those of the hold")


def test_an_export_is_under_the_number_of_its_hold(department: Department) -> None:
    form = export_of(department)
    placed = department.desk.book.holds.placed[form.hold].note
    assert isinstance(placed, HoldPlaced)
    root = Root(department)
    note = _access("export", form.ground, placed.reads, "26-000000", -1)
    entry = root.write(note, *root.signed("super", "hold/export", form))
    demand_bound(department, entry, "its data elements are not those of the hold")


def test_a_search_without_a_ground_has_none_of_roots(department: Department) -> None:
    """The desk refuses the form, but its signature exists."""
    root, query = Root(department), Root(department).query()
    signed = root.signed(VICTIM, "inquiry/run", RunForm(query=query, ground=None))
    entry = root.write(access_of(query), *signed)
    assert any(one.startswith(f"entry {entry}: access") for one in problems(department))


STAMPS: dict[str, dict[str, Any]] = {
    "does not have the role in it": {"role": "ccat-supervisor"},
    "its organization is not": {"organisation": "FBI"},
    "it is wrongly marked as a demo, or not": {"demo": True},
    "did not make the proof that it names": {"proven": "passkey, entry 1"},
}


@pytest.mark.parametrize("words", [*STAMPS])
def test_a_stamp_says_what_is_so_of_its_person(department: Department, words: str) -> None:
    root, query = Root(department), Root(department).query()
    stamp, signed = root.signed(VICTIM, "inquiry/run", RunForm(query=query, ground=GROUND))
    entry = root.write(access_of(query), replace(stamp, **STAMPS[words]), signed)
    demand_bound(department, entry, words)


def test_a_role_that_comes_with_another_is_in_the_stamp(department: Department) -> None:
    """By this policy, a dispatcher is also communications personnel."""
    look_up(department, department.logon("disp1"))
    assert {one.stamp.role for one in department.desk.log.entries(kinds=("access",))} == {"communications"}
    assert problems(department) == ()


DECISIONS: dict[str, tuple[object, Note]] = {
    "inquiry/approve": (
        InquiryDecideForm(proposal=3, granted=True, reason="known to me"),
        SearchApproved(proposal=3, granted=True, reason="known to me"),
    ),
    "change/approve": (
        DecideForm(proposal=3, granted=False, reason="known to me"),
        ChangeDecided(proposal=3, granted=False, reason="known to me"),
    ),
    "share/decide": (
        DecisionForm(request=3, approved=True, note="known to me", agency_kind="", agency_state=""),
        ShareDecided(request=3, approved=True, note="known to me"),
    ),
}


@pytest.mark.parametrize("call", DECISIONS)
def test_a_decision_is_in_the_words_of_its_person(call: str) -> None:
    form, note = DECISIONS[call]
    fields = {name: getattr(form, name) for name in form.__dataclass_fields__}  # type: ignore[attr-defined]
    made = DecisionSaid.of(note)
    made.demand_said(call, fields, whole=True)
    other = replace(made, words="as agreed with the chief")
    other.demand_said(call, fields, whole=False)
    for turned in (other, replace(made, number=4), replace(made, granted=not made.granted)):
        with pytest.raises(UnsignedError):
            turned.demand_said(call, fields, whole=True)


def test_a_second_persons_words_are_that_persons(department: Department) -> None:
    root = Root(department)
    query = root.query("8XYZ*")
    by = root.signed(VICTIM, "inquiry/propose", ProposeForm(query=query, ground=GROUND))
    number = root.write(SearchProposed(query=query, ground=GROUND, request=-1), *by)
    yes = InquiryDecideForm(proposal=number, granted=True, reason="known to me")
    note = SearchApproved(proposal=number, granted=True, reason="seen the warrant")
    entry = root.write(note, *root.signed("super", "inquiry/approve", yes))
    demand_bound(department, entry, "the signed call decides something else")


def test_a_role_that_ends_while_a_search_runs_leaves_its_answer_in_one_that_the_person_has(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry that ends the search was refused for the role of its beginning."""
    chief, both = department.logon("chief"), (Role.COMMUNICATIONS, Role.CCAT_SUPERVISOR)
    account = department.desk.book.roster.accounts["comm1"]
    form = AccountForm(
        user="comm1", name=account.name, organisation=account.organisation, roles=both, reason="one more duty"
    )  # fmt: skip
    department.two_hands("user/set", chief, form)
    query = department.plate("8XYZ123")
    officer = department.logon("officer1")
    asked = department.call("inquiry/request", officer, AskForm(query=query, ground=GROUND))
    assert isinstance(asked, Entered)
    reads = type(department.front.reads)
    find = reads.find

    def find_late(*asked: Any) -> Any:
        with offering(b""):
            department.call("user/set", chief, replace(form, roles=both[1:]))
        return find(*asked)

    token = department.logon("comm1")
    monkeypatch.setattr(reads, "find", find_late)
    department.call("inquiry/run", token, RunForm(request=asked.entry))
    assert problems(department) == ()
