"""The department's own entries, what a new extract changes, and sources that were wrong too often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from desk_cars import Car
from desk_forms import forms
from desk_root import Root
from desk_twins import Department

from storage import codec
from storage.alert_life import Fit
from storage.times import DAY_US
from sync.department.desk.alerts.calls import AlertForm, AnswerForm, TranscribeForm
from sync.department.desk.audit.calls import look_daily
from sync.department.desk.audit.detector_inputs import READ_KINDS
from sync.department.desk.audit.ended_entries import EndedByOthers
from sync.department.desk.changes.calls import ShowForm, ShownProposal
from sync.department.desk.documents import local
from sync.department.desk.documents.lists import ListForm
from sync.department.desk.documents.local import LocalChanged, LocalForm, WithdrawForm
from sync.department.desk.documents.sources import DiffForm, ListDiff
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.calls import AccountForm, HandoverForm
from sync.department.ground.home import DepartmentHome, load_ed25519
from sync.department.journal.change_entries import DocumentSigned, ListSent
from sync.department.journal.entries import FindingOpened, LogRead
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Role
from sync.department.store import tables
from sync.department.store.opening import open_store
from sync.department.units import hot_lists
from sync.department.units.hot_lists import entries_of
from sync.documents import open_carried
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import MUTED, MutedSources

Tokens = Callable[[str], str]
PLATE = "7XKR219"


def form_of(department: Department, **changes: object) -> LocalForm:
    made = LocalForm(
        plate=" 7xkr 219 ", state="CA", category="felony-vehicle", case="26-001042",
        reason="robbery on Myrtle Avenue", until_us=department.clock.us + 14 * DAY_US,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def added(department: Department, form: LocalForm, *, second: str = "chief") -> LocalChanged:
    made = department.two_hands("hotlist/add", department.logon("super"), form, second=second)
    assert isinstance(made, LocalChanged)
    return made


def test_a_local_entry_carries_case_requester_another_approver_and_its_end(department: Department) -> None:
    form = form_of(department)
    made = added(department, form)
    (entry,) = entries_of(department.home, "local")
    assert (made.entries, made.covert) == (1, 0)
    assert (entry.plate, entry.state, entry.case) == (PLATE, "US-CA", "26-001042")
    assert (entry.requester, entry.approver, entry.until_us) == ("super", "chief", form.until_us)
    said = [repr(one.note) for one in department.desk.log.entries()]
    assert not [one for one in said if PLATE in one]


def test_no_person_makes_an_entry_alone(department: Department, tokens: Tokens) -> None:
    form = form_of(department)
    with pytest.raises(DeskRefusal) as refused:
        department.call("hotlist/add", tokens("super"), form)
    assert refused.value.code == "second-person"
    with pytest.raises(DeskRefusal) as refused:
        added(department, form, second="super")
    assert refused.value.code == "second-person"
    assert entries_of(department.home, "local") == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"case": " "}, "case", id="no case"),
        pytest.param({"case": "because I say so"}, "case", id="words for a case"),
        pytest.param({"case": "N/A"}, "case", id="none for a case"),
        pytest.param({"reason": ""}, "reason", id="no reason"),
        pytest.param({"category": "immigration"}, "category", id="category that no policy names"),
        pytest.param(
            {"category": "stolen-vehicle", "reason": "car was impounded"}, "category", id="never stolen"
        ),
        pytest.param({"until_us": 1}, "until", id="ended before"),
        pytest.param({"until_us": 1 << 60}, "until", id="without an end in 30 days"),
        pytest.param({"plate": "7XKR21?"}, "plate", id="a partial plate"),
        pytest.param({"recipients": ("nobody",)}, "recipients", id="a recipient without an account"),
    ],
)
def test_what_an_entry_lacks_is_refused_before_a_second_person_is_asked(
    department: Department, tokens: Tokens, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(FormError) as refused:
        department.call("hotlist/add", tokens("super"), form_of(department, propose=True, **changes))
    assert (refused.value.code, refused.value.clause) == (code, "463.7")
    assert PLATE not in str(refused.value)


def test_a_covert_entry_needs_the_administrator_and_is_counted_for_the_public(department: Department) -> None:
    chief = department.logon("chief")
    department.add_person(chief, "super2", (next(iter(department.desk.book.roster.accounts["super"].roles)),))
    department.train(chief, "super2", "chief")
    covert = form_of(department, recipients=("disp1", "super2"))
    with pytest.raises(DeskRefusal) as refused:
        added(department, covert, second="super2")
    assert refused.value.code == "administrator"
    made = added(department, covert)
    assert made.covert == 1
    sent = [one.note for one in department.desk.log.entries() if isinstance(one.note, ListSent)]
    assert (sent[-1].list_id, sent[-1].covert) == ("local", 1)
    assert (sent[-1].entries, sent[-1].categories) == (1, ())
    shown = [
        department.call("hotlist/list", department.logon(user), NothingForm()) for user in ("disp1", "super")
    ]
    assert shown == [(), ()]


def proposed_by(department: Department, user: str, form: LocalForm) -> int:
    made = department.call("hotlist/add", department.logon(user), replace(form, propose=True))
    assert isinstance(made, LocalChanged)
    return made.proposal


def test_the_second_person_can_see_whom_the_entry_is_about_and_the_look_is_entered(
    department: Department,
) -> None:
    number = proposed_by(department, "super", form_of(department))
    chief = department.logon("chief")
    rows = department.call("change/list", chief, NothingForm())
    assert isinstance(rows, tuple)
    assert PLATE not in repr(rows) + "".join(one.summary for one in rows)
    shown = department.call("change/show", chief, ShowForm(proposal=number))
    assert isinstance(shown, ShownProposal)
    fields = dict(shown.fields)
    assert (shown.user, fields["plate"], fields["case"]) == ("super", " 7xkr 219 ", "26-001042")
    assert "robbery" in fields["reason"]
    last = list(department.desk.log.entries())[-1]
    assert (last.stamp.user, last.note) == (
        "chief",
        LogRead(elements=f"form of proposal {number}", count=len(fields)),
    )
    with pytest.raises(FormError):
        department.call("change/show", chief, ShowForm(proposal=number + 500))


def test_a_covert_proposal_opens_for_administrators_and_recipients_alone(department: Department) -> None:
    chief = department.logon("chief")
    roles = (next(iter(department.desk.book.roster.accounts["super"].roles)),)
    for user in ("super2", "super3"):
        department.add_person(chief, user, roles)
        department.train(chief, user, "chief")
    number = proposed_by(department, "super", form_of(department, recipients=("super3",)))
    department.restart()  # then it knows the entry from its snapshot
    other = department.logon("super2")
    assert department.call("change/list", other, NothingForm()) == ()
    for form in (ShowForm(proposal=number), ShowForm(proposal=number + 500)):
        with pytest.raises(FormError) as refused:
            department.call("change/show", other, form)
        assert (refused.value.code, str(refused.value)) == ("no-proposal", "463.4: there is no such proposal")
    theirs = proposed_by(department, "chief", form_of(department, recipients=("super3",)))
    assert len(department.call("change/list", other, NothingForm())) == 1  # type: ignore[arg-type]
    with pytest.raises(DeskRefusal) as closed:  # a possible second person may know that it waits
        department.call("change/show", other, ShowForm(proposal=theirs))
    assert (closed.value.code, PLATE in str(closed.value)) == ("administrator", False)
    for user in ("chief", "super3"):
        shown = department.call("change/show", department.logon(user), ShowForm(proposal=number))
        assert isinstance(shown, ShownProposal)
        assert dict(shown.fields)["recipients"] == "super3"


def test_a_covert_entry_names_a_recipient_who_may_verify_its_alerts(department: Department) -> None:
    """Otherwise its alerts wait forever: no one else sees them, and its signers may not verify them."""
    chief = department.logon("chief")
    department.add_person(chief, "left1", (Role.OFFICER,))
    department.call(
        "user/set", chief, AccountForm(user="left1", name="L", organisation="PD", roles=(Role.OFFICER,),
                                       reason="left", active=False),
    )  # fmt: skip
    refused = [("super",), ("chief", "analyst1"), ("left1",), ("left1", "disp1")]
    for recipients in refused:
        form = form_of(department, recipients=recipients, propose=True)
        with pytest.raises(FormError) as error:
            department.call("hotlist/add", department.logon("super"), form)
        assert error.value.code == "recipients"
        assert (error.value.what == "no account here: left1") is ("left1" in recipients)
    with pytest.raises(FormError) as error:  # the only one is the person who approved it
        department.two_hands(
            "hotlist/add",
            department.logon("chief"),
            form_of(department, recipients=("super",)),
            second="super",
        )
    assert error.value.code == "recipients"
    assert entries_of(department.home, "local") == []


def test_a_person_who_ends_the_entry_of_others_is_a_finding_without_its_case(department: Department) -> None:
    """Otherwise a friend's car could leave the list unnoticed. Its makers may end it, and so may time."""
    start_us = department.clock.us
    for case, days in (("26-001", 9), ("26-002", 9), ("26-003", 9), ("26-004", 1)):
        added(department, form_of(department, case=case, until_us=start_us + days * DAY_US))
    added(department, form_of(department, case="26-003", plate="9DEF456", recipients=("comm1",)))
    for case, user in (("26-001", "super"), ("26-002", "chief"), ("26-003", "deputy")):
        end = WithdrawForm(case=case, reason="no longer wanted")
        department.call("hotlist/withdraw", department.logon(user), end)
    department.clock.step(2 * DAY_US)
    end = WithdrawForm(case="26-004", reason="no longer wanted")
    department.call("hotlist/withdraw", department.logon("deputy"), end)
    (number,) = look_daily(department.front)
    note = department.desk.log.entry(number).note
    assert isinstance(note, FindingOpened)
    assert (note.detector, note.about, note.detail) == (
        "ended_entry", "deputy", "ended 1 entry of the own hot list that super requested",
    )  # fmt: skip
    assert look_daily(department.front) == []
    book, entries = department.desk.book, list(department.desk.log.entries(kinds=READ_KINDS))
    growing, whole = EndedByOthers(), EndedByOthers()
    for one in entries:  # `verify` asks along the way
        growing.add(one)
        whole.add(one)
        found = growing.flags(book)
    assert found == growing.flags(book) == whole.flags(book)
    assert [one.detail for one in found] == [note.detail]
    also = tuple(replace(one, also=(Role.ADMINISTRATOR,)) for one in book.policy.roles)
    knowing = replace(book, rules=replace(book.policy, roles=also))  # a policy by which the deputy knows more
    assert [one.detail.partition(" of ")[0] for one in growing.flags(knowing)] == ["ended 2 entries"]


