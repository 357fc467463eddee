"""Alerts at the desk (463.7): confirmation needs a look, a blind transcription and a vehicle that fits."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import itemgetter

import pytest
from desk_cars import PLATE, Car
from desk_root import covered_by
from desk_twins import PEOPLE, START_US, Department

from storage.alert_life import AlertAnswer, AlertEvent, AlertStep, Fit, Outcome
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.desk.alerts.calls import (
    AlertForm,
    AlertLine,
    AnswerForm,
    CletsForm,
    CloseForm,
    Compared,
    Figures,
    TranscribeForm,
)
from sync.department.desk.alerts.planting import LOOK_ALIKES, Planting, altered
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.due import OverdueForm, overdue_now
from sync.department.desk.inquiry.forms import Images, NothingForm
from sync.department.desk.owed import Late, Overdue
from sync.department.journal import check_log
from sync.department.journal.alert_entries import RAISED, AlertStepTaken, alert_words
from sync.department.journal.entries import Entry
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.machine_entries import DocumentSent
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.unit_reports import Reported
from sync.hot_lists.entry import cleared_name
from sync.hot_lists.held import CLEARED, MUTED

Tokens = Callable[[str], str]


def lines(department: Department, token: str) -> list[AlertLine]:
    found = department.call("alert/list", token, NothingForm())
    assert isinstance(found, tuple)
    return list(found)


def name_of(department: Department, line: AlertLine) -> str:
    """The name (LOG/number) of the unit's record behind a line."""
    row = department.desk.book.alerts.find(line.alert)
    assert row is not None
    return row.known.alert


def overdue(department: Department) -> list[Overdue]:
    found = department.call("compliance/overdue", department.logon("super"), OverdueForm())
    assert isinstance(found, tuple)
    return list(found)


def given(plan: Plan[Entry], _caller: Caller) -> Plan[Entry]:
    return plan


def look(department: Department, token: str, alert: str) -> Images:
    found = department.call("alert/show", token, AlertForm(alert=alert))
    assert isinstance(found, Images)
    return found


def typed(department: Department, token: str, alert: str, plate: str, state: str = "US-CA") -> Compared:
    found = department.call("alert/transcribe", token, TranscribeForm(alert=alert, plate=plate, state=state))
    assert isinstance(found, Compared)
    return found


def answered(department: Department, token: str, alert: str, fit: Fit = Fit.YES) -> str:
    found = department.call("alert/answer", token, AnswerForm(alert=alert, fit=fit))
    assert isinstance(found, Compared)
    return found.line.answer


def refused(department: Department, name: str, token: str, form: object) -> DeskRefusal:
    with pytest.raises(DeskRefusal) as error:
        department.call(name, token, form)
    return error.value


def test_an_alert_is_looked_at_typed_compared_and_ended(
    department: Department, tokens: Tokens, car: Car
) -> None:
    token, alert = tokens("disp1"), car.raises()
    (line,) = lines(department, token)
    assert (name_of(department, line), line.unit, line.says, line.sounded, line.next) == (
        alert,
        "car-8",
        "Stolen vehicle",
        True,
        "look at the image",
    )
    assert look(department, token, alert).patch.startswith(b"\xff\xd8\xff")
    compared = typed(department, token, alert, "7xkr 219")
    assert all(agrees for _, _, agrees in compared.slots)
    assert (compared.make, compared.score, compared.threshold) == ("KIA", 0.97, 0.7)
    assert answered(department, token, alert) == "confirmed"
    department.call("alert/clets", token, CletsForm(alert=alert, practicable=True, text="CLETS 4711"))
    department.call("alert/close", token, CloseForm(alert=alert, outcome=Outcome.STOP, text="Myrtle Ave"))
    assert lines(department, token) == []


