"""What every source of position promises: the NMEA driver behind a line, and the surveyed place."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain, repeat

import pytest

from hw.errors import MissingDriverError
from hw.nmea_receiver import SILENT_S, NmeaReceiver
from hw.position import FRESH_S, FixedPosition, FixQuality, PositionSource, nmea_second
from hw.serial_port import SerialPort, loopback_pair

MOMENT = datetime(2026, 5, 1, 12, 30, 15, tzinfo=UTC)


class Hands:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(params=["nmea driver", "surveyed place"])
def source(request: pytest.FixtureRequest) -> Iterator[tuple[PositionSource, Hands]]:
    hands = Hands()
    if request.param == "surveyed place":
        place = FixedPosition(
            34.1443, -118.0019, utc_us=lambda: round(MOMENT.timestamp() * 1e6), monotonic=hands
        )
        yield place, hands
        place.close()
        return
    near, far = loopback_pair()
    receiver = NmeaReceiver(near, monotonic=hands)
    far.write(nmea_second(MOMENT, 34.1443, -118.0019))
    wait_for(lambda: receiver.latest() is not None)
    yield receiver, hands
    receiver.close()


def _has_fix_of(receiver: NmeaReceiver, at_us: float) -> bool:
    fix = receiver.latest()
    return fix is not None and fix.utc_us == at_us


def wait_for(condition: Callable[[], bool], limit_s: float = 300.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "nothing came in time"
        time.sleep(0.005)


def test_a_fix_has_place_time_and_error(source: tuple[PositionSource, Hands]) -> None:
    fix = source[0].latest()
    assert fix is not None
    assert fix.latitude_deg == pytest.approx(34.1443, abs=1e-5)
    assert fix.longitude_deg == pytest.approx(-118.0019, abs=1e-5)
    assert fix.utc_us == round(MOMENT.timestamp() * 1e6)
    assert 0 < fix.error_m < 100
    assert fix.quality is not FixQuality.NONE
    assert source[0].trouble is None


def test_a_fix_is_never_older_than_it_may_be(source: tuple[PositionSource, Hands]) -> None:
    part, hands = source
    assert part.latest() is not None
    hands.now_s += FRESH_S + 0.1
    fix = part.latest()
    assert fix is None or hands.now_s - fix.heard_s <= FRESH_S


def test_a_place_of_some_time_ago_is_reported_or_none(source: tuple[PositionSource, Hands]) -> None:
    part, hands = source
    hands.now_s += 40
    fix = part.at(40.0)
    assert fix is not None
    assert fix.latitude_deg == pytest.approx(34.1443, abs=1e-5)


def test_a_closed_source_ends_quietly(source: tuple[PositionSource, Hands]) -> None:
    part, hands = source
    part.close()
    hands.now_s += FRESH_S + 0.1
    assert part.latest() is None


def test_a_receiver_that_falls_silent_says_so_and_one_without_a_fix_does_not() -> None:
    hands, (near, far) = Hands(), loopback_pair()
    receiver = NmeaReceiver(near, monotonic=hands)
    try:
        hands.now_s += SILENT_S + 1
        assert "no complete sentence" in str(receiver.trouble)
        far.write(b"\xf8\x00\x80" * 40)  # another speed
        assert receiver.trouble
        far.write(nmea_second(MOMENT, 34.0, -118.0, quality=0))
        wait_for(lambda: receiver.trouble is None)
        assert receiver.latest() is None
    finally:
        receiver.close()


def test_a_receiver_that_sends_no_date_or_hangs_is_named_with_what_to_do() -> None:
    hands, (near, far) = Hands(), loopback_pair()
    receiver = NmeaReceiver(near, monotonic=hands)
    _, gga, rmc, _ = (line + b"\r\n" for line in nmea_second(MOMENT, 34.0, -118.0).split(b"\r\n"))
    try:
        hands.now_s += SILENT_S + 1
        far.write(gga)
        wait_for(lambda: "sends no RMC" in str(receiver.trouble))
        far.write(rmc)
        wait_for(lambda: receiver.trouble is None)
        far.write((gga + rmc) * 12)
        wait_for(lambda: "one second again and again" in str(receiver.trouble))
        far.write(nmea_second(MOMENT.replace(second=59), 34.0, -118.0))
        wait_for(lambda: receiver.trouble is None)
    finally:
        receiver.close()


def test_a_line_that_went_away_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw.nmea_receiver.REOPEN_S", 0.02)
    hands, (near, far), (again, there) = Hands(), loopback_pair(), loopback_pair()
    missing = MissingDriverError("not plugged in")
    tries: Iterator[MissingDriverError | SerialPort] = chain([missing, missing, again], repeat(missing))

    def reopen() -> SerialPort:
        found = next(tries)
        if isinstance(found, MissingDriverError):
            raise found
        return found

    receiver = NmeaReceiver(near, reopen=reopen, monotonic=hands)
    try:
        far.close()
        there.write(nmea_second(MOMENT, 34.0, -118.0))
        wait_for(lambda: receiver.latest() is not None)
        assert receiver.trouble is None
        there.close()
        wait_for(lambda: receiver.line_gone)
        assert "line is gone" in str(receiver.trouble)
    finally:
        receiver.close()


def test_a_vehicle_was_where_it_was_and_the_error_holds_the_way_between() -> None:
    hands, (near, far) = Hands(), loopback_pair()
    receiver = NmeaReceiver(near, monotonic=hands)
    try:
        for second in range(10):  # a thousandth of a degree, 111 m, a second; the receiver says 30 m/s
            hands.now_s = 100.0 + second
            moment = MOMENT.replace(second=second)
            said = nmea_second(moment, 34.0 + second / 1000, -118.0, speed_m_s=30.0)
            far.write(said)
            at_us = moment.timestamp() * 1e6
            wait_for(partial(_has_fix_of, receiver, at_us))
        fix = receiver.at(5.0)
        assert fix is not None
        assert fix.latitude_deg == pytest.approx(34.004, abs=0.0011)
        assert fix.error_m >= 15
        assert receiver.at(60.0) is None
    finally:
        receiver.close()