def test_who_ends_the_rest_of_a_case_is_a_finding_after_one_plate_or_a_sooner_end_was_taken_back(
    department: Department,
) -> None:
    wrong, right = form_of(department), form_of(department, plate="8XYZ123")
    for form in (wrong, right, replace(right, until_us=right.until_us + DAY_US)):
        added(department, form)
    for user, plate in (("super", PLATE), ("deputy", "8XYZ123")):
        end = WithdrawForm(case=wrong.case, reason="no longer wanted", plate=plate)
        department.call("hotlist/withdraw", department.logon(user), end)
    (number,) = look_daily(department.front)
    note = department.desk.log.entry(number).note
    assert isinstance(note, FindingOpened)
    assert (note.about, note.detail.partition(" of")[0]) == ("deputy", "ended 1 entry")


def test_a_forged_entry_that_ends_at_no_time_hides_no_end_of_another(department: Department) -> None:
    """Root writes it once and the log is append-only, so every daily look reads it."""
    form = form_of(department)
    added(department, form)
    root = Root(department)
    (made,) = department.desk.log.entries(kinds=(DocumentSigned.KIND,))
    forged = replace(form, until_us=cast(Any, "soon"), plate="8XYZ123")
    root.write(made.note, *root.signed("deputy", "hotlist/add", forged))
    end = WithdrawForm(case=form.case, reason="no longer wanted")
    department.call("hotlist/withdraw", department.logon("deputy"), end)
    found = [department.desk.log.entry(number).note for number in look_daily(department.front)]
    assert [(one.detector, one.about) for one in found if isinstance(one, FindingOpened)] == [
        ("ended_entry", "deputy")
    ]


