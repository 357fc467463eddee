"""Only a receipt lets a unit destroy early, so each field is checked, with a forged receipt for each."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import envelope
from storage.errors import EnvelopeError, RecordError, SignatureError
from storage.receipts import CONTEXT, open_receipt

MAX_RANGES = 4096
KEY = Ed25519PrivateKey.generate()
LOG = b"\7" * 32
GOOD: dict[str, object] = {"log_id": LOG, "ranges": [[0, 3], [5, 5]], "size": 6, "root": b"\1" * 32}


def signed(value: object, key: Ed25519PrivateKey = KEY, context: bytes = CONTEXT) -> bytes:
    return envelope.sign(envelope.encode(value), key, context=context)


def test_a_good_receipt_says_its_ranges_and_its_tree() -> None:
    said = open_receipt(signed(GOOD), KEY.public_key(), LOG)
    assert (said.ranges, said.size, said.root) == (((0, 3), (5, 5)), 6, b"\1" * 32)
    many = [[2 * number, 2 * number] for number in range(MAX_RANGES)]
    told = open_receipt(signed(GOOD | {"ranges": many, "size": 2 * MAX_RANGES - 1}), KEY.public_key(), LOG)
    assert len(told.ranges) == MAX_RANGES
    assert open_receipt(signed(GOOD | {"ranges": [], "size": 0}), KEY.public_key(), LOG).ranges == ()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        pytest.param({"log_id": bytes(32)}, "another log", id="another log"),
        pytest.param({"ranges": None}, "no ranges", id="no ranges"),
        pytest.param({"ranges": [[2 * n, 2 * n] for n in range(MAX_RANGES + 1)]}, "no ranges", id="too many"),
        pytest.param({"ranges": [[0, 1, 2]]}, "two numbers", id="three numbers"),
        pytest.param({"ranges": [[0]]}, "two numbers", id="one number"),
        pytest.param({"ranges": [[0, True]]}, "two numbers", id="a truth for a number"),
        pytest.param({"ranges": [b"\x00\x01"]}, "two numbers", id="bytes for a pair"),
        pytest.param({"ranges": ["01"]}, "two numbers", id="a text for a pair"),
        pytest.param({"ranges": [[-1, 3]]}, "must rise", id="a negative record"),
        pytest.param({"ranges": [[3, 2]]}, "must rise", id="a range that falls"),
        pytest.param({"ranges": [[0, 3], [3, 5]]}, "must rise", id="ranges that overlap by one"),
        pytest.param({"ranges": [[5, 5], [0, 3]]}, "must rise", id="ranges in the wrong order"),
        pytest.param({"size": 5}, "are not in the tree", id="a tree one record too small"),
        pytest.param({"size": None}, "names no tree", id="no size"),
        pytest.param({"size": True}, "names no tree", id="a truth for a size"),
        pytest.param({"root": b"\1" * 31}, "names no tree", id="a short root"),
        pytest.param({"root": "r" * 32}, "names no tree", id="a text for a root"),
        pytest.param({"root": bytes(32)}, "are not in the tree", id="a root of zeros"),
    ],
)
def test_a_receipt_with_one_wrong_field_is_refused(changes: dict[str, object], word: str) -> None:
    with pytest.raises(RecordError, match=word):
        open_receipt(signed(GOOD | changes), KEY.public_key(), LOG)


def test_a_receipt_that_is_not_a_map_or_signed_by_another_or_for_something_else_is_refused() -> None:
    with pytest.raises(RecordError, match="another log"):
        open_receipt(signed([1]), KEY.public_key(), LOG)
    with pytest.raises(SignatureError):
        open_receipt(signed(GOOD, Ed25519PrivateKey.generate()), KEY.public_key(), LOG)
    with pytest.raises(EnvelopeError):
        open_receipt(signed(GOOD, context=b"alpr-reader/sync/v1/other"), KEY.public_key(), LOG)
