"""Strict CBOR and COSE: what we write we read, and nothing else."""

from __future__ import annotations

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from storage import envelope
from storage.errors import EnvelopeError, SignatureError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.binary(max_size=20),
)
plain = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=8), inner, max_size=4),
        st.dictionaries(st.integers(0, 1 << 40), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(plain)
def test_what_is_encoded_decodes_to_the_same(value: object) -> None:
    assert envelope.encode(envelope.decode(envelope.encode(value))) == envelope.encode(value)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_are_exactly_what_we_would_write(data: bytes) -> None:
    try:
        value = envelope.decode(data)
    except EnvelopeError:
        return
    assert envelope.encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("1817", id="a number longer than needed"),
        pytest.param("9f01ff", id="an indefinite list"),
        pytest.param("a2616201616101", id="keys out of order"),
        pytest.param("a2616101616102", id="a key twice"),
        pytest.param("c11a514b67b0", id="a tag"),
        pytest.param("d81c80", id="a shared reference"),
        pytest.param("c249010000000000000000", id="a bignum"),
        pytest.param("f97e00", id="not a number"),
        pytest.param("a10102" + "00", id="trailing bytes"),
        pytest.param("a2016161616101", id="mixed keys"),
        pytest.param("81" * 40 + "00", id="too deep"),
        pytest.param("f7", id="undefined"),
        pytest.param("9a7fffffff", id="a length with nothing behind it"),
    ],
)
def test_other_encodings_are_refused(data: str) -> None:
    with pytest.raises(EnvelopeError):
        envelope.decode(bytes.fromhex(data))


def test_oversize_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(EnvelopeError, match="at most 10"):
        envelope.decode(b"\x00" * 11, limit=10)


def test_a_signed_message_opens_under_its_key_and_context_alone() -> None:
    message = envelope.sign(b"payload", KEY, context=b"one")
    assert envelope.open_signed(message, KEY.public_key(), context=b"one") == b"payload"
    with pytest.raises(SignatureError):
        envelope.open_signed(message, KEY.public_key(), context=b"two")
    with pytest.raises(SignatureError, match="another key"):
        envelope.open_signed(message, Ed25519PrivateKey.generate().public_key(), context=b"one")


def test_every_flipped_bit_of_a_signed_message_is_refused() -> None:
    message = envelope.sign(b"a payload of some length", KEY, context=b"c")
    for position in range(len(message) * 8):
        broken = bytearray(message)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(EnvelopeError):
            envelope.open_signed(bytes(broken), KEY.public_key(), context=b"c")


def test_another_cose_reader_finds_the_form_of_rfc_9052() -> None:
    tag = cbor2.loads(envelope.sign(b"p", KEY, context=b""))
    protected, unprotected, payload, signature = tag.value
    assert tag.tag == 18
    assert cbor2.loads(protected) == {1: -19, 4: envelope.key_id(KEY.public_key())}
    assert (dict(unprotected), payload) == ({}, b"p")
    KEY.public_key().verify(signature, cbor2.dumps(["Signature1", protected, b"", b"p"]))