def test_an_administrator_of_two_roles_who_ends_a_covert_entry_of_others_is_a_finding(
    department: Department,
) -> None:
    """The designee became administrator, knows of the entry in one role and signs its end in the other."""
    added(department, form_of(department, case="26-001", recipients=("comm1",)))
    over = HandoverForm(user="deputy", reason="new commander", keep_roles=(Role.OFFICER,))
    department.two_hands("user/hand-over", department.logon("chief"), over)
    end = WithdrawForm(case="26-001", reason="no longer wanted")
    department.call("hotlist/withdraw", department.logon("deputy"), end)
    assert entries_of(department.home, "local") == []
    found = [department.desk.log.entry(number).note for number in look_daily(department.front)]
    flags = {(one.detector, one.about) for one in found if isinstance(one, FindingOpened)}
    assert ("ended_entry", "deputy") in flags


def test_an_entry_that_ended_goes_and_a_withdrawn_one_at_once(department: Department) -> None:
    added(department, form_of(department, until_us=department.clock.us + DAY_US))
    department.clock.step(2 * DAY_US)
    made = added(department, form_of(department, plate="8ABC123", case="26-002"))
    assert [one.plate for one in entries_of(department.home, "local")] == ["8ABC123"]
    assert made.entries == 1
    gone = department.call(
        "hotlist/withdraw", department.logon("super"), WithdrawForm(case="26-002", reason="found")
    )
    assert isinstance(gone, LocalChanged)
    assert (gone.entries, entries_of(department.home, "local")) == (0, [])
    with pytest.raises(FormError) as refused:
        department.call("hotlist/withdraw", department.logon("super"), WithdrawForm(case="x", reason="no"))
    assert refused.value.code == "no-entry"


