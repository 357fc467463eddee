"""Each refusal of the desk has a test; those that a single forged call reaches are in a table here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk_asking import code_of
from desk_forms import forms
from desk_twins import COURSE, GROUND, TOPICS, Department

from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.desk import operations
from sync.department.desk.audit.calls import AuditCloseForm, PeriodForm, look_daily
from sync.department.desk.audit.event_calls import EventsForm
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.holds.calls import ExportForm
from sync.department.desk.inquiry.forms import (
    AskForm,
    Entered,
    FileForm,
    FileManyForm,
    InquiryDecideForm,
    NothingForm,
    ProposeForm,
    RunForm,
)
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people import training
from sync.department.desk.people.bulk import ImportForm, PersonLine
from sync.department.desk.people.calls import AccountForm
from sync.department.desk.people.training import Trainings
from sync.department.desk.people.training_calls import TrainingForm
from sync.department.desk.sharing.calls import DecisionForm, DeliverForm, Recorded, ReviewForm, ShareForm
from sync.department.journal.entries import Entry, EntryOf, FindingOpened, TrainingDone
from sync.department.journal.entry_base import Stamp
from sync.department.journal.sharing_entries import Scope
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import DeskRefusal, NotProvenError
from sync.department.policy.roles import Role
from sync.department.server.open_desk import adopt_root

Tokens = Callable[[str], str]
ROOT = Path(__file__).resolve().parents[2]


def test_every_refusal_code_of_the_desk_is_asserted_by_a_test() -> None:
    rooms = [one for one in (ROOT / "sync/department/desk").rglob("*.py") if one.parent.name != "alerts"]
    sources = [*rooms, ROOT / "sync/department/policy/roles.py"]  # tests/alerts has the steps of an alert
    codes = {code for one in sources for code in re.findall(r'code="([a-z-]+)"', one.read_text())}
    tests = "".join(one.read_text() for one in (ROOT / "tests").rglob("test_*.py"))
    assert len(codes) > 100
    assert sorted(code for code in codes if f'"{code}"' not in tests) == []


def account(**change: Any) -> AccountForm:
    form = AccountForm(user="new9", name="New", organisation="PD", roles=(Role.OFFICER,), reason="hired")
    return replace(form, **change)


@pytest.mark.parametrize(
    ("name", "user", "change", "code"),
    [
        ("hold/place", "super", {"accesses": tuple(range(101))}, "accesses"),
        ("share/record", "super", {"agreement": "nasa"}, "agreement"),
        ("share/record", "super", {"agency": "Pasadena PD", "agreement": "lasd"}, "agreement"),
        ("audit/compare", "super", {"export": b"a,b\n"}, "csv"),
        ("audit/events", "reviewer1", {"limit": 0}, "limit"),
        ("audit/events", "reviewer1", {"limit": 10_001}, "limit"),
        ("inquiry/file", "comm1", {"access": 1 << 40}, "no-access"),
        ("inquiry/file-many", "comm1", {"filings": ()}, "filings"),
        ("user/set", "chief", {"user": "New One"}, "user-name"),
        ("user/set", "chief", {"user": "system"}, "user-name"),
        ("user/set", "chief", {"user": "x"}, "user-name"),
        ("user/set", "chief", {"roles": ()}, "roles"),
        ("user/set", "chief", {"reason": "."}, "reason"),
        ("user/import", "chief", {"people": ()}, "people"),
        ("user/import", "chief", {"people": (PersonLine(user="comm1", name="C", roles=(Role.OFFICER,)),)},
         "known-user"),
        ("user/import", "chief", {"people": (PersonLine(user="boss", name="B", roles=(Role.DESIGNEE,)),)},
         "roles"),
        ("inquiry/run", "comm1", {"query": None, "ground": None}, "no-request"),
        ("inquiry/run", "comm1", {"query": None, "ground": None, "request": 0}, "no-request"),
        ("inquiry/run", "comm1", {"ground": None}, "no-request"),
        ("document/sign", "chief", {"unit": "nobody"}, "unit"),
        ("document/sign", "chief", {"body": b"a = " + b"[" * 9999}, "document"),
        ("document/sign", "chief", {"body": b"a = " + b"9" * 9999}, "document"),
        ("calendar/list", "chief", {"kinds": ("no-such-kind",)}, "kinds"),
    ],
)  # fmt: skip
def test_one_forged_call_for_a_refusal(
    department: Department, tokens: Tokens, name: str, user: str, change: dict[str, Any], code: str
) -> None:
    form = replace(forms(department)[name], **change)
    with pytest.raises(DeskRefusal) as refused:
        OPERATIONS[name].run(department.front, tokens(user), form)
    assert refused.value.code == code
    assert refused.value.clause


def test_a_session_locks_and_its_day_ends_by_their_codes(department: Department) -> None:
    token = department.logon("comm1")
    department.clock.step(30 * MINUTE_US)
    assert code_of(department, "inquiry/mine", token, NothingForm()) == "session-locked"
    posted = department.logon("disp1", post="dispatch")
    department.clock.step(12 * HOUR_US)
    assert code_of(department, "inquiry/mine", posted, NothingForm()) == "session-over"


def test_an_account_that_was_removed_opens_nothing_by_a_session_that_survived(
    department: Department, tokens: Tokens
) -> None:
    """A second line of defense: even in an open session, the account is checked."""
    token = tokens("comm1")
    known = dict(department.desk.book.sessions.open)
    gone = account(user="comm1", roles=(), active=False)
    department.call("user/set", tokens("chief"), gone)
    department.desk.book.sessions.open.update(known)
    with pytest.raises(NotProvenError) as refused:
        department.call("inquiry/mine", token, NothingForm())
    assert refused.value.code == "no-account"


def test_a_medium_has_a_name(department: Department, tokens: Tokens) -> None:
    hold = department.held(tokens("super"))
    out = ExportForm(hold=hold, medium="--", ground=GROUND)
    assert code_of(department, "hold/export", tokens("super"), out) == "medium"


def test_without_a_reviewer_who_did_not_search_the_audit_says_so(
    department: Department, tokens: Tokens
) -> None:
    for _ in range(5):
        department.call(
            "inquiry/run", tokens("comm1"), RunForm(query=department.plate("8XYZ123"), ground=GROUND)
        )
    gone = account(user="reviewer1", roles=(), active=False)
    department.call("user/set", tokens("chief"), gone)
    department.desk.book.roster.accounts["chief"] = replace(
        department.desk.book.roster.accounts["chief"], roles=(Role.OFFICER,)
    )
    (number,) = look_daily(department.front)
    opened = department.desk.log.entry(number).note
    assert isinstance(opened, FindingOpened)
    assert opened.reviewer == ""  # it waits for a reviewer
    assert code_of(department, "audit/run", tokens("super"), PeriodForm()) == "no-reviewer"


def test_the_person_a_finding_is_about_does_not_close_it(department: Department, tokens: Tokens) -> None:
    for number in range(5):
        ground = replace(GROUND, number=f"26-00{number}234")
        department.call(
            "inquiry/run", tokens("comm1"), RunForm(query=department.plate("8XYZ123"), ground=ground)
        )
    (finding,) = look_daily(department.front)
    entry = department.desk.book.findings.opened[finding]
    about = replace(entry.note, about="reviewer1")
    department.desk.book.findings.opened[finding] = replace(entry, note=about)
    close = AuditCloseForm(finding=finding, verdict="justified", note="read the case file")
    assert code_of(department, "audit/close", tokens("reviewer1"), close) == "own-finding"


# --- second halves of compound checks, and checks of what may have changed


def test_the_officer_who_asked_is_not_the_second_person_of_the_search_that_answers(
    department: Department, tokens: Tokens
) -> None:
    """463.5 (a): a dispatcher makes a request, another proposes the search; the first cannot approve it."""
    wide = replace(department.plate("8XY*"), since_us=department.clock.us - DAY_US)
    asked = department.call("inquiry/request", tokens("disp1"), AskForm(query=wide, ground=GROUND))
    assert isinstance(asked, Entered)
    proposed = department.call("inquiry/propose", tokens("comm1"), ProposeForm(request=asked.entry))
    assert isinstance(proposed, Entered)
    yes = InquiryDecideForm(proposal=proposed.entry, granted=True, reason="my own request")
    assert code_of(department, "inquiry/approve", tokens("disp1"), yes) == "second-person"
    assert code_of(department, "inquiry/approve", tokens("comm1"), yes) == "second-person"
    department.call("inquiry/approve", tokens("super"), yes)


def test_a_request_approved_before_the_policy_changed_is_held_against_the_new_one(
    department: Department, tokens: Tokens
) -> None:
    """463.6: the gate is checked again when something leaves, not only when it is requested."""
    scope = Scope(
        plates=("8XYZ123",),
        since_us=department.clock.us - 9 * DAY_US,
        until_us=department.clock.us,
        images=False,
    )
    form = ShareForm(
        agency="Pasadena Police Department",
        agency_kind="law-enforcement",
        state="CA",
        person="Sgt. Lee",
        purpose="robbery",
        number="PA-26-77",
        letter=b"please",
        letter_name="letter.pdf",
        scope=scope,
    )
    made = department.call("share/record", tokens("super"), form)
    assert isinstance(made, Recorded)
    review = ReviewForm(request=made.entry, note="letter is complete")
    department.call("share/review", tokens("deputy"), review)
    department.call(
        "share/decide",
        tokens("deputy"),
        DecisionForm(
            request=made.entry,
            approved=True,
            note="known case",
            agency_kind="law-enforcement",
            agency_state="CA",
        ),
    )
    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n", 1)
    text = text.replace('["law-enforcement", "prosecutor"]', '["prosecutor"]\nagreements = []', 1)
    start = text.index("[[sharing.agreements]]")
    text = text[:start] + text[text.index("# 463.8", start) :]
    root = department.new_root(policy_version=3, policy_digest=policy_digest(text.encode()))
    adopt_root(department.home, department.desk, root, text.encode())
    deliver = DeliverForm(request=made.entry, ground=GROUND)
    assert code_of(department, "share/deliver", tokens("super"), deliver) == "share-gate"


def test_an_older_training_that_is_entered_later_does_not_replace_the_newest() -> None:
    trainings = Trainings()

    def done(held_us: int, topics: tuple[str, ...]) -> Entry:
        note = TrainingDone(
            user="comm1", trainer="super", course=COURSE, policy_version=2, topics=topics, held_us=held_us
        )
        stamp = Stamp(at_us=1, user="super", role="x", organisation="PD", session=b"", demo=False)
        return EntryOf(1, stamp, note)

    trainings.apply(done(20 * DAY_US, TOPICS))
    trainings.apply(done(10 * DAY_US, ()))
    assert trainings.newest["comm1"].held_us == 20 * DAY_US
    trainings.apply(done(20 * DAY_US, ("equipment",)))  # entered again, and the correction counts
    assert trainings.newest["comm1"].topics == ("equipment",)


def test_a_training_in_fewer_topics_than_the_policy_asks_does_not_count(department: Department) -> None:
    policy = department.desk.policy
    trainings = Trainings()
    known = department.desk.book.trainings.newest["comm1"]
    trainings.newest["comm1"] = replace(known, topics=known.topics[:1])
    with pytest.raises(DeskRefusal) as refused:
        training.demand_current(policy, trainings, "comm1", department.clock.us)
    assert refused.value.code == "training-topics"


def test_who_leaves_between_the_approval_and_the_act_takes_it_along_and_no_act_back(
    department: Department, tokens: Tokens
) -> None:
    """What was made stays approved; an approval not yet used ends when its person leaves."""
    form = account(user="pup", roles=(Role.DISPATCHER,))
    made = department.call("user/set", tokens("chief"), replace(form, propose=True))
    assert isinstance(made, Entered)
    yes = DecideForm(proposal=made.entry, granted=True, reason="known to me")
    department.call("change/approve", tokens("deputy"), yes)
    department.call("user/set", tokens("chief"), replace(form, approval=made.entry))
    more = replace(form, user="pup2")
    asked = department.call("user/set", tokens("chief"), replace(more, propose=True))
    assert isinstance(asked, Entered)
    department.call("change/approve", tokens("deputy"), replace(yes, proposal=asked.entry))
    department.call("user/set", tokens("chief"), account(user="deputy", roles=(), active=False))
    again = replace(more, approval=asked.entry)
    assert code_of(department, "user/set", tokens("chief"), again) == "approver-gone"
    makings = [(one.user, one.by, one.second) for one in department.desk.book.roster.makings]
    assert ("pup", "chief", "deputy") in makings


def test_forms_of_other_calls_and_periods_of_no_time_are_refused(
    department: Department, tokens: Tokens
) -> None:
    future = PeriodForm(since_us=department.clock.us + HOUR_US)
    assert code_of(department, "audit/run", tokens("super"), future) == "time"
    assert code_of(department, "audit/events", tokens("reviewer1"), EventsForm(kind="x")) == "kind"
    wrong = FileForm(access=0, rms_number="RMS-26-1")
    assert code_of(department, "inquiry/file", tokens("comm1"), wrong) == "no-access"
    bad = FileForm(access=0, rms_number="none")
    assert code_of(department, "inquiry/file", tokens("comm1"), bad) == "no-access"
    access = department.searched(tokens("comm1"), department.reads[:1])[0]
    unnumbered = replace(bad, access=access)
    assert code_of(department, "inquiry/file", tokens("comm1"), unnumbered) == "rms-number"
    assert code_of(department, "inquiry/file-many", tokens("comm1"), FileManyForm(filings=())) == "filings"
    empty = ImportForm(people=(), reason="hired")
    assert code_of(department, "user/import", tokens("chief"), empty) == "people"
    old = TrainingForm(
        user="comm1",
        trainer="super",
        course=COURSE,
        policy_version=2,
        topics=TOPICS,
        held_us=department.clock.us - 32 * DAY_US,
    )
    assert code_of(department, "training/record", tokens("super"), old) == "training-date"


NAMED = {"user password", "user login", "change mine"}  # for every person
OF_ADMINISTRATORS = {"user first", "user hand-over", "grant list", "hotlist add", "enroll"}
"""Named by refusals of calls that only people with these commands make, and before there is a desk."""
OF_HOLDERS = {"hold list"}
"""Named by refusals of a hold's number: each role that places, exports or releases holds may list them."""


def test_a_refusal_names_a_command_only_to_people_who_may_run_it() -> None:
    """A dispatcher was once asked to run a command of the server."""
    found = set()
    for path in (Path(operations.__file__).parent).rglob("*.py"):
        for cure in re.findall(r'cure=f?"([^"]*)"', path.read_text(encoding="utf-8")):
            for noun, verb in re.findall(r"(?:^|: )department ([a-z]+)(?: ([a-z][a-z-]*))?", cure):
                found.add(f"{noun} {verb}".strip())
    assert found >= NAMED
    assert found <= NAMED | OF_ADMINISTRATORS | OF_HOLDERS
