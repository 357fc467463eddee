"""With thousands of unanswered hits, the unit continues to read, and nothing slows with their number."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from alert_twins import entry, seen
from board_twins import Car, MakeCar
from custody_twins import SteppedTime

from firmware.alerts import board as boards
from firmware.alerts import page_api
from firmware.alerts.board import LEFT
from firmware.alerts.page_api import PageApi
from firmware.alerts.sessions import Officer, PageSessions
from firmware.alerts.sounder import Sounder
from hw.lamps import Lamp, RememberedLamps
from storage.alert_life import AlertEvent
from storage.errors import StoreFullError
from storage.ledger import Ledger
from storage.log import LogWriter
from sync.event_log import event_log

OFFICER = cast(Officer, SimpleNamespace(user="o.diaz", role="sworn-officer"))


@pytest.fixture
def car(make_car: MakeCar) -> Car:
    """A car with seven alerts that sound."""
    made = make_car(*(entry(f"8ABC{number:03}") for number in range(7)))
    for number in range(7):
        made.passes(seen(f"8ABC{number:03}"))
    return made


@pytest.fixture
def transactions(car: Car, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list of the log's size after each transaction from now on."""
    sizes, real = list[int](), LogWriter.sign_head

    def counted(log: LogWriter) -> None:
        sizes.append(log.frontier.size)
        real(log)

    monkeypatch.setattr(LogWriter, "sign_head", counted)
    return sizes


def listed(api: PageApi) -> list[dict[str, Any]]:
    """The rows of a page that lists 4 of the 7 alerts."""
    answer = api.listed(OFFICER)
    assert answer["more"] == 3
    return cast(list[dict[str, Any]], answer["alerts"])


def test_a_page_lists_the_first_of_many_alerts_in_one_transaction_and_says_how_many_more(
    car: Car, ledger: Ledger, time: SteppedTime, transactions: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, they were marked one by one: a thousand took minutes on a card, and the page never loaded."""
    monkeypatch.setattr(page_api, "MOST_LISTED", 4)
    api = PageApi(ledger, car.board, cast(PageSessions, None), lambda: time.now().us)
    before = ledger.store.log.frontier.size
    rows = listed(api)
    assert [one["number"] for one in rows] == [one.number for one in car.board.open_alerts()[:4]]
    assert transactions == [before + 4]
    assert [len(one.state.steps) for one in car.board.open_alerts()] == [1, 1, 1, 1, 0, 0, 0]
    others = listed(api)
    assert len(transactions) == 2
    assert listed(api) == rows != others
    assert len(transactions) == 2


def test_every_alert_that_sounds_is_listed_once_though_none_is_closed(
    car: Car, ledger: Ledger, time: SteppedTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, alerts beyond the first page could not be marked as shown until others were closed."""
    monkeypatch.setattr(page_api, "MOST_LISTED", 4)
    api = PageApi(ledger, car.board, cast(PageSessions, None), lambda: time.now().us)
    first, second = listed(api), listed(api)
    seen = {one["number"] for one in (*first, *second)}
    assert {one.number for one in car.board.open_alerts() if one.match.sounds} <= seen
    assert all(one["sounds"] for one in first)
    assert [one["number"] for one in listed(api)] == [one["number"] for one in first]


def test_a_list_that_is_withdrawn_recalls_its_alerts_together(
    car: Car, time: SteppedTime, transactions: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "STEPS_TOGETHER", 3)
    gone = car.board.follow_lists(lambda _alert: None, time.now().us)
    assert [one.state.recalled for one in gone] == [True] * 7
    assert all(one.state.recalled for one in car.board.open_alerts())
    assert len(transactions) == 3


def test_steps_that_cannot_be_stored_change_no_alert(
    car: Car, time: SteppedTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended = list[object]()
    real = Ledger.append

    def fails(ledger: Ledger, record: object) -> object:
        appended.append(record)
        if len(appended) == 3:
            raise OSError(28, "No space left on device")
        return real(ledger, record)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "append", fails)
    size = car.ledger.store.log.frontier.size
    with pytest.raises(StoreFullError):
        car.board.follow_lists(lambda _alert: None, time.now().us)
    assert car.ledger.store.log.frontier.size == size
    assert not any(one.state.recalled for one in car.board.open_alerts())


def test_the_lamp_of_an_alert_that_is_left_to_the_desk_goes_out(car: Car) -> None:
    lamps = RememberedLamps()
    sounder = Sounder(lamps, longest_s=1.0, log=event_log())
    alert = car.board.open_alerts()[0]
    for what, lit in (("raised", True), (LEFT, False)):
        sounder.changed(alert, what)
        sounder.look()
        assert (Lamp.ALERT in lamps.lit) == lit


def test_the_board_says_which_alerts_it_leaves_to_the_desk(
    make_car: MakeCar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "MOST_OPEN", 1)
    monkeypatch.setattr(boards, "MOST_AT_ALL", 2)
    car = make_car(*(entry(f"8ABC{number:03}") for number in range(3)))
    raised = [car.passes(seen(f"8ABC{number:03}"))[0].number for number in range(3)]
    assert [one for one in car.said if one[1] == LEFT] == [(raised[0], LEFT)]
    assert str(AlertEvent.SHOWN) not in {what for _, what in car.said}
