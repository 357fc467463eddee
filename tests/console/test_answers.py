"""The console's answers to commands that ask for too much, for one name, or for a reset too early."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from firmware.console.unit import ResetObstacles
from tests.tools.bench_unit import BenchUnit

Bench = Any  # tests/console/conftest.py


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("logs 0", "usage: logs [COUNT] (COUNT a whole number, 1 to 999)"),
        ("logs 1000000", "1 to 999"),
        ("aim 99999", "SECONDS a whole number, 0 to 9999"),
        ("aim preview 0.5", "SECONDS a whole number"),
        ("time 1970-01-01T00:00:00Z", "years 2000 to 2099"),
        ("sync", "usage: sync now"),
        ("network depot", "usage: network [wifi NAME]"),
    ],
)
def test_a_command_out_of_its_range_is_answered_with_the_range(bench: Bench, typed: str, said: str) -> None:
    bench.enter()
    assert said in " ".join(bench.ask(typed).split())


def test_a_camera_settings_name_alone_shows_its_value(bench: Bench) -> None:
    bench.enter()
    name = next(iter(bench.unit.settings))
    shown = bench.ask(f"camera {name}")
    assert [row for row in shown.splitlines() if bench.unit.settings[name] in row and name in row]
    assert not any(other in shown for other in bench.unit.settings if other != name)
    assert name in bench.ask("camera nonsense")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error (if it comes again, replace the card"),
        (OSError(errno.EROFS, "Read-only file system", "/h/config.toml"), "/h/config.toml: Read-only file"),
        (OSError(errno.EROFS, "Read-only file system"), "replace the card"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device (make room"),
    ],
    ids=str,
)
def test_a_card_that_takes_no_setting_is_answered_with_what_to_do(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    """Once, it was `OSError: [Errno 5] Input/output error`."""

    def fails(_name: str, _value: str) -> str:
        raise error

    monkeypatch.setattr(bench.unit, "set_camera", fails)
    bench.enter()
    shown = " ".join(bench.ask("camera fps 5").split())
    assert said in shown
    assert "Errno" not in shown


def test_the_refusal_of_a_reset_counts_nothing_that_a_hit_would_change(
    make_bench: Callable[..., Bench],
) -> None:
    said = []
    for waiting, size in ((3, 410), (4, 412)):
        unit = BenchUnit()
        unit.obstacles = ResetObstacles(unacknowledged=waiting, log_size=size, holds=())
        bench = make_bench(unit)
        bench.enter()
        said.append(" ".join(bench.ask("factory-reset unit-7").split()))
    assert said[0] == said[1]
    assert "up to record 500" in said[0]
