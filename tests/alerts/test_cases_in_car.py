"""What happened elsewhere, replayed at the page in the car: none is confirmed, none sounds twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alert_cases import CASES, Case
from car_page import Car, certificate, post
from custody_twins import SteppedTime

from firmware.alerts.episodes import EPISODE_US
from storage.ledger import Ledger
from storage.times import MINUTE_US
from sync.department.units.authority import Authority
from sync.membership import SyncFolder


@pytest.fixture
def car(ledger: Ledger, time: SteppedTime, tmp_path: Path) -> Iterator[Car]:
    folder = SyncFolder.of(tmp_path / "unit")
    authority = Authority.create(tmp_path / "authority", "Monrovia PD")
    certificate(folder, authority)
    made = Car(ledger, time, folder, authority)
    with made.server:
        yield made
        made.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_not_confirmed_and_does_not_sound_twice(car: Car, case: Case) -> None:
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
    with car.feed.listening() as words:
        for _ in range(3):  # the driver who was cleared passes again, and again
            car.time.run(EPISODE_US + MINUTE_US)
            assert car.meets(case.read, case.entry, case.box) == []
        assert words.empty()
    assert client.get("/api/alerts").json()["alerts"] == []
