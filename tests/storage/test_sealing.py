"""Elements: sealed, matched to their commitment, and silent about their content."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from storage import day_keys, sealing
from storage.errors import SealError
from storage.times import DAY_US

KEY, LOG = bytes(range(32)), b"L" * 32


@given(st.binary(max_size=3000))
def test_a_sealed_element_opens_to_itself(content: bytes) -> None:
    opened = sealing.fresh("text", content)
    sealed = sealing.seal(KEY, LOG, 7, opened)
    assert sealing.open_sealed(KEY, LOG, 7, "text", sealed.stored, sealed.commitment) == opened
    assert sealing.read_open("text", 7, sealing.leave_open(opened).stored, sealed.commitment) == opened


def test_a_sealed_element_is_bound_to_its_record_and_name() -> None:
    sealed = sealing.seal(KEY, LOG, 7, sealing.fresh("text", b"x"))
    for key, log, sequence, name in (
        (bytes(32), LOG, 7, "text"),
        (KEY, b"M" * 32, 7, "text"),
        (KEY, LOG, 8, "text"),
        (KEY, LOG, 7, "place"),
    ):
        with pytest.raises(SealError):
            sealing.open_sealed(key, log, sequence, name, sealed.stored, sealed.commitment)


def test_an_element_swapped_for_another_valid_one_does_not_match_the_commitment() -> None:
    first = sealing.seal(KEY, LOG, 7, sealing.fresh("text", b"one"))
    second = sealing.seal(KEY, LOG, 7, sealing.fresh("text", b"two"))
    with pytest.raises(SealError, match="commitment"):
        sealing.open_sealed(KEY, LOG, 7, "text", second.stored, first.commitment)


def test_the_length_of_a_plate_does_not_show() -> None:
    lengths = {len(sealing.seal(KEY, LOG, 0, sealing.fresh("text", bytes(n))).stored) for n in range(1, 200)}
    assert len(lengths) == 1


def test_an_epoch_key_sealed_to_a_day_opens_for_that_log_and_epoch_alone() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    day = day_keys.DayKey.of(20_000, private)
    sealed = day_keys.seal_to_day(KEY, day, LOG, 3)
    assert len(sealed) == 113
    assert day_keys.open_from_day(sealed, private, LOG, 3) == KEY
    for log, epoch in ((b"M" * 32, 3), (LOG, 4)):
        with pytest.raises(SealError):
            day_keys.open_from_day(sealed, private, log, epoch)


def test_the_day_key_of_the_day_is_taken_and_past_the_last_the_last() -> None:
    keys = [day_keys.DayKey.of(d, ec.generate_private_key(ec.SECP256R1())) for d in (10, 11, 12)]
    assert day_keys.key_for(keys, 11 * DAY_US + 5).day == 11
    assert day_keys.key_for(keys, 99 * DAY_US).day == 12