def test_no_alert_is_acted_on_before_its_image_was_looked_at(
    department: Department, tokens: Tokens, car: Car
) -> None:
    token, alert = tokens("disp1"), car.raises()
    lines(department, token)
    form = TranscribeForm(alert=alert, plate=PLATE, state="US-CA")
    assert "look at the image" in refused(department, "alert/transcribe", token, form).what
    assert refused(department, "alert/transcribe", token, replace(form, state="ON")).cure == "write CA-ON"
    assert refused(department, "alert/answer", token, AnswerForm(alert=alert, fit=Fit.YES)).clause == "463.7"
    stop = CloseForm(alert=alert, outcome=Outcome.STOP, text="")
    assert "without action" in refused(department, "alert/close", token, stop).what
    unseen = replace(stop, outcome=Outcome.UNFOUNDED)
    assert "no one has looked" in refused(department, "alert/close", token, unseen).what
    look(department, token, alert)
    assert "no one has looked" in refused(department, "alert/close", token, unseen).what
    assert (
        refused(department, "alert/answer", token, AnswerForm(alert=alert, fit=Fit.YES)).code == "transcribe"
    )
    other = tokens("comm1")  # a colleague's look does not count
    assert "look at the image" in refused(department, "alert/transcribe", other, form).what


def test_clets_is_asked_for_after_a_confirmation_and_again_in_time(
    department: Department, tokens: Tokens, car: Car
) -> None:
    token, alert = tokens("disp1"), car.raises()
    lines(department, token)
    early = CletsForm(alert=alert, practicable=True, text="CLETS 4711")
    assert "confirmed alert" in refused(department, "alert/clets", token, early).what
    look(department, token, alert)
    typed(department, token, alert, PLATE)
    answered(department, token, alert)
    assert [one.next for one in lines(department, token)] == ["CLETS reference"]
    assert Late.CLETS not in {one.kind for one in overdue_now(department.front, department.clock.us)}
    department.clock.step(10 * MINUTE_US)
    assert [one.next for one in lines(department, token)] == ["CLETS reference overdue"]
    assert Late.CLETS in {one.kind for one in overdue_now(department.front, department.clock.us)}
    no = CletsForm(alert=alert, practicable=False, text="no")
    assert "at least 8 letters or digits" in refused(department, "alert/clets", token, no).what
    stop = CloseForm(alert=alert, outcome=Outcome.STOP, text="")
    assert "what CLETS has" in refused(department, "alert/close", token, stop).what
    department.call("alert/clets", token, replace(no, text="radio out of reach"))
    assert [one.next for one in lines(department, token)] == ["outcome"]


def test_what_differs_is_rejected_and_clears_what_was_typed(
    department: Department, tokens: Tokens, car: Car
) -> None:
    token, alert = tokens("disp1"), car.raises()
    lines(department, token)
    look(department, token, alert)
    compared = typed(department, token, alert, "7XKR279")
    assert [agrees for _, _, agrees in compared.slots] == [True] * 5 + [False, True]
    assert answered(department, token, alert) == "wrong-character"
    entry = department.desk.book.alerts.rows[alert].known.entry
    assert department.desk.book.alerts.cleared() == {cleared_name(entry, "7XKR279")}
    log, covered = department.desk.log, covered_by(department)
    sent = [one.note for one in log.entries(kinds=(DocumentSent.KIND,))]
    assert {CLEARED, MUTED} <= {one.name for one in sent if isinstance(one, DocumentSent) and one.signing}
    assert check_log.check(log.folder, log.public, keys=log.keys, taken=covered).problems == ()
    assert covered.compare(Reported())[0] == []  # the log shows what units were sent
    stop = CloseForm(alert=alert, outcome=Outcome.ARREST, text="")
    assert "without action" in refused(department, "alert/close", token, stop).what
    department.call("alert/close", token, replace(stop, outcome=Outcome.UNFOUNDED))


