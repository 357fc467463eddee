"""Elements are sealed, match their commitment, and never show their content."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from storage import day_keys, sealing
from storage.errors import KeyLostError, SealError
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
    assert day_keys.key_for(keys[::-1], 0).day == 10
    with pytest.raises(KeyLostError, match="no day key of the department"):
        day_keys.key_for([], 0)


def test_a_sealed_element_has_the_form_that_the_page_describes() -> None:
    opened = sealing.fresh("text", b"7XKR219")
    sealed = sealing.seal(KEY, LOG, 7, opened)
    frame = AESGCM(KEY).decrypt(sealed.stored[:12], sealed.stored[12:], sealing.aad_of(LOG, 7, "text"))
    assert frame == opened.salt + (7).to_bytes(4, "big") + b"7XKR219" + bytes(256 - 32 - 4 - 7)
    assert len(opened.salt) == len(sealing.new_key()) == 32
    said = hashlib.sha256(b"alpr-reader/commitment/v1\0text\0" + opened.salt + b"7XKR219").digest()
    assert (sealed.commitment, sealed.digest) == (said, hashlib.sha256(sealed.stored).digest())
    assert sealing.MAX_ELEMENT_BYTES == 16 << 20


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"", "frame length"), (bytes(255), "frame length"), (bytes(512), "frame length"),
        (bytes(35) + b"\xdc" + bytes(476), "frame length"),
        (bytes(35) + bytes([221]) + bytes(220), "frame length"), (bytes(255) + b"x", "padding is not zero"),
        (bytes(35) + b"\x01" + bytes(1) + b"x" + bytes(218), "padding is not zero"),
    ],
)  # fmt: skip
def test_a_frame_of_another_length_or_padding_is_refused(frame: bytes, error: str) -> None:
    with pytest.raises(SealError, match=f"text: {error}"):
        sealing.unframe("text", frame)
    assert sealing.unframe("text", bytes(35) + b"\xdc" + bytes(220)).content == bytes(220)


def test_a_longer_content_or_another_salt_than_an_element_has_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sealing, "MAX_ELEMENT_BYTES", 10)
    assert sealing.leave_open(sealing.fresh("text", bytes(10))).stored
    with pytest.raises(SealError, match="text: longer than 10 bytes"):
        sealing.leave_open(sealing.fresh("text", bytes(11)))
    for length in (31, 33):
        with pytest.raises(SealError, match="text: a salt has 32 bytes"):
            sealing.commitment("text", bytes(length), b"x")


def test_what_is_sealed_again_is_what_its_commitment_says_under_the_new_key_alone() -> None:
    new, kept_as = b"n" * 32, b"k" * 32
    sealed = sealing.seal(KEY, LOG, 7, sealing.fresh("text", b"7XKR219"))
    again = (LOG, 7, "text", sealed.stored)
    content, stored = sealing.reseal(KEY, new, *again, sealed.commitment, kept_as=kept_as)
    assert (bytes(content), stored[:12] == sealed.stored[:12]) == (b"7XKR219", False)
    assert sealing.open_sealed(new, kept_as, 7, "text", stored, sealed.commitment).content == b"7XKR219"
    with pytest.raises(SealError, match="record 7, text: does not match its commitment"):
        sealing.reseal(KEY, new, *again, bytes(32), kept_as=kept_as)
    with pytest.raises(SealError, match="record 7, text: does not open under its key"):
        sealing.reseal(new, KEY, *again, sealed.commitment, kept_as=kept_as)
