"""A leaf's payload: each field at its limits, and every other form refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from storage import envelope
from storage.errors import EnvelopeError, RecordError
from storage.leaf import Leaf

MARK = [bytes(32), bytes(32)]
GOOD: dict[Any, Any] = {1: 1, 2: b"l" * 32, 3: "read", 4: 0, 5: 0, 6: "read", 7: {"text": MARK}}
MOST = (1 << 63) - 1


def marks(count: int) -> dict[str, list[bytes]]:
    return {f"e{'abcdefghijklmnopqrstuvwxyz'[at]}": MARK for at in range(count)}


@pytest.mark.parametrize(
    "changes",
    [{}, {4: MOST}, {5: MOST}, {6: "open"}, {7: marks(16)}, {7: {"a": MARK, "a_" + "b" * 30: MARK}}],
)
def test_a_field_at_its_bound_is_read_as_it_was_written(changes: dict[Any, Any]) -> None:
    payload = envelope.encode(GOOD | changes)
    assert Leaf.parse(payload).payload() == payload


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({1: 2}, "version 2 is unknown, 1 is known"),
        ({2: b"l" * 31}, "log id or key class malformed"),
        ({2: "l" * 32}, "log id or key class malformed"),
        ({3: "unknown"}, "of an unknown kind"),
        ({3: 7}, "of an unknown kind"),
        ({3: []}, "of an unknown kind"),
        ({4: -1}, "sequence or epoch malformed"),
        ({4: MOST + 1}, "sequence or epoch malformed"),
        ({4: True}, "sequence or epoch malformed"),
        ({5: -1}, "sequence or epoch malformed"),
        ({5: MOST + 1}, "sequence or epoch malformed"),
        ({5: 1.5}, "sequence or epoch malformed"),
        ({6: "secret"}, "log id or key class malformed"),
        ({6: 1}, "log id or key class malformed"),
        ({7: {}}, "has 1 to 16 elements"),
        ({7: marks(17)}, "has 1 to 16 elements"),
        ({7: [MARK]}, "has 1 to 16 elements"),
        ({7: {"Text": MARK}}, "element name malformed"),
        ({7: {"a" * 33: MARK}}, "element name malformed"),
        ({7: {7: MARK}}, "element name malformed"),
        ({7: {"text": MARK[:1]}}, "an element is .commitment, digest., 32 bytes each"),
        ({7: {"text": [*MARK, bytes(32)]}}, "an element is .commitment, digest., 32 bytes each"),
        ({7: {"text": [bytes(31), bytes(32)]}}, "an element is .commitment, digest., 32 bytes each"),
        ({7: {"text": [bytes(32), "d" * 32]}}, "an element is .commitment, digest., 32 bytes each"),
        ({7: {"text": bytes(64)}}, "an element is .commitment, digest., 32 bytes each"),
        ({8: 1}, "a leaf has the fields 1 to 7"),
    ],
)
def test_a_payload_of_another_form_is_refused_with_the_reason(changes: dict[Any, Any], error: str) -> None:
    with pytest.raises(RecordError, match=f"leaf: {error}"):
        Leaf.parse(envelope.encode(GOOD | changes))


def test_a_payload_that_lacks_a_field_is_none_and_one_beyond_the_limit_is_not_parsed() -> None:
    for value in ({key: GOOD[key] for key in range(1, 7)}, [1, 2, 3, 4, 5, 6, 7]):
        with pytest.raises(RecordError, match="a leaf has the fields 1 to 7"):
            Leaf.parse(envelope.encode(value))
    with pytest.raises(EnvelopeError, match="at most 65536"):
        Leaf.parse(bytes(65_537))
