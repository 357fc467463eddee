"""Strict CBOR and COSE: we read what we write and nothing else."""

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


@pytest.mark.one_python
@given(plain)
def test_what_is_encoded_decodes_to_the_same(value: object) -> None:
    assert envelope.encode(envelope.decode(envelope.encode(value))) == envelope.encode(value)


keys = st.one_of(st.text(max_size=3), st.text("ab", max_size=30), st.sampled_from(("a" * 255, "b" * 256)))


@given(st.recursive(plain, lambda inner: st.dictionaries(keys, inner, max_size=6), max_leaves=12))
def test_the_order_of_keys_and_the_size_of_floats_are_those_of_another_writer(value: object) -> None:
    canonical = cbor2.dumps(value, canonical=True)
    assert envelope.encode(value) == canonical
    usual = cbor2.dumps(value)  # keys as they come, floats of 64 bits
    if usual == canonical:
        envelope.decode(usual)
        return
    with pytest.raises(EnvelopeError, match="canonical form"):
        envelope.decode(usual)


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
        pytest.param("fb3ff8000000000000", id="a float longer than needed"),
        pytest.param("82fb3ff800000000000000", id="a float longer than needed in a list"),
        pytest.param("9f01ff", id="an indefinite list"),
        pytest.param("a2616201616101", id="keys out of order"),
        pytest.param("a262616101616201", id="a longer key first"),
        pytest.param("a2020101", id="half a map of numbers"),
        pytest.param("a202010101", id="numbers out of order"),
        pytest.param("a261c3a90161000000", id="a key of two bytes first"),
        pytest.param("81a2616201616101", id="keys out of order in a list"),
        pytest.param("a26161a261620161610161620a", id="keys out of order in a map"),
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
    with pytest.raises(EnvelopeError, match="1048577 bytes where at most 1048576 are allowed"):
        envelope.decode(bytes((1 << 20) + 1))
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


def nested(depth: int) -> object:
    value: object = 0
    for at in range(depth):
        value = [value] if at % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (float("nan"), "not finite"),
        (float("-inf"), "not finite"),
        (1 << 64, "integer beyond 64 bits"),
        (-(1 << 63) - 1, "integer beyond 64 bits"),
        ({1, 2}, "a set has no plain CBOR form"),
        ({"a": 1, 2: 3}, "map keys must be all text or all non-negative integers"),
        ({-1: 2}, "map keys must be all text or all non-negative integers"),
        ({b"a": 1}, "map keys must be all text or all non-negative integers"),
        ({True: 1}, "map keys must be all text or all non-negative integers"),
        (nested(envelope.MAX_DEPTH + 1), "nested deeper than 12"),
    ],
)
def test_what_has_no_one_form_is_not_encoded_alone_or_within(value: object, error: str) -> None:
    for outer in (value, [0, value], (value,), {"a": value}, {1: [value]}):
        with pytest.raises(EnvelopeError, match=error):
            envelope.encode(outer)


@pytest.mark.parametrize(
    "value", [1 << 63, (1 << 64) - 1, -(1 << 63), {}, {0: 1}, {"a": {7: ()}}, nested(envelope.MAX_DEPTH)]
)
def test_the_largest_that_is_plain_is_encoded(value: object) -> None:
    data = envelope.encode(value)
    assert envelope.encode(envelope.decode(data, limit=len(data))) == data
    with pytest.raises(EnvelopeError, match=f"{len(data)} bytes where at most {len(data) - 1}"):
        envelope.decode(data, limit=len(data) - 1)


NAMED = {1: -19, 4: envelope.key_id(KEY.public_key())}


def cose(*, header: object = NAMED, parts: dict[int, object] | None = None, length: int = 4) -> bytes:
    """A message with this protected header, some of whose parts are exchanged, cut or filled to a length."""
    made: list[object] = [cbor2.dumps(header, canonical=True), {}, b"p", bytes(64), 0]
    for at, part in (parts or {}).items():
        made[at] = part
    return envelope.TAG_SIGN1 + cbor2.dumps(made[:length], canonical=True)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (cose()[1:], "not a COSE_Sign1 message"),
        (cose(length=3), "must be .protected, {}, payload, signature."),
        (cose(length=5), "must be .protected, {}, payload, signature."),
        (cose(parts={1: {"a": 1}}), "must be .protected, {}, payload, signature."),
        (envelope.TAG_SIGN1 + cbor2.dumps(7), "must be .protected, {}, payload, signature."),
        (envelope.TAG_SIGN1 + cbor2.dumps({"a": 1}), "must be .protected, {}, payload, signature."),
        (cose(parts={0: "p"}), "parts must be byte strings"),
        (cose(parts={2: "p"}), "parts must be byte strings"),
        (cose(parts={3: "p" * 64}), "parts must be byte strings"),
        (cose(parts={3: bytes(63)}), "the signature must be 64 bytes"),
        (cose(parts={3: bytes(65)}), "the signature must be 64 bytes"),
        (cose(header=7), "must hold the algorithm and the key id, and nothing else"),
        (cose(header=[1, 4]), "must hold the algorithm and the key id, and nothing else"),
        (cose(header={1: -19}), "must hold the algorithm and the key id, and nothing else"),
        (cose(header=NAMED | {5: 1}), "must hold the algorithm and the key id, and nothing else"),
        (cose(header=NAMED | {1: -8}), "algorithm is not Ed25519"),
        (cose(header=NAMED | {4: bytes(7)}), "the key id must be 8 bytes"),
        (cose(header=NAMED | {4: "12345678"}), "the key id must be 8 bytes"),
    ],
)
def test_a_message_of_another_form_is_refused_before_its_signature_is_tried(
    message: bytes, error: str
) -> None:
    assert envelope.split(cose())[1:] == (b"p", bytes(64), NAMED[4])
    with pytest.raises(EnvelopeError, match=error):
        envelope.split(message)