def test_a_plate_that_was_typed_wrong_is_withdrawn_without_the_others_of_its_case(
    department: Department,
) -> None:
    added(department, form_of(department))
    added(department, form_of(department, plate="8XYZ123"))
    token = department.logon("super")
    wrong = WithdrawForm(case="26-001042", reason="typed wrong", plate=" 7xkr 219")
    department.call("hotlist/withdraw", token, wrong)
    assert [one.plate for one in entries_of(department.home, "local")] == ["8XYZ123"]
    with pytest.raises(FormError, match="no entry of that case and plate"):
        department.call("hotlist/withdraw", token, wrong)
    with pytest.raises(FormError, match="is 1 to 16 letters and digits") as refused:  # nor all
        department.call("hotlist/withdraw", token, replace(wrong, plate=" . "))
    assert refused.value.cure == "leave it empty to end all entries of the case"


def test_a_vehicle_of_a_case_is_on_the_list_once_and_a_later_end_takes_the_place_of_a_sooner(
    department: Department,
) -> None:
    """Two entries for a vehicle would mean two alerts, each for two people to verify."""
    form = form_of(department)
    added(department, form)
    for again in (form, replace(form, plate="7XKR21 9", reason="the same, by the next shift")):
        with pytest.raises(FormError, match="is on the list until 2026-") as refused:
            department.call("hotlist/add", department.logon("deputy"), replace(again, propose=True))
        assert refused.value.code == "on-list"
    later = replace(form, until_us=form.until_us + DAY_US)
    assert added(department, later).entries == 1
    (entry,) = entries_of(department.home, "local")
    assert entry.until_us == later.until_us
    assert added(department, replace(form, case="26-001043")).entries == 2