def test_an_entrys_own_plate_is_cleared_by_two_people_alone(
    department: Department, tokens: Tokens, car: Car
) -> None:
    """Not by the same person twice, and not with a wrong letter."""
    cleared = []
    for user, plate, state in (
        ("disp1", PLATE, "US-TX"),
        ("disp1", "7XKR2I9", "US-TX"),
        ("comm1", "7XKR21S", "US-CA"),
        ("comm1", PLATE, "US-TX"),
    ):
        alert = car.raises()
        lines(department, tokens(user))
        look(department, tokens(user), alert)
        typed(department, tokens(user), alert, plate, state)
        assert answered(department, tokens(user), alert) in {"wrong-state", "wrong-character"}
        entry = department.desk.book.alerts.rows[alert].known.entry
        cleared.append(cleared_name(entry, PLATE) in department.desk.book.alerts.cleared())
    assert cleared == [False, False, False, True]


def test_the_requester_of_an_entry_does_not_verify_its_alert(
    department: Department, tokens: Tokens, car: Car
) -> None:
    token, alert = tokens("officer1"), car.raises(requester="officer1")
    lines(department, token)
    look(department, token, alert)
    form = TranscribeForm(alert=alert, plate=PLATE, state="US-CA")
    assert "you requested" in refused(department, "alert/transcribe", token, form).what


def test_before_the_transcription_the_desk_says_nothing_of_the_entry(
    department: Department, tokens: Tokens, car: Car
) -> None:
    token, alert = tokens("disp1"), car.raises()
    shown = str(lines(department, token)) + repr(look(department, token, alert))
    for secret in (PLATE, "KIA", "VICTIM", "26-1042"):
        assert secret not in shown


def test_opening_and_looking_are_accesses_in_the_log(
    department: Department, tokens: Tokens, car: Car
) -> None:
    token, alert = tokens("disp1"), car.raises()
    lines(department, token)
    access = look(department, token, alert).access
    note = department.desk.log.entry(access).note
    assert isinstance(note, Access)
    assert (note.action, note.reads) == ("alert-image", (department.desk.book.alerts.rows[alert].known.read,))
    actions = [
        entry.note.action
        for entry in map(department.desk.log.entry, range(department.desk.log.size()))
        if isinstance(entry.note, Access)
    ]
    assert actions[-2:] == ["alert", "alert-image"]


def test_an_entry_of_an_alert_opens_no_image_and_one_of_an_image_no_text(
    department: Department, tokens: Tokens, car: Car
) -> None:
    from sync.department.desk.alerts.opening import access_of
    from sync.department.desk.signing import signing
    from sync.department.policy.roles import Call

    alert = car.raises()
    lines(department, tokens("disp1"))
    read = department.desk.book.alerts.rows[alert].known.read
    calls: tuple[tuple[str, object], ...] = (("list", NothingForm()), ("show", AlertForm(alert=alert)))
    for action, elements, (name, form) in zip(
        ("alert", "alert-image"), (("patch",), ("text",)), calls, strict=True
    ):
        said = (
            RAISED if name == "list" else alert_words(action, department.desk.book.alerts.rows[alert].number)
        )
        note = access_of(action, said, (read,))
        plan: Plan[Entry] = ([note], itemgetter(0))
        with signing(department.desk, tokens("disp1"), f"alert/{name}", form):
            made = department.desk.act(tokens("disp1"), Call.ALERT_VERIFY, partial(given, plan))
        cover = department.desk.covered(made.sequence)
        with pytest.raises(DeskRefusal) as error:
            department.front.reads.open(department.front.door, cover, [read], elements)
        assert error.value.code == "other-action"


def test_every_role_meets_the_alerts_as_the_policy_says(
    department: Department, tokens: Tokens, car: Car
) -> None:
    alert = car.raises()
    lines(department, tokens("disp1"))
    may = {"super", "comm1", "disp1", "officer1"}
    for user in PEOPLE:
        if user in may:
            assert look(department, tokens(user), alert).overview
        else:
            assert refused(department, "alert/show", tokens(user), AlertForm(alert=alert)).code == "role"


