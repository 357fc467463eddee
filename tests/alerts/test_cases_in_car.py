"""Wrongful stops that happened elsewhere, replayed at the page in the car: none is confirmed at any visit."""

from __future__ import annotations

import pytest
from alert_cases import CASES, Case
from car_page import Car, post

from storage.times import MINUTE_US


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_not_confirmed_and_comes_up_once_a_visit(car: Car, case: Case) -> None:
    client = car.enter()
    (alert,) = car.meets(case.read, case.entry, case.box)
    (listed,) = client.get("/api/alerts").json()["alerts"]
    assert listed["sounds"] is case.sounds
    base = f"/api/alerts/{alert.number}"
    plate, state = case.shown
    assert post(client, f"{base}/transcribe", plate=plate, state=state).status_code == 403
    assert post(client, f"{base}/answer", fit="yes").status_code == 403
    post(client, f"{base}/view")
    shown = post(client, f"{base}/transcribe", plate=plate, state=state).json()
    assert shown["entry"]["make"] == case.entry.make
    answered = post(client, f"{base}/answer", fit=str(case.fit)).json()
    assert answered["answer"] == case.answer != "confirmed"
    for outcome in ("stop", "arrest"):
        assert "without action" in post(client, f"{base}/close", outcome=outcome).text
    assert post(client, f"{base}/close", outcome="no-stop").json()["closed"]
    again = []
    for _ in range(7):  # the driver passes again and again
        car.time.run(2 * MINUTE_US)
        again += car.meets(case.read, case.entry, case.box)
    assert [one.match.sounds for one in again] == [False]
    assert [one["sounds"] for one in client.get("/api/alerts").json()["alerts"]] == [False]
    car.time.run(2 * MINUTE_US)
    again = car.meets(case.read, case.entry, case.box)
    assert [one.match.sounds for one in again] == [True] * case.sounds  # it reads like the wanted car