def test_no_file_replaces_the_local_list(department: Department, tokens: Tokens) -> None:
    form = ListForm(
        list_id="local", layout="genetec", body=b"Stolen;CA;7XKR219;;\n", issuer="DOJ", source="SVS daily",
        reason="daily extract", propose=True,
    )  # fmt: skip
    with pytest.raises(FormError) as refused:
        department.call("hotlist/push", tokens("super"), form)
    assert refused.value.code == "local"


def test_a_difference_is_counted_and_nothing_is_sent(department: Department, tokens: Tokens) -> None:
    first = ListForm(
        list_id="doj", layout="genetec", body=b"Stolen;CA;7XKR219;;\nStolen;CA;8ABC123;;\n", issuer="DOJ",
        source="SVS", reason="daily extract",
    )  # fmt: skip
    department.two_hands("hotlist/push", department.logon("super"), first, second="chief")
    body = b"Stolen;CA;8ABC123;;\nStolen;CA;9ZZZ999;;\nStolen;CA;9ZZZ998;;\nimmigration;CA;1AAA111;;\n"
    form = DiffForm(list_id="doj", layout="genetec", body=body)
    found = department.call("hotlist/diff", tokens("super"), form)
    assert isinstance(found, ListDiff)
    assert (found.version, found.removed, found.added, found.entries) == (1, 1, 2, 3)
    assert "immigration: 1" in found.said
    assert len(entries_of(department.home, "doj")) == 2


def silent_sources(department: Department) -> tuple[tuple[str, int, int, bool], ...]:
    rows = department.call("hotlist/sources", department.logon("super"), NothingForm())
    assert isinstance(rows, tuple)
    return tuple((row.source, row.checked, row.rejected, row.silent) for row in rows)


@pytest.mark.thorough
def test_a_source_that_was_wrong_too_often_is_named_and_muted_on_units(
    department: Department, tokens: Tokens, car: Car
) -> None:
    """Two people mute it, for one might mute the list with a friend's car. Misreads are not its fault."""
    for number in range(12):
        token = tokens("disp1" if number < 11 else "comm1")
        alert = car.raises(f"7ABC{number:03}")
        department.call("alert/list", token, NothingForm())
        department.call("alert/show", token, AlertForm(alert=alert))
        plate = "1AAA111" if number < 4 else f"7ABC{number:03}"
        department.call("alert/transcribe", token, TranscribeForm(alert=alert, plate=plate, state="US-CA"))
        fit = Fit.YES if number < 8 else Fit.NO
        department.call("alert/answer", token, AnswerForm(alert=alert, fit=fit))
        if number == 10:
            assert silent_sources(department) == (("SVS", 11, 3, False),)
    assert silent_sources(department) == (("SVS", 12, 4, True),)
    store = open_store(department.home.database_url)
    with store.read() as connection:
        sent = connection.execute(tables.documents.select().where(tables.documents.c.name == MUTED)).one()
    store.close()
    key = load_ed25519(department.home.path / "command.key").public_key()
    carried = open_carried(bytes(sent.message), MUTED, key, "car-8")
    assert codec.from_bytes(MutedSources, carried.body).sources == ("SVS",)


def test_a_withdrawal_reads_the_list_no_more_often_for_more_entries(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It once read the list for each entry, and delayed all other calls."""
    form = forms(department)["hotlist/add"]
    department.two_hands("hotlist/add", department.logon("super"), form, second="chief")
    (one,) = department.front.list_entries("local")
    many = [replace(one, plate=f"7ABC{at:03}", case=f"26-{at:06}") for at in range(40)]
    with local._turn(department.front):
        local._keep(department.front, many)
        local._out(department.front, department.clock.us, many)
    reads: list[str] = []

    def counted(home: DepartmentHome, list_id: str) -> list[ListEntry]:
        reads.append(list_id)
        return entries_of(home, list_id)

    monkeypatch.setattr(hot_lists, "entries_of", counted)
    end = WithdrawForm(case="26-000007", reason="found")
    department.call("hotlist/withdraw", department.logon("super"), end)
    assert 0 < len(reads) < 10
    assert len(department.front.list_entries("local")) == 39
