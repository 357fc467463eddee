"""Simulated verifiers: those who copy the entry confirm nothing, and those who look lose no time.

A few of each here; `ALPR_FAULTS=full` (make faults) makes 1,000.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alert_twins import entry
from car_page import Car, car, post
from custody_twins import home, ledger, slot, time
from desk_cars import Car as DeskCar
from desk_twins import Department, found_department, open_copy
from desk_verifiers import Verifier, name_of, planted_now
from drawn_images import patch as drawn_patch
from made_once import made_once

from sync.department.desk.alerts.calls import Figures
from sync.department.desk.inquiry.forms import NothingForm

__all__ = ["car", "home", "ledger", "slot", "time"]

FULL = os.environ.get("ALPR_FAULTS") == "full"
ROUNDS = 1000 if FULL else 12
STROKES = 3  # with the picture on the screen: Tab to the state, Enter, and one key for the vehicle


def plate_of(number: int) -> str:
    return f"7{'ABCDEFGHJK'[number // 100]}XR{number % 100:02d}{number % 7}"


@pytest.fixture
def department(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    founded = made_once(tmp_path_factory, "founded-department", found_department)
    made = open_copy(shutil.copytree(founded, tmp_path / "department"))
    yield made
    made.close()


@pytest.mark.thorough
def test_at_the_desk_who_copies_confirms_nothing_and_who_looks_confirms_all(department: Department) -> None:
    car = DeskCar(department)
    attentive = Verifier(department, department.logon("disp1"))
    copier = Verifier(department, department.logon("comm1"))
    confirmed = copied = 0
    for number in range(ROUNDS):
        plate = plate_of(number)
        name = car.raises(plate)
        (line,) = attentive.listed()
        assert name_of(department, line.alert) == name
        assert attentive.look(line.alert).patch == drawn_patch(plate)
        confirmed += attentive.types(line.alert, plate, "CA").line.answer == "confirmed"
        confirmed += attentive.answers_fit(line.alert).line.answer == "confirmed"
        attentive.closes(line.alert)
        department.front.planting.owe(department.clock.us)
        copier.answers.clear()
        (line,) = copier.listed()
        assert [line.alert] == planted_now(department)
        row = department.desk.book.alerts.find(line.alert)
        assert row is not None
        wanted = row.known.planted_plate
        copier.look(line.alert)
        assert wanted not in json.dumps(copier.answers)  # it must not come from here
        shown = copier.types(line.alert, wanted, "CA")
        assert all(agrees for _, _, agrees in shown.slots)
        copied += copier.answers_fit(line.alert).line.answer == "confirmed"
        copier.closes(line.alert)
    car.unit.close()
    figures = department.call("alert/figures", department.logon("super"), NothingForm())
    assert isinstance(figures, Figures)
    assert figures.verifiers == (("comm1", ROUNDS, 0),)
    assert (copied, confirmed, attentive.strokes) == (0, ROUNDS, STROKES * ROUNDS)
    print(
        f"desk: {copied} of {ROUNDS} planted mismatches confirmed by who copies the entry; {confirmed} of "
        f"{ROUNDS} true ones by who looks, {attentive.strokes // ROUNDS} keystrokes beyond plate and state"
    )


def test_in_the_car_nothing_shows_the_entry_to_copy_and_who_looks_confirms_all(car: Car) -> None:
    attentive, copier = car.enter(), car.enter("demo-supervisor", "ccat-supervisor")
    confirmed = copied = shown_early = 0
    for number in range(ROUNDS):
        plate = plate_of(number)
        alert = car.passes(plate, entry(plate))
        base = f"/api/alerts/{alert.number}"
        early = [copier.get("/api/alerts"), copier.get(base), post(copier, f"{base}/view")]
        early += [copier.get(f"{base}/patch"), copier.get(f"{base}/overview")]
        early += [post(copier, f"{base}/answer", fit="yes"), post(copier, f"{base}/close", outcome="stop")]
        shown_early += sum(plate.encode() in one.content for one in early)
        assert [one.status_code for one in early[-2:]] == [403, 403]
        post(copier, f"{base}/transcribe", plate="?" * len(plate), state="CA")  # nothing to copy
        copied += post(copier, f"{base}/answer", fit="yes").json().get("answer") == "confirmed"
        post(attentive, f"{base}/view")
        post(attentive, f"{base}/transcribe", plate=plate, state="CA")
        confirmed += post(attentive, f"{base}/answer", fit="yes").json()["answer"] == "confirmed"
        post(attentive, f"{base}/clets", practicable=True, text="CLETS 4711")
        assert post(attentive, f"{base}/close", outcome="stop").json()["closed"]
        car.time.run(5_000_000)  # all of them within one shift
    assert (shown_early, copied, confirmed) == (0, 0, ROUNDS)
    print(
        f"car: the entry is in {shown_early} of {5 * ROUNDS} answers before the plate was typed; {copied} of "
        f"{ROUNDS} alerts confirmed by who copies, {confirmed} of {ROUNDS} by who looks"
    )