def test_a_covert_entry_is_seen_by_its_recipients_alone(
    department: Department, tokens: Tokens, car: Car
) -> None:
    alert = car.raises(recipients=("super",))
    assert lines(department, tokens("disp1")) == []
    assert refused(department, "alert/show", tokens("disp1"), AlertForm(alert=alert)).code == "no-alert"
    assert [name_of(department, one) for one in lines(department, tokens("super"))] == [alert]


def test_steps_in_the_car_are_the_same_alerts_steps(department: Department, tokens: Tokens, car: Car) -> None:
    alert = car.raises()
    at_us = department.clock.us
    car.steps(
        alert,
        AlertStep(step=AlertEvent.VIEWED, user="officer1", role="sworn-officer", at_us=at_us),
        AlertStep(
            step=AlertEvent.TRANSCRIBED, user="officer1", role="", at_us=at_us, plate="7XKR279", state="US-CA"
        ),
        AlertStep(
            step=AlertEvent.ANSWERED,
            user="officer1",
            role="",
            at_us=at_us,
            fit=Fit.YES,
            answer=AlertAnswer.WRONG_CHARACTER,
        ),
    )
    (line,) = lines(department, tokens("disp1"))
    assert (line.answer, line.next) == ("wrong-character", "close")
    taken = [
        entry.note.unit
        for entry in map(department.desk.log.entry, range(department.desk.log.size()))
        if isinstance(entry.note, AlertStepTaken)
    ]
    assert taken == ["car-8"] * 3


def test_an_alert_without_an_outcome_is_overdue_after_a_day(
    department: Department, tokens: Tokens, car: Car
) -> None:
    car.raises()
    assert not lines(department, tokens("disp1"))[0].overdue
    department.clock.step(24 * HOUR_US)
    assert lines(department, department.logon("disp1"))[0].overdue
    assert "1 alert has no outcome after 24 hours" in [one.what for one in overdue(department)]


@pytest.mark.thorough
def test_a_source_with_too_many_rejected_hits_is_named(
    department: Department, tokens: Tokens, car: Car
) -> None:
    for number in range(10):
        token = tokens("disp1" if number < 9 else "comm1")
        alert = car.raises(f"7ABC{number:03}")
        lines(department, token)
        look(department, token, alert)
        typed(department, token, alert, f"7ABC{number:03}")
        answered(department, token, alert, Fit.YES if number < 7 else Fit.NO)
    figures = department.call("alert/figures", tokens("super"), NothingForm())
    assert isinstance(figures, Figures)
    assert figures.sources == (("SVS", 10, 3, True),)
    said = [one.what for one in overdue(department)]
    assert "list source SVS is silent: 3 of 10 hits were rejected" in said


def test_the_alert_survives_a_restart_of_the_server(department: Department, tokens: Tokens, car: Car) -> None:
    token, alert = tokens("disp1"), car.raises()
    lines(department, token)
    department.front.alert_facts.clear()  # as in a new process
    look(department, token, alert)
    assert typed(department, token, alert, PLATE).make == "KIA"


def test_look_alikes_differ_from_what_they_look_like() -> None:
    fold = str.maketrans("OI", "01")
    for one, other in LOOK_ALIKES.items():
        assert one.translate(fold) != other.translate(fold)
    for number in range(20):
        assert sum(a != b for a, b in zip(altered("7XKR219", number), "7XKR219", strict=True)) == 1


def test_planted_alerts_come_at_the_rate_of_the_policy_and_within_the_hour() -> None:
    planting = Planting(random.Random(463))
    for _ in range(100_000):
        planting.consider(20, 1000)
    assert not planting.is_due(999)
    due = planting.take(1000 + HOUR_US)
    assert 1800 < len(due) < 2200
    assert planting.take(10**18) == []
    planting.consider(0, 1000)
    assert planting.take(10**18) == []


