"""The list of what ends: complete for people who keep the policy, only their own for others, no plates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_forms import forms
from desk_root import account_form, problems
from desk_twins import DAY_US, GROUND, HOUR_US, PEOPLE, Department
from flipped import flip

from storage.hot_list_file import MAGIC
from sync.department.desk.due import CalendarForm, endings_now
from sync.department.desk.endings import OF_PEOPLE, PASSES, SEEN_WITH, advice, of_people, soon
from sync.department.desk.holds.calls import BookForm, ExportForm
from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.desk.owed import NOTICE_DAYS, Ending
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call, Role
from sync.department.server.due_work import standing
from sync.department.server.open_desk import adopt_root

Tokens = Callable[[str], str]
ALL = {"chief", "super", "reviewer1"}  # compliance.read


def listed(department: Department, token: str, *kinds: str) -> tuple[Ending, ...]:
    found = department.call("calendar/list", token, CalendarForm(kinds=kinds))
    assert isinstance(found, tuple)
    assert all(isinstance(one, Ending) for one in found)
    return found


def with_lists_and_grants(department: Department) -> None:
    """A department with a hot list, an entry of its own, a grant, and a key for grants at night."""
    table = forms(department)
    supervisor = department.logon("super")
    department.two_hands("hotlist/push", supervisor, table["hotlist/push"], second="chief")
    own = replace(table["hotlist/add"], recipients=(), until_us=department.clock.us + 9 * DAY_US)
    department.two_hands("hotlist/add", supervisor, own, second="chief")
    department.call("grant/lend", department.logon("chief"), table["grant/lend"])


def test_everything_that_ends_is_in_the_one_list(department: Department) -> None:
    with_lists_and_grants(department)
    found = listed(department, department.logon("super"))
    kinds = {one.kind for one in found}
    assert kinds >= {
        *("password", "training", "designation", "delegation", "hot-list", "list-entry"),
        *("audit", "policy", "authority"),
    }
    assert kinds <= set(SEEN_WITH)
    assert [one.ends_us for one in found] == sorted(one.ends_us for one in found)
    for one in found:
        assert one.cure, one
        assert "8XYZ" not in repr(one)
        assert "26-001234" not in repr(one), "the case of an own entry"
        assert advice(one).endswith(one.command)
    (entry,) = (one for one in found if one.kind == "list-entry")
    assert entry.about == "super"


@pytest.mark.thorough_rows(every=3)
@pytest.mark.parametrize("user", sorted(PEOPLE))
def test_each_person_sees_their_own_and_what_their_roles_watch(department: Department, user: str) -> None:
    with_lists_and_grants(department)
    policy = department.desk.policy
    calls = {call for role in policy.effective_roles((PEOPLE[user],)) for call in policy.grants[role]}
    every = endings_now(department.front, department.clock.us)
    found = listed(department, department.logon(user))
    for one in found:
        own = one.kind in OF_PEOPLE and one.about == user
        assert own or user in ALL or SEEN_WITH[one.kind] in calls, (user, one)
    if user in ALL:
        own_list = set() if Call.DOCUMENT_SIGN in calls else {("hot-list", "local")}
        assert {(one.kind, one.about) for one in found} == {(one.kind, one.about) for one in every} - own_list
    others = {one.about for one in found if one.kind in {"password", "training"}} - {user}
    assert bool(others) == (user in ALL)
    assert any(one.kind == "password" and one.about == user for one in found)
    assert ("hot-list" in {one.kind for one in found}) == (user in ALL or Call.DOCUMENT_SIGN in calls)


def test_a_vendor_without_a_grant_sees_when_their_password_ends(department: Department) -> None:
    assert {one.about for one in listed(department, department.logon("vendor1"))} == {"vendor1"}


def test_kinds_narrow_it_and_others_are_refused(department: Department, tokens: Tokens) -> None:
    found = listed(department, tokens("chief"), "password", "designation")
    assert {one.kind for one in found} == {"password", "designation"}
    assert {one.kind for one in listed(department, tokens("officer1"), "authority", "training")} == {
        "training"
    }
    with pytest.raises(FormError, match="no such kind"):
        listed(department, tokens("chief"), "everything")


def test_what_ended_stays_until_it_is_renewed_and_a_grant_only_for_a_month(department: Department) -> None:
    department.call("grant/issue", department.logon("chief"), forms(department)["grant/issue"])
    ends_us = next(
        one.ends_us for one in endings_now(department.front, department.clock.us) if one.kind == "grant"
    )
    for days, there in ((29, True), (31, False)):
        found = endings_now(department.front, ends_us + days * DAY_US)
        assert ("grant" in {one.kind for one in found}) == there
    late = endings_now(department.front, ends_us + 400 * DAY_US)
    assert {"training", "password"} <= {one.kind for one in late}
    assert set(SEEN_WITH) >= PASSES


def test_a_hold_is_asked_about_each_year_until_it_is_exported_or_booked_again_or_released(
    department: Department,
) -> None:
    """Once, a hold that was exported and booked kept its reads for good, and no one was reminded."""
    hold = department.held(department.logon("super"))

    def asked() -> list[int]:
        found = endings_now(department.front, department.clock.us)
        return [one.ends_us for one in found if (one.kind, one.about) == ("held-year", f"hold {hold}")]

    placed_us = department.desk.log.entry(hold).stamp.at_us
    assert asked() == [placed_us + 365 * DAY_US]
    department.clock.step(30 * DAY_US)
    export = ExportForm(hold=hold, medium="USB 1", ground=GROUND)
    department.call("hold/export", department.logon("super"), export)
    (again_us,) = asked()
    assert again_us >= placed_us + (365 + 30) * DAY_US
    department.clock.step(300 * DAY_US)
    department.call("hold/book", department.logon("super"), BookForm(hold=hold, evidence_item="E-26-0042"))
    (booked_us,) = asked()
    assert booked_us >= again_us + 300 * DAY_US


def test_compliance_prints_what_the_calendar_shows_and_soon_is_not_a_second_list(
    department: Department, tokens: Tokens
) -> None:
    department.clock.step(340 * DAY_US)
    front, now_us = department.front, department.clock.us
    shown = {
        (one.kind, one.about, one.ends_us)
        for one in soon(department.desk.policy, endings_now(front, now_us), now_us)
    }
    printed = {(one.kind, one.about, one.ends_us) for one in standing(front).ending}
    assert printed == shown
    assert {kind for kind, _, _ in shown} >= {"password", "training", "designation"}
    lines = [one for one in standing(front).lines() if one.startswith("SOON")]
    assert any("(the person changes it under My account: department user password)" in one for one in lines)


def test_a_list_that_is_sent_daily_is_not_a_notice(department: Department) -> None:
    """Otherwise each day's mail would repeat the day before."""
    with_lists_and_grants(department)
    kinds = {one.kind for one in standing(department.front).ending}
    assert not kinds & {"hot-list", "list-entry"}
    department.clock.step(7 * DAY_US)
    assert "list-entry" in {one.kind for one in standing(department.front).ending}
    assert NOTICE_DAYS["list-entry"] * DAY_US < 9 * DAY_US + HOUR_US


