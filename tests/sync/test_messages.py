"""Messages read back as written, and are refused with the field's name if anything is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from storage import codec, envelope
from storage.errors import SignatureError
from sync import messages, parcels
from sync.enrollment_code import EnrollmentCode
from sync.errors import MessageError, NotEnrolledError
from sync.vouch import FileUnitKey, Vouch, open_vouch, sign_vouch

KEY = Ed25519PrivateKey.generate()
LOG = bytes(range(32))
count = st.integers(0, (1 << 62) - 1)
hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=8).map(tuple)
WANTED = messages.ReceiptWanted(log_id=LOG, first=7)


@given(
    held=count,
    at_us=count,
    proof=hashes,
    checkpoint=st.text(max_size=200),
    nonce=st.binary(min_size=16, max_size=16),
)
def test_a_hello_is_read_as_it_was_written(
    held: int, at_us: int, proof: tuple[bytes, ...], checkpoint: str, nonce: bytes
) -> None:
    hello = messages.Hello(
        log_id=LOG, nonce=nonce, at_us=at_us, checkpoint=checkpoint, proof=proof, held=held, software="x"
    )
    assert messages.open_message(messages.Hello, messages.seal_message(hello, KEY), KEY.public_key()) == hello


items = st.builds(
    messages.ParcelElement,
    sequence=count,
    name=st.text("abc_", min_size=1, max_size=8),
    length=st.integers(0, 50),
)


@given(listed=st.lists(items, max_size=20))
def test_a_parcel_is_cut_as_it_was_put_together(listed: list[messages.ParcelElement]) -> None:
    parts = [bytes([at % 256]) * item.length for at, item in enumerate(listed)]
    header = messages.ParcelHeader(log_id=LOG, keys=(), items=tuple(listed))
    data = b"".join(parcels.frame_parcel(messages.seal_message(header, KEY), parts))
    head, body = parcels.split_parcel(data)
    opened = messages.open_message(messages.ParcelHeader, head, KEY.public_key())
    assert opened == header
    assert parcels.cut_items(opened.items, body) == parts


@pytest.mark.one_python
@settings(max_examples=500)
@given(data=st.binary(max_size=600))
def test_no_bytes_but_a_signed_message_get_past_the_door(data: bytes) -> None:
    for kind in (
        messages.Hello,
        messages.LeafBatch,
        messages.ParcelHeader,
        messages.DocumentWanted,
        messages.EnrollRequest,
    ):
        with pytest.raises((MessageError, SignatureError)):
            messages.open_message(kind, data, KEY.public_key())
    with pytest.raises(MessageError):
        open_vouch(data)


@pytest.mark.one_python
@settings(max_examples=300)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_turned_bit_never_passes(at: int, bit: int) -> None:
    data = bytearray(messages.seal_message(WANTED, KEY))
    data[at % len(data)] ^= 1 << bit
    with pytest.raises((MessageError, SignatureError)):
        messages.open_message(messages.ReceiptWanted, bytes(data), KEY.public_key())


def signed(value: object) -> bytes:
    return envelope.sign(
        cbor2.dumps(value, canonical=True), KEY, context=messages.context_of(messages.ReceiptWanted)
    )


plain = codec.to_plain(WANTED)
HUGE = b"\x9b" + b"\xff" * 8  # an array that claims 2^64 - 1 items
DEEP = b"\x81" * 100_000 + b"\x01"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        pytest.param(signed(plain | {"more": 1}), "unknown fields", id="a field too many"),
        pytest.param(signed({"version": 1}), "missing fields", id="fields missing"),
        pytest.param(signed(plain | {"first": "7"}), "first", id="a text where a number belongs"),
        pytest.param(signed(plain | {"first": -1}), "first", id="out of range"),
        pytest.param(signed(plain | {"version": 2}), "version 2", id="a later version"),
        pytest.param(signed([1, 2]), "not a map", id="no map"),
        pytest.param(b"", "COSE_Sign1", id="nothing"),
        pytest.param(b"\xd2" + HUGE, "not CBOR", id="an array of 2^64 items"),
        pytest.param(b"\xd2" + DEEP, "bytes where at most", id="nested 100,000 deep, over the limit"),
        pytest.param(b"\xd2" + DEEP[-5000:], "not CBOR", id="nested 5,000 deep"),
        pytest.param(b"\xd2\x5b" + b"\xff" * 8, "not CBOR", id="a string of 2^64 bytes"),
        pytest.param(messages.seal_message(WANTED, KEY) + b"\x00", "CBOR|canonical", id="trailing bytes"),
        pytest.param(
            b"\xd2" + bytes(messages.ReceiptWanted.LIMIT + 1), "bytes where at most", id="over the limit"
        ),
    ],
)
def test_a_message_that_is_off_is_refused_by_name(data: bytes, named: str) -> None:
    with pytest.raises(MessageError, match=named):
        messages.open_message(messages.ReceiptWanted, data, KEY.public_key())


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\x00\x00\x00", id="no header"),
        pytest.param(b"\xff\xff\xff\xff", id="a header of 4 GiB"),
        pytest.param(b"\x00\x00\x00\x09abc", id="a header cut short"),
    ],
)
def test_a_parcel_with_a_wrong_frame_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        parcels.split_parcel(data)


def test_lengths_that_do_not_add_up_are_refused() -> None:
    item = messages.ParcelElement(sequence=1, name="text", length=5)
    with pytest.raises(MessageError, match="add up"):
        parcels.cut_items([item], memoryview(b"four"))


def test_a_parcel_may_not_promise_more_than_its_limit() -> None:
    item = messages.ParcelElement(sequence=1, name="text", length=messages.MAX_ELEMENT_BYTES)
    header = messages.ParcelHeader(log_id=LOG, keys=(), items=(item, item))
    with pytest.raises(MessageError, match="at most"):
        messages.open_message(messages.ParcelHeader, messages.seal_message(header, KEY), KEY.public_key())


def test_no_repr_shows_sealed_bytes_or_secrets() -> None:
    shown = repr(messages.EnrollRequest(secret=b"s" * 16, vouch=b"", software="")) + repr(
        EnrollmentCode.new(bytes(32), "x:1")
    )
    assert "secret" not in shown


@given(
    host=st.from_regex(r"[a-z0-9.-]{1,60}:[0-9]{1,5}", fullmatch=True),
    digest=st.binary(min_size=32, max_size=32),
)
def test_an_enrollment_code_is_read_as_it_was_written(host: str, digest: bytes) -> None:
    code = EnrollmentCode.new(digest, host)
    assert EnrollmentCode.parse(code.text()) == code
    assert EnrollmentCode.parse(" " + code.text().lower()[:40] + "\n" + code.text()[40:]) == code


@settings(max_examples=200)
@given(at=st.integers(6, 130), letter=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_mistyped_enrollment_code_is_noticed(at: int, letter: str) -> None:
    text = EnrollmentCode(
        secret=bytes(16), root_digest=bytes(range(32)), address="alpr.example.org:8464"
    ).text()
    at = min(at, len(text) - 1)
    assume(text[at] != letter)
    with pytest.raises(NotEnrolledError, match=r"copying error|letter"):
        EnrollmentCode.parse(text[:at] + letter + text[at + 1 :])


def test_a_vouch_is_bound_to_its_key_and_its_words() -> None:
    key, other = (FileUnitKey(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    vouch = Vouch(unit=key.public_der(), log_public=bytes(32), tls_public=key.public_der(), at_us=1)
    assert open_vouch(sign_vouch(vouch, key)) == vouch
    with pytest.raises(MessageError):
        open_vouch(sign_vouch(vouch, other))
    with pytest.raises(MessageError, match="another unit"):
        open_vouch(sign_vouch(vouch, key), other.public_der())
    changed = dataclasses.replace(vouch, at_us=2)
    forged = sign_vouch(vouch, key).replace(codec.to_bytes(vouch), codec.to_bytes(changed))
    with pytest.raises(MessageError, match="is not valid"):
        open_vouch(forged)


def test_the_page_names_every_refusal_and_which_are_incidents() -> None:
    page = (Path(__file__).resolve().parents[2] / "sync" / "PROTOCOL.md").read_text()
    for code, what in messages.REFUSALS.items():
        incident = "yes" if code in messages.INCIDENTS else "no"
        assert f"| `{code}` | {what} | {incident} | " in page
