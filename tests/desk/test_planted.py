"""Planted mismatches (463.7) look like real alerts in everything that a verifier sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from desk_cars import PLATE, Car
from desk_forms import forms
from desk_twins import Department
from desk_verifiers import Verifier, confirmed_and_closed, name_of, planted_now

from storage.alert_life import Fit, Outcome
from storage.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from sync.department.desk import snapshot
from sync.department.desk.alerts.calls import AlertForm, Figures
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.policy.refusals import DeskRefusal

pytestmark = pytest.mark.slow

Tokens = Callable[[str], str]
ENTRIES: tuple[dict[str, Any], ...] = (
    {"make": "KIA", "color": "RED", "case": "26-1001", "reason": "taken from a garage"},
    {"make": "", "case": "", "reason": "", "state": ""},
    {"make": "GMC", "model": "SIERRA", "year": 2019, "case": "26-1003", "requester": "analyst1"},
    {"make": "LEXS", "plate_class": "car", "agency": "El Monte PD", "case": "26-1004"},
)


@pytest.fixture
def people(department: Department, tokens: Tokens) -> Callable[[str], Verifier]:
    return lambda user: Verifier(department, tokens(user))


People = Callable[[str], Verifier]


def plant(department: Department, person: Verifier) -> str:
    """Let one come due while this person lists the alerts. Returns its number."""
    before = set(planted_now(department))
    department.front.planting.owe(department.clock.us)
    person.listed()
    (number,) = set(planted_now(department)) - before
    return number


def test_a_planted_mismatch_has_everything_that_the_entry_of_its_picture_says(
    department: Department, people: People, car: Car
) -> None:
    one, other = people("disp1"), people("comm1")
    true = confirmed_and_closed(one, car, PLATE, **ENTRIES[2])
    number = plant(department, other)
    look = other.look(number)
    assert look.patch.startswith(b"\xff\xd8\xff")
    assert look.read == ""
    shown = other.types(number, PLATE, "CA")
    assert [agrees for _, _, agrees in shown.slots].count(False) == 1
    for name in ("state", "make", "model", "color", "year", "plate_class", "reason", "case", "agency"):
        assert getattr(shown, name) == getattr(true, name), name
    for name in ("list_id", "source", "score", "threshold", "disagrees"):
        assert getattr(shown, name) == getattr(true, name), name


def test_a_planted_mismatch_says_the_same_after_a_restart_of_the_server(
    department: Department, people: People, car: Car
) -> None:
    confirmed_and_closed(people("disp1"), car, PLATE)
    other = people("comm1")
    number = plant(department, other)
    department.front.alert_facts.clear()  # as in a new process
    other.look(number)
    shown = other.types(number, PLATE, "CA")
    assert (shown.make, shown.case, shown.score) == ("KIA", "26-1042", 0.97)


def test_a_person_who_saw_the_picture_or_its_entry_never_sees_the_planted_one(
    department: Department, people: People, car: Car
) -> None:
    one, other, third = people("disp1"), people("comm1"), people("officer1")
    confirmed_and_closed(one, car, PLATE)
    confirmed_and_closed(third, car, PLATE)  # another picture of the same entry
    number = plant(department, other)
    for person in (one, third):
        assert number not in {line.alert for line in person.listed()}
        with pytest.raises(DeskRefusal) as refused:
            person.look(number)
        assert refused.value.code == "no-alert"
    other.verifies(number, PLATE)
    other.closes(number)
    department.front.planting.owe(department.clock.us)
    assert [line.alert for line in other.listed()] == []  # and never again
    fresh = people("super")
    again = plant(department, fresh)
    assert again in {line.alert for line in fresh.listed()}
    assert again not in {line.alert for line in other.listed()}


def test_a_planted_mismatch_outlives_the_entry_of_its_picture(
    department: Department, people: People, car: Car
) -> None:
    """The vehicle was found, so the next extract no longer contains it."""
    confirmed_and_closed(people("disp1"), car, PLATE)
    other = people("comm1")
    extract = replace(forms(department)["hotlist/push"], list_id="doj", body=b"Stolen;CA;8XYZ123;;\n")
    department.two_hands("hotlist/push", department.logon("super"), extract, second="chief")
    number = plant(department, other)
    (line,) = other.listed()
    assert (line.alert, line.recalled) == (number, False)
    other.verifies(number, PLATE)
    other.closes(number)
    assert planted_now(department) == []


UNFIT = {"open": 0, "of the night": 12 * HOUR_US, "of another season": 61 * DAY_US}


@pytest.mark.parametrize(("what", "later_us"), UNFIT.items(), ids=UNFIT)
def test_no_picture_that_would_reveal_it_is_planted(
    department: Department, people: People, car: Car, what: str, later_us: int
) -> None:
    if what == "open":
        name = car.raises()
        one = people("disp1")
        (line,) = one.listed()
        assert name_of(department, line.alert) == name
        one.verifies(line.alert, PLATE)
    else:
        confirmed_and_closed(people("disp1"), car, PLATE)
    department.clock.step(later_us)
    other = Verifier(department, department.logon("comm1"))
    department.front.planting.owe(department.clock.us)
    other.listed()
    assert planted_now(department) == []


def test_nothing_is_planted_when_no_verifier_is_left(
    department: Department, people: People, car: Car
) -> None:
    name = car.raises()
    for user in ("super", "comm1", "disp1", "officer1"):
        person = people(user)
        (line,) = [one for one in person.listed() if name_of(department, one.alert) == name]
        person.look(line.alert)
    person.types(line.alert, PLATE, "CA")
    assert person.answers_fit(line.alert).line.answer == "confirmed"
    person.closes(line.alert)
    department.front.planting.owe(department.clock.us)
    assert person.listed() == []
    assert planted_now(department) == []


def test_the_requester_of_the_entry_is_refused_as_at_a_real_alert(
    department: Department, people: People, car: Car
) -> None:
    confirmed_and_closed(people("disp1"), car, PLATE, requester="officer1")
    number = plant(department, people("comm1"))
    requester = people("officer1")
    requester.look(number)
    with pytest.raises(DeskRefusal, match="you requested"):
        requester.types(number, PLATE, "CA")


def test_who_copies_is_never_confirmed_and_measured_once_it_is_closed(
    department: Department, people: People, car: Car
) -> None:
    confirmed_and_closed(people("disp1"), car, PLATE)
    copier, attentive = people("comm1"), people("officer1")
    number = plant(department, copier)
    row = department.desk.book.alerts.find(number)
    assert row is not None
    wanted = row.known.planted_plate
    assert sum(a != b for a, b in zip(wanted, PLATE, strict=True)) == 1
    assert copier.verifies(number, wanted).line.answer == "wrong-character"
    attentive.look(number)
    attentive.types(number, PLATE, "CA")

    def measured() -> tuple[tuple[str, int, int], ...]:
        found = department.call("alert/figures", people("super").token, NothingForm())
        assert isinstance(found, Figures)
        assert found.cleared == 0
        return found.verifiers

    assert measured() == ()
    with pytest.raises(DeskRefusal, match="without action"):
        copier.closes(number, Outcome.STOP)
    copier.closes(number)
    assert measured() == (("comm1", 1, 0), ("officer1", 1, 1))


# The attack: a verifier who compares every field of every answer ------------------------------------------


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) for everything in a JSON answer; a list by its length and its elements' places."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, f"{path}.{name}")
    elif isinstance(value, list):
        yield f"{path}#", len(value)
        for number, one in enumerate(value):
            yield from leaves(one, f"{path}[{number}]")
    else:
        yield path, value


def seen_by_one(person: Verifier, number: str, plate: str) -> dict[str, Any]:
    """All values that a verifier gets for an alert until it is answered, by path."""
    (line,) = [one for one in person.listed() if one.alert == number]
    start = len(person.answers)
    person.look(line.alert)
    person.types(number, plate, "CA")
    own = [one for one in person.answers[start - 1][1] if one["alert"] == number]
    answers = [("alert/list", own[0]), *person.answers[start:]]
    return {f"{call}{path}": value for call, said in answers for path, value in leaves(said)}


NAMES_IT = (".alert", ".access", ".patch", ".overview", ".raised_us", ".since_us")
TYPED = "alert/transcribe.slots"


def test_no_field_of_any_answer_is_one_that_only_a_planted_mismatch_has(
    department: Department, people: People, car: Car
) -> None:
    """Real misreadings beside planted ones: no value, type or absence distinguishes them."""
    first, other = people("disp1"), people("comm1")
    real, planted = [], []
    for number in range(12):
        plate, facts = f"7ABD{number:03}", ENTRIES[number % len(ENTRIES)]
        confirmed_and_closed(first, car, plate, **facts)
        department.clock.step(SECOND_US)
        planted.append(seen_by_one(other, plant(department, other), plate))
        department.clock.step(SECOND_US)
        name = car.raises(plate[:-1] + "X", **facts)  # a misread plate for the same kind of entry
        (mine,) = [one.alert for one in other.listed() if name_of(department, one.alert) == name]
        real.append(seen_by_one(other, mine, plate))
        for alert in [one.alert for one in other.listed()]:
            other.answers_fit(alert)
            other.closes(alert)
    fields = set().union(*real, *planted)
    compared = 0
    for path in sorted(fields):
        if path.endswith(NAMES_IT):
            continue
        absent = {path in one for one in real}, {path in one for one in planted}
        assert absent[1] <= absent[0], path
        values = [one[path] for one in real if path in one], [one[path] for one in planted if path in one]
        kinds = [{(type(value), bool(value)) for value in found} for found in values]
        if path.startswith(TYPED):
            assert kinds[1] - {(bool, False), (bool, True)} <= kinds[0], path  # the path may differ
            continue
        assert kinds[0] == kinds[1], path
        assert set(values[1]) <= set(values[0]), path
        compared += 1
    assert compared > 25


@pytest.mark.thorough
def test_numbers_and_times_of_planted_mismatches_are_those_of_real_ones(
    department: Department, people: People, car: Car
) -> None:
    """Each comes alone; like a real one's, its number is near the access that opened it, its time earlier."""
    first, other = people("disp1"), people("comm1")
    steps: dict[bool, set[int]] = {True: set(), False: set()}
    for number in range(8):
        confirmed_and_closed(first, car, f"7ABE{number:03}")
        for planted in (True, False):
            department.clock.step(MINUTE_US)
            size = department.desk.log.size()
            if planted:
                alert = plant(department, other)
            else:
                name = car.raises(f"8ABE{number:03}")
                (alert,) = [one.alert for one in other.listed() if name_of(department, one.alert) == name]
            (line,) = [one for one in other.listed() if one.alert == alert]
            assert 0 < department.clock.us - line.raised_us <= HOUR_US
            steps[planted].add(int(alert) - size)
            other.verifies(alert, f"7ABE{number:03}", fit=Fit.CANNOT_TELL)
            other.closes(alert)
    assert steps[True] == steps[False]


