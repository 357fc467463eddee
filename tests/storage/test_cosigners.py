"""Co-signatures of both algorithms: writer and reader as a pair, published vectors, altered ones."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from storage.checkpoint import Checkpoint, NoteKey, cosign, open_cosignatures, sign_checkpoint
from storage.cosigners import (
    TYPE_ML_DSA_44,
    CosignerKey,
    PrivateCosigner,
    Witnesses,
    cosignature_line,
    cosigned_by,
    signed_message,
)
from storage.errors import CheckpointError

ORIGIN = "example.com/log"
NAME = "witness.example/w1"
TIME_S = 1_790_000_000
LOG = Ed25519PrivateKey.generate()
PRIVATE: dict[str, PrivateCosigner] = {
    "ed25519": Ed25519PrivateKey.generate(),
    "ml-dsa-44": MLDSA44PrivateKey.generate(),
}


def note(size: int = 42, root: bytes = bytes(range(32))) -> str:
    return sign_checkpoint(Checkpoint(ORIGIN, size, root), LOG)


@pytest.mark.parametrize("kind", PRIVATE)
def test_what_is_cosigned_opens_with_its_key_and_no_other(kind: str) -> None:
    private = PRIVATE[kind]
    whole = note() + cosignature_line(note(), NAME, private, time_s=TIME_S)
    key = CosignerKey.of(NAME, private)
    (found,) = cosigned_by(whole, [key])
    assert (found.name, found.time_s) == (NAME, TIME_S)
    assert cosigned_by(whole, [CosignerKey.of("witness.example/w2", private)]) == []
    assert cosigned_by(note(), [key]) == []


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_key_is_written_as_it_is_read(kind: str) -> None:
    key = CosignerKey.of(NAME, PRIVATE[kind])
    assert CosignerKey.parse(key.text()) == key


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_cosignature_of_another_head_does_not_hold(kind: str) -> None:
    key, line = (
        CosignerKey.of(NAME, PRIVATE[kind]),
        cosignature_line(note(), NAME, PRIVATE[kind], time_s=TIME_S),
    )
    for other in (note(size=43), note(root=bytes(32))):
        with pytest.raises(CheckpointError, match="is not valid"):
            cosigned_by(other + line, [key])


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_cosignature_under_another_name_is_not_the_keys(kind: str) -> None:
    line = cosignature_line(note(), NAME, PRIVATE[kind], time_s=TIME_S)
    renamed = note() + line.replace(NAME, "witness.example/w2")
    assert cosigned_by(renamed, [CosignerKey.of(NAME, PRIVATE[kind])]) == []


@pytest.mark.parametrize(("length", "taken"), [(0, False), (1, True), (255, True), (256, False)])
def test_a_name_in_an_ml_dsa_cosignature_has_1_to_255_bytes(length: int, taken: bool) -> None:
    text = Checkpoint(ORIGIN, 42, bytes(32)).text()
    if taken:
        assert signed_message(TYPE_ML_DSA_44, "n" * length, text, TIME_S)[12] == length
        return
    with pytest.raises(CheckpointError, match="has 1 to 255 bytes"):
        signed_message(TYPE_ML_DSA_44, "n" * length, text, TIME_S)


def test_ed25519_lines_are_those_of_the_checkpoint_module() -> None:
    """Both modules must agree on the bytes: one writes, the other reads."""
    private = PRIVATE["ed25519"]
    assert isinstance(private, Ed25519PrivateKey)
    whole = note() + cosignature_line(note(), NAME, private, time_s=TIME_S)
    assert whole == cosign(note(), NAME, private, time_s=TIME_S)
    assert len(open_cosignatures(whole, [NoteKey(NAME, private.public_key(), 4)])) == 1


def test_the_ml_dsa_message_is_the_structure_of_the_specification() -> None:
    """C2SP tlog-cosignature, "ML-DSA-44 signed message", built by hand."""
    text = Checkpoint(ORIGIN, 42, b"\xab" * 32).text()
    wanted = bytes.fromhex("737562747265652f76310a00")
    wanted += bytes([18]) + b"witness.example/w1" + (TIME_S).to_bytes(8, "big")
    wanted += bytes([15]) + b"example.com/log" + bytes(8) + (42).to_bytes(8, "big") + b"\xab" * 32
    assert signed_message(TYPE_ML_DSA_44, NAME, text, TIME_S) == wanted


def test_the_reference_witness_names_the_same_ml_dsa_key() -> None:
    """litewitness (FiloSottile/torchwood, cmd/litewitness/testdata/mldsa.txt): the key from its published
    seed has this id, and its line has this digest.
    """
    seed = bytes.fromhex("2886adc2b0eabfce67c0472939127998bf886cf256bfee8ba76a253fce1146e0")
    key = CosignerKey.of("example.com/mldsa-log", MLDSA44PrivateKey.from_seed_bytes(seed))
    assert key.text().startswith("example.com/mldsa-log+b5df45c5+BuhtcL97l3dcitjZ8Y9J54gm")
    assert hashlib.sha256(key.text().encode()).hexdigest() == REFERENCE_LINE


REFERENCE_LINE = "664e76027ff6f4d655e95aec4f63d6a483c757e3925ded6d359d98e179c44553"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("w+00000000+" + "A" * 44, "not a co-signing key", id="type 0"),
        pytest.param(NoteKey(NAME, LOG.public_key(), 1).text(), "not a co-signing key", id="a log's key"),
        pytest.param(CosignerKey.of(NAME, PRIVATE["ed25519"]).text()[:-4], "wrong length", id="cut off"),
        pytest.param(CosignerKey(NAME, 4, bytes(33)).text(), "wrong length", id="too long"),
        pytest.param(CosignerKey(NAME, 6, bytes(1311)).text(), "wrong length", id="ML-DSA cut off"),
        pytest.param(
            CosignerKey.of(NAME, PRIVATE["ml-dsa-44"]).text().replace("+", "+0", 1), "copying", id="wrong id"
        ),
        pytest.param(
            CosignerKey.of("a b", PRIVATE["ed25519"]).text(), "not a co-signing key", id="a space in the name"
        ),
        pytest.param("w+00000000+@", "is not base64", id="no base64"),
        pytest.param("w+00000000+", "not a co-signing key", id="no key"),
        pytest.param("", "not a co-signing key", id="nothing"),
    ],
)
def test_a_malformed_key_is_refused_with_the_reason(text: str, error: str) -> None:
    with pytest.raises(CheckpointError, match=error):
        CosignerKey.parse(text)


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_signature_of_another_length_or_without_a_time_is_refused_with_the_reason(kind: str) -> None:
    key, text = CosignerKey.of(NAME, PRIVATE[kind]), note().split("\n\n")[0] + "\n"
    length = {"ed25519": 64, "ml-dsa-44": 2420}[kind]
    last = (1 << 63) - 1
    blob = last.to_bytes(8, "big") + PRIVATE[kind].sign(signed_message(key.type, NAME, text, last))
    assert key.verify(text, blob).time_s == last
    for wrong in (blob[:-1], blob + b"x", b""):
        with pytest.raises(CheckpointError, match="has the wrong length"):
            key.verify(text, wrong)
    with pytest.raises(CheckpointError, match="has no time"):
        key.verify(text, (last + 1).to_bytes(8, "big") + bytes(length))
    with pytest.raises(CheckpointError, match="is not valid"):
        key.verify(text, bytes(8 + length))


def test_the_first_of_two_lines_of_one_key_counts_and_the_earliest_of_a_witness() -> None:
    private = PRIVATE["ed25519"]
    key, other = CosignerKey.of(NAME, private), CosignerKey.of("w2", private)
    whole = note()
    for name, time_s in ((NAME, TIME_S + 1), (NAME, TIME_S), ("w2", TIME_S - 1)):
        whole += cosignature_line(note(), name, private, time_s=time_s)
    assert [one.time_s for one in cosigned_by(whole, [key])] == [TIME_S + 1]
    policy = Witnesses(((key, other),), quorum=1)
    assert [one.time_s for one in policy.cosignatures(whole)] == [TIME_S - 1]
    first = Witnesses(((key,), (other,)), quorum=1).witnessed(whole)
    assert first is not None
    assert first.name == "w2"


@pytest.mark.parametrize("bent", ["short", "time", "signature", "none"])
@pytest.mark.parametrize("kind", PRIVATE)
def test_a_bent_signature_is_refused(kind: str, bent: str) -> None:
    import base64

    key, line = (
        CosignerKey.of(NAME, PRIVATE[kind]),
        cosignature_line(note(), NAME, PRIVATE[kind], time_s=TIME_S),
    )
    blob = bytearray(base64.b64decode(line.split(" ")[2]))
    if bent == "short":
        del blob[-1]
    elif bent == "time":
        blob[11] ^= 1
    elif bent == "signature":
        blob[-1] ^= 1
    else:
        blob[4:12] = b"\xff" * 8
    whole = note() + f"— {NAME} {base64.b64encode(blob).decode()}\n"
    with pytest.raises(CheckpointError):
        cosigned_by(whole, [key])


def test_a_quorum_counts_witnesses_and_not_keys() -> None:
    """A witness that signs with both of its keys counts once."""
    first: tuple[PrivateCosigner, ...] = (Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate())
    second, third = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    policy = Witnesses(
        (
            (CosignerKey.of("w1", first[0]), CosignerKey.of("w1", first[1])),
            (CosignerKey.of("w2", second),),
            (CosignerKey.of("w3", third),),
        ),
        quorum=2,
    )
    whole = note()
    for at, private in enumerate(first):
        whole += cosignature_line(note(), "w1", private, time_s=TIME_S + at)
    assert policy.witnessed(whole) is None
    whole += cosignature_line(note(), "w3", third, time_s=TIME_S + 9)
    done = policy.witnessed(whole)
    assert done is not None
    assert (done.name, done.time_s) == ("w3", TIME_S + 9)
    assert policy.names() == ("w1", "w2", "w3")


@pytest.mark.parametrize("quorum", [0, 2])
def test_a_quorum_that_cannot_be_is_never_reached(quorum: int) -> None:
    private = PRIVATE["ed25519"]
    policy = Witnesses(((CosignerKey.of(NAME, private),),), quorum=quorum)
    assert policy.witnessed(note() + cosignature_line(note(), NAME, private, time_s=TIME_S)) is None
