"""The self-test of the real unit shows every number and no plate."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from field_home import Home, a_frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.console.parser import parse
from firmware.console.verbs import Context, carry_out
from firmware.frames.frame_tap import FrameTap
from hw.camera import Frame
from hw.camera_pi import _CURE
from hw.clock import TimeState
from hw.errors import CameraStalledError, HardwareError, MissingDriverError
from hw.lamps import BorrowedLamps, Lamp, RememberedLamps
from hw.vitals import NetworkLink, ScriptedBoard

LINKS = ["eth0", "end0", "wlan0", "enp1s0", "wlx0123456789ab", "usb0"]
SIDE = st.integers(64, 4056)


def test_a_self_test_distinguishes_a_silent_camera_from_a_dark_one(home: Home) -> None:
    checks = {check.name: check.good for check in home.unit.selftest()}
    assert checks["camera"] is False
    assert checks["key slot"] is True
    home.frames.append(a_frame(640, 360))
    checks = {check.name: check.good for check in home.unit.selftest()}
    assert (checks["camera"], checks["picture"]) == (True, False)
    home.clock.lose_reference(TimeState.UNKNOWN)
    assert {check.name: check.good for check in home.unit.selftest()}["clock"] is None


def selftest_shown(home: Home) -> list[str]:
    """The console's rows."""
    context = Context(
        unit=home.unit, grant=None, offered=(), ask=lambda _: "", ask_secret=lambda _: "",
        key_pressed=lambda _: False, running_s=lambda: 0.0,
    )  # fmt: skip
    command = parse("selftest")
    assert command is not None
    return list(carry_out(command, context))


def selftest_lines(home: Home) -> dict[str, str]:
    """The console's lines by check."""
    return {line[9:23].strip(): line[24:] for line in selftest_shown(home)[:-1]}


@pytest.mark.thorough
@pytest.mark.one_python
@given(
    free_mb=st.integers(1024, 20_000_000), warm=st.integers(-40, 125), size=st.tuples(SIDE, SIDE),
    links=st.lists(st.sampled_from(LINKS), unique=True),
)  # fmt: skip
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_self_test_shows_every_number_that_the_unit_measured(
    home: Home, free_mb: int, warm: int, size: tuple[int, int], links: list[str]
) -> None:
    board = home.unit._parts.board
    assert isinstance(board, ScriptedBoard)
    board.vitals = replace(
        board.vitals, disk_free_bytes=free_mb << 20, temperature_c=float(warm),
        links=tuple(NetworkLink(name=name, up=True, received_bytes=1, sent_bytes=1) for name in links),
    )  # fmt: skip
    home.frames[:] = [a_frame(*size)]
    lines = selftest_lines(home)
    assert lines["disk"] == f"{free_mb // 64 * 64} MB free"
    assert lines["temperature"] == f"{warm} C"
    assert lines["network"] == (", ".join(links) or "no link is up")
    assert lines["camera"] == f"{size[0]} x {size[1]}"
    assert lines["key slot"].endswith(", generation 1")
    assert "*" not in "".join(lines.values())


@pytest.mark.parametrize("plate", ["2961 MB", "7ABC123", "12 GB", "80 KHZ", "AB 12", "30 X 20A", "B-MW 100"])
def test_a_plate_that_looks_like_a_size_is_blotted_where_a_driver_says_it(home: Home, plate: str) -> None:
    board = home.unit._parts.board
    assert isinstance(board, ScriptedBoard)
    board.vitals = replace(
        board.vitals,
        links=(NetworkLink(name=plate.replace(" ", ""), up=True, received_bytes=1, sent_bytes=1),),
    )
    home.unit._parts = replace(home.unit._parts, newest=failing_with(f"bad frame of {plate} in /tmp"))
    lines = selftest_lines(home)
    assert plate not in " ".join(lines.values())
    assert plate.replace(" ", "") not in " ".join(lines.values())
    assert lines["camera"].startswith("bad frame of ")
    assert lines["disk"].endswith(" MB free")


def test_a_unit_without_its_camera_says_what_to_install_and_not_that_all_works(home: Home) -> None:
    """An installer copies the command from the screen, so no package name in it may be masked."""

    def missing() -> Frame:
        raise MissingDriverError(
            "picamera2 cannot be loaded (No module named 'libcamera'): sudo apt install python3-libcamera, "
            f"and {_CURE}"
        )

    home.unit._parts = replace(home.unit._parts, newest=missing)
    shown = " ".join(" ".join(selftest_shown(home)).split())
    assert f"sudo apt install python3-libcamera, and {_CURE} no picture was taken" in shown  # to its end
    assert "*" not in shown
    home.unit._parts = replace(home.unit._parts, newest=a_frame(640, 360).owned)
    assert "no picture was taken" not in " ".join(selftest_shown(home))


def test_a_camera_that_hangs_upside_down_is_wrong_with_what_to_do(home: Home) -> None:
    home.frames.append(a_frame(640, 360))
    forgotten: list[bool] = []
    home.unit._parts.health.watch_way_up(lambda: not forgotten, lambda: forgotten.append(True))
    shown = " ".join(" ".join(selftest_shown(home)).split())
    assert "camera 640 x 360, seems to be upside down: `camera rotation 180` (0 if it is 180);" in shown
    assert {check.name: check.good for check in home.unit.selftest()}["camera"] is False
    home.unit.set_camera("rotation", "180")
    assert home.tuned[-1].rotation == 180
    assert forgotten == [True]
    home.unit.set_camera("rotation", "180")  # as if a person had turned the unit itself
    home.unit.set_camera("fps", "5")
    assert forgotten == [True, True]
    assert {check.name: check.good for check in home.unit.selftest()}["camera"] is True


def failing_with(text: str) -> Callable[[], Frame]:
    def fail() -> Frame:
        raise CameraStalledError(text)

    return fail


def test_a_self_test_in_a_no_read_zone_calls_nothing_wrong(home: Home) -> None:
    tap = FrameTap()
    tap.withhold()
    home.unit._parts = replace(home.unit._parts, newest=tap.newest)
    assert {check.name: check.good for check in home.unit.selftest()}["camera"] is None
    with pytest.raises(HardwareError, match="no-read zone"):
        home.unit.aim()


def test_a_self_test_sounds_the_buzzer_and_leaves_an_alert_lit(home: Home) -> None:
    lamps = RememberedLamps()
    home.unit._parts = replace(home.unit._parts, lamps=lambda: BorrowedLamps(lamps))
    lamps.switch(Lamp.ALERT, on=True)  # an alert waits
    (check,) = [one for one in home.unit.selftest() if one.name == "alert sounder"]
    assert (check.good, check.detail) == (True, "switched: alert, buzzer")
    assert lamps.lit == {"alert"}