def test_a_verifiers_own_accesses_name_no_record_of_an_alert(
    department: Department, people: People, car: Car
) -> None:
    """The old number of a planted picture's read would reveal it."""
    confirmed_and_closed(people("disp1"), car, PLATE)
    other = people("comm1")
    number = plant(department, other)
    department.front.alert_facts.clear()
    other.verifies(number, PLATE)
    unit = car.unit.log_id.hex()
    for call in ("inquiry/mine", "inquiry/unfiled"):
        told = repr(department.call(call, other.token, NothingForm())) + str(
            [vars_of(one) for one in department.call(call, other.token, NothingForm())]  # type: ignore[attr-defined]
        )
        assert f"alert {number}" in told
        assert unit not in told
        assert "planted" not in told
    looked = other.answers[-3:]
    assert all("planted" not in str(said) for _, said in looked)
    with pytest.raises(DeskRefusal):
        other.look(f"{number}x")
    with pytest.raises(DeskRefusal):
        department.call("alert/show", other.token, AlertForm(alert="planted/0"))


def vars_of(request: Any) -> dict[str, Any]:
    return {field.name: getattr(request, field.name) for field in fields(request)}


def test_who_saw_the_picture_is_known_from_a_snapshot_of_the_book_too(
    department: Department, people: People, car: Car
) -> None:
    confirmed_and_closed(people("disp1"), car, PLATE)
    number = plant(department, people("comm1"))
    desk = department.desk
    snapshot.write(desk.log, desk.book)
    kept = snapshot.read(desk.log)
    assert kept is not None
    row = kept.alerts.find(number)
    assert row is not None
    assert row.hidden_from == ("disp1",)
    assert kept.alerts == desk.book.alerts