@pytest.mark.parametrize(
    ("hours", "left_h", "soon"),
    [
        (8, 7.9, False),
        (8, 2.1, False),
        (8, 1.9, True),
        (720, 719, False),
        (720, 181, False),
        (720, 179, True),
    ],
)
def test_a_grant_that_lasts_hours_is_not_a_notice_when_it_begins(
    hours: int, left_h: float, soon: bool
) -> None:
    one = Ending(
        kind="grant", clause="463.3", about="v", ends_us=800 * HOUR_US, what="", cure="", lasts_min=hours * 60
    )
    assert one.is_soon(round((800 - left_h) * HOUR_US), 30) == soon


def test_a_damaged_list_hides_no_other_end_and_is_reported(department: Department) -> None:
    with_lists_and_grants(department)
    (path,) = department.home.path.rglob("doj.list")
    path.write_bytes(flip(path.read_bytes(), len(MAGIC) + 20))
    found = listed(department, department.logon("super"))
    assert {"password", "training", "delegation"} <= {one.kind for one in found}
    assert [one.ends_us for one in found if one.kind == "hot-list"] == [0]
    assert any("does not open" in line for line in standing(department.front).lines())


def test_the_only_designee_s_designation_says_who_may_renew_it(
    department: Department, tokens: Tokens
) -> None:
    """No one may approve their own designation, so a second approver must be entered while one remains."""

    def cure() -> str:
        found = endings_now(department.front, department.clock.us)
        return next(one.cure for one in found if one.kind == "designation")

    assert "another person approves it" in cure()
    known = department.desk.book.roster.accounts
    department.call("user/set", tokens("chief"), replace(account_form(known["super"]), active=False))
    assert "no one approves their own, and only deputy may approve what chief proposes: enter" in cure()
    roster = department.desk.book.roster
    roster.accounts["deputy"] = replace(known["deputy"], roles=(*known["deputy"].roles, Role.ADMINISTRATOR))
    assert "another person approves it" in cure()  # of two administrators, one may approve
    roster.accounts["deputy"] = replace(known["deputy"], roles=(Role.DESIGNEE,))
    department.clock.step(366 * DAY_US)
    assert "no one may approve what chief proposes" in cure()
    assert "two of the three offices" in cure()