def test_a_person_who_read_the_entry_first_does_not_confirm_it(
    department: Department, tokens: Tokens, car: Car
) -> None:
    token, alert = tokens("disp1"), car.raises()
    lines(department, token)
    look(department, token, alert)
    shown = typed(department, token, alert, "1AAA111")
    assert "".join(wanted for _, wanted, _ in shown.slots) == PLATE
    form = TranscribeForm(alert=alert, plate=PLATE, state="US-CA")
    assert "was shown to you" in refused(department, "alert/transcribe", token, form).what
    assert answered(department, token, alert) == "wrong-character"


@pytest.mark.parametrize("off_us", [-400 * DAY_US, 0, 400 * DAY_US, 2**53])
def test_an_alert_from_before_the_enrollment_is_marked_and_silent_whatever_the_clocks_say(
    department: Department, tokens: Tokens, car: Car, off_us: int
) -> None:
    """Two people of this department never approved its list. Every other alert sounds."""
    early = car.raises("7ABC123", at_us=department.clock.us + off_us)
    car.unit.join(received_us=department.clock.us)
    late = car.raises("8ABC123", at_us=max(1, department.clock.us - off_us), silent=("state",))
    sounding = car.raises("9ABC123", at_us=department.clock.us + off_us)
    found = {name_of(department, one): one for one in lines(department, tokens("disp1"))}
    assert (found[early].sounded, found[early].silent) == (False, ("before enrollment",))
    assert found[late].silent == ("state",)
    assert (found[sounding].sounded, found[sounding].silent) == (True, ())


def test_an_alert_of_a_unit_that_is_years_behind_sounds(
    department: Department, tokens: Tokens, car: Car
) -> None:
    car.unit.join(received_us=department.clock.us)
    alert = car.raises(at_us=1)
    (found,) = lines(department, tokens("disp1"))
    assert (name_of(department, found), found.sounded, found.overdue) == (alert, True, False)


@pytest.mark.parametrize("off_us", [1 - START_US, -400 * DAY_US, 400 * DAY_US, 2**53])
def test_an_alert_of_a_wrong_clock_is_worked_to_its_end_and_is_due_by_the_desks_own_clock(
    department: Department, tokens: Tokens, car: Car, off_us: int
) -> None:
    """The officer in the car begins and the desk continues: the steps are not ordered by either's clock."""
    came_us, said_us = department.clock.us, department.clock.us + off_us
    alert, token = car.raises(at_us=said_us), tokens("disp1")
    seen = AlertStep(step=AlertEvent.VIEWED, user="o.diaz", role="officer", at_us=said_us + 1)
    car.steps(alert, seen)
    (line,) = lines(department, token)
    assert (line.raised_us, line.overdue) == (said_us, False)
    assert came_us <= line.since_us <= department.clock.us
    look(department, token, alert)
    typed(department, token, alert, PLATE)
    assert answered(department, token, alert) == "confirmed"
    terms = department.desk.policy.alerts
    department.clock.step(terms.clets_minutes * MINUTE_US)
    (line,) = lines(department, token)
    assert line.next == "CLETS reference overdue"
    department.clock.us = max(department.clock.us, came_us + terms.outcome_hours * HOUR_US + MINUTE_US)
    assert [one.overdue for one in lines(department, department.logon("disp1"))] == [True]
    form = CloseForm(alert=alert, outcome=Outcome.NO_STOP, text="not met again")
    department.call("alert/close", department.logon("disp1"), form)
    assert lines(department, department.logon("disp1")) == []


def test_the_vehicle_at_another_unit_is_a_sighting_of_the_same_alert(
    department: Department, tokens: Tokens, car: Car
) -> None:
    other = Car(department, "car-9")
    first, second, else_ = car.raises(), other.raises(), other.raises("8ABC123")
    found = {name_of(department, one): one for one in lines(department, tokens("disp1"))}
    number = found[first].alert
    assert [found[one].sighting_of for one in (first, second, else_)] == ["", number, ""]
    close = CloseForm(alert=number, outcome=Outcome.HANDED_OVER, text="to county dispatch")
    department.call("alert/close", tokens("disp1"), close)
    assert [one.sighting_of for one in lines(department, tokens("disp1"))] == ["", ""]
    other.unit.close()
