"""How long a login lasts and by which clock, each at its limit, with a unit in memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from firmware.console import login
from firmware.console.challenge import Challenge, ChallengeAnswer
from firmware.console.errors import ClockLoginError
from firmware.console.login import admit
from storage.grant_format import (
    Grant,
    GrantRole,
    GrantTimeError,
    WrongUnitError,
    check_unit,
    latest_us,
)
from storage.times import DAY_US, HOUR_US

Office = Any  # tests/console/conftest.py
NOW_US = 1_777_777_777_000_000
SECOND_US = 1_000_000


def admitted(
    office: Office,
    monkeypatch: pytest.MonkeyPatch,
    now_us: int,
    error_us: int,
    used_s: float = 0.0,
    **changes: Any,
) -> login.Admission:
    """Whether a proven holder's grant is admitted at this time."""
    bundle = office.bundle(**changes)
    monkeypatch.setattr(login, "check_holder", lambda *_: None)
    unit = SimpleNamespace(
        identity=lambda: SimpleNamespace(unit="unit-7"), revoked=frozenset,
        time_us=lambda: (now_us, error_us), log_ahead_us=lambda: 0,
    )  # fmt: skip
    return admit(
        ChallengeAnswer(bundle=bundle.to_bytes(), signature=b"").to_bytes(), Challenge.ask("unit-7", 0.0),
        cast(Any, unit), lambda: [office.command_key.public_key()], running_s=100.0,
        use=cast(Any, SimpleNamespace(used_s=lambda _grant: used_s)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("left_us", "error_us", "lasts_s"),
    [
        (30 * DAY_US, 0, 28_800.0), (8 * HOUR_US, 0, 28_800.0), (HOUR_US, 0, 3600.0),
        (HOUR_US, SECOND_US, 3599.0), (8 * HOUR_US + SECOND_US, SECOND_US, 28_800.0),
    ],
)  # fmt: skip
def test_a_login_lasts_a_working_day_and_no_longer_than_its_grant(
    office: Office, monkeypatch: pytest.MonkeyPatch, left_us: int, error_us: int, lasts_s: float
) -> None:
    made = admitted(office, monkeypatch, NOW_US, error_us, to_us=NOW_US + left_us)
    assert made.until_s == pytest.approx(100.0 + lasts_s)
    assert not made.counted


@pytest.mark.parametrize(
    ("used_s", "error_us", "lasts_s"),
    [(0.0, DAY_US, 7200.0), (3600.0, DAY_US, 3600.0), (7199.0, DAY_US, 1.0), (7200.0, DAY_US, None)],
)
def test_where_no_clock_shows_its_end_a_grant_counts_its_length(
    office: Office, monkeypatch: pytest.MonkeyPatch, used_s: float, error_us: int, lasts_s: float | None
) -> None:
    span = {"issued_us": NOW_US, "from_us": NOW_US, "to_us": NOW_US + 2 * HOUR_US}
    if lasts_s is None:
        with pytest.raises(ClockLoginError, match="length is used up"):
            admitted(office, monkeypatch, NOW_US, error_us, used_s, **span)
        return
    made = admitted(office, monkeypatch, NOW_US, error_us, used_s, **span)
    assert made.counted
    assert made.until_s == pytest.approx(100.0 + lasts_s)


@pytest.mark.parametrize(
    ("error_us", "error"),
    [(2 * SECOND_US, GrantTimeError), (2 * SECOND_US + 1, ClockLoginError), (0, GrantTimeError)],
)
def test_a_clock_that_is_sure_within_two_seconds_is_not_why_a_grant_has_ended(
    office: Office, monkeypatch: pytest.MonkeyPatch, error_us: int, error: type[Exception]
) -> None:
    with pytest.raises(error, match="has ended") as refused:
        admitted(office, monkeypatch, NOW_US + 31 * DAY_US, error_us)
    assert type(refused.value) is error


def test_a_vendor_is_given_eight_hours_and_a_technician_a_year_where_no_end_is_named() -> None:
    ends = {role: latest_us(role, 0, None, -1) for role in GrantRole}
    assert ends == {GrantRole.VENDOR: 8 * HOUR_US, GrantRole.TECHNICIAN: 365 * DAY_US}


def test_a_grant_for_other_units_names_five_of_them(office: Office) -> None:
    grant: Grant = office.grant(units=tuple(f"u{at}" for at in range(7)))
    with pytest.raises(WrongUnitError, match=r"this is unit-7; the grant names u0, u1, u2, u3, u4$"):
        check_unit(grant, "unit-7")