def test_the_end_of_a_designation_goes_with_the_office(department: Department, tokens: Tokens) -> None:
    def designated() -> set[str]:
        return {
            one.about
            for one in endings_now(department.front, department.clock.us)
            if one.kind == "designation"
        }

    assert designated() == {"deputy"}
    left = replace(forms(department)["user/set"], user="deputy", name="Deputy", roles=(Role.OFFICER,))
    department.two_hands("user/set", tokens("chief"), left, second="super")
    assert designated() == set()


def test_a_department_that_let_everything_lapse_recovers_by_its_own_people(department: Department) -> None:
    """After 400 days all passwords, trainings and designations have expired, even the administrator's."""
    department.clock.step(400 * DAY_US)
    for user in ("chief", "super", "comm1"):
        department.renew_password(user)
    department.train(department.logon("chief"), "super", "chief")
    department.train(department.logon("super"), "comm1", "super")
    deputy = department.desk.book.roster.accounts["deputy"]
    department.two_hands("user/set", department.logon("chief"), account_form(deputy))
    form = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    answer = department.call("inquiry/run", department.logon("comm1"), form)
    assert isinstance(answer, Answer)
    assert not answer.unwitnessed
    assert problems(department) == ()


def test_what_ends_is_announced_thirty_days_ahead_and_not_before(department: Department) -> None:
    desk = department.desk

    def kinds(day: int) -> set[str]:
        found = of_people(desk.policy, desk.book, department.clock.us)
        return {one.kind for one in soon(desk.policy, found, department.clock.us + day * DAY_US)}

    assert kinds(0) == set()
    assert kinds(320) == set()
    assert kinds(334) == {"password", "training", "designation", "policy"}
    assert "password" not in kinds(365)


def test_a_newer_policy_asks_for_its_review(department: Department, tokens: Tokens) -> None:
    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n", 1)
    root = department.new_root(policy_version=3, policy_digest=policy_digest(text.encode()))
    adopt_root(department.home, department.desk, root, text.encode())
    found = department.call("compliance/endings", tokens("super"), NothingForm())
    assert {one.kind for one in found} == {"policy-training"}  # type: ignore[attr-defined]
    assert "comm1" in {one.about for one in found}  # type: ignore[attr-defined]
