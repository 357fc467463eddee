"""Every limit of a message's field: the last value inside is accepted, the first outside is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage import codec
from storage.errors import RecordError
from storage.leaf import MAX_LEAF_BYTES
from sync import messages
from sync.closed_parcels import MAX_CLOSED_LEAVES, ClosedHeader, ClosedHeld
from sync.destruction import MAX_HOLDS, MAX_RANGES, Destroyed
from sync.errors import MessageError
from sync.parcels import frame_parcel, split_parcel
from sync.pieces import PieceHeader, PieceHeld

LOG, NUMBER = bytes(32), 1 << 63
KEY = messages.SealedKey(epoch=0, day_key=bytes(32), sealed=bytes(113))
ITEM = messages.ParcelElement(sequence=0, name="text", length=0)
ELEMENT = messages.MAX_ELEMENT_BYTES
KINDS: tuple[Any, ...] = (
    messages.Hello(
        log_id=LOG, nonce=bytes(16), at_us=0, checkpoint="", proof=(), held=0, software="alpr 1"
    ),
    messages.State(
        log_id=LOG, nonce=b"", at_us=0, size=7, cosigned=None, complete_to=0, again=(), documents=(),
        certificate_days=1,
    ),
    messages.LeafBatch(log_id=LOG, first=0, leaves=(b"",), checkpoint="", proof=()),
    KEY,
    ITEM,
    messages.ParcelHeader(log_id=LOG, keys=(), items=()),
    messages.ReceiptWanted(log_id=LOG, first=0),
    messages.Receipt(department="d", log_id=LOG, ranges=(), size=9, root=b"", at_us=0, note=""),
    messages.DocumentWanted(log_id=LOG, name="", document_version=1, offset=0),
    messages.DocumentPart(log_id=LOG, name="", document_version=1, total=5, offset=0, data=b""),
    messages.EnrollRequest(secret=bytes(16), vouch=b"", software=""),
    messages.EnrollAnswer(
        unit_id="u" * 32, name="n", department="d", certificate=b"", authority=b"", unit_address="h:1",
        documents=(), at_us=0,
    ),
    ClosedHeader(log_id=LOG, closed=LOG, keys=(), leaves=(b"",), items=()),
    ClosedHeld(
        log_id=LOG, closed=LOG, first=3, last=3, digest=bytes(32), lacking=(), bad=(), at_us=0
    ),
    PieceHeader(log_id=LOG, keys=(), sequence=0, name="n", total=9, offset=0, length=0),
    PieceHeld(log_id=LOG, held=0, done=False, bad=()),
    Destroyed(
        log_id=LOG, unit_id="u", at_us=0, size=9, checkpoint="", grant_id="", undelivered=0, ranges=(),
        holds=(),
    ),
)  # fmt: skip
BASE = {type(one): one for one in KINDS}
hashes = (bytes(32),)
many = tuple((2 * at, 2 * at) for at in range(MAX_RANGES + 1))
BOUNDS: tuple[tuple[Any, tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]], ...] = (
    # kind, values just inside, values just outside
    (
        messages.Hello,
        (
            {"held": NUMBER - 1},
            {"checkpoint": "c" * messages.MAX_NOTE},
            {"proof": hashes * messages.MAX_PROOF},
        ),
        (
            {"held": NUMBER},
            {"held": -1},
            {"checkpoint": "c" * (messages.MAX_NOTE + 1)},
            {"proof": hashes * (messages.MAX_PROOF + 1)},
            {"proof": (bytes(31),)},
            {"log_id": bytes(31)},
            {"log_id": bytes(33)},
            {"nonce": bytes(15)},
            {"nonce": bytes(17)},
        ),
    ),
    (messages.State, ({"complete_to": 7},), ({"complete_to": 8}, {"complete_to": -1})),
    (
        messages.LeafBatch,
        (
            {"leaves": (b"",) * messages.MAX_LEAVES},
            {"leaves": (bytes(MAX_LEAF_BYTES),)},
            {"first": (1 << 62) - 1},
            {"checkpoint": "c" * messages.MAX_NOTE},
        ),
        (
            {"leaves": ()},
            {"leaves": (b"",) * (messages.MAX_LEAVES + 1)},
            {"leaves": (b"", bytes(MAX_LEAF_BYTES + 1))},
            {"first": 1 << 62},
            {"first": -1},
            {"checkpoint": "c" * (messages.MAX_NOTE + 1)},
            {"proof": (bytes(33),)},
        ),
    ),
    (
        messages.SealedKey,
        ({"epoch": NUMBER - 1},),
        (
            {"epoch": NUMBER},
            {"epoch": -1},
            {"day_key": bytes(31)},
            {"day_key": bytes(33)},
            {"sealed": bytes(112)},
            {"sealed": bytes(114)},
        ),
    ),
    (
        messages.ParcelElement,
        ({"length": ELEMENT}, {"sequence": NUMBER - 1}, {"name": "n"}, {"name": "n" * 32}),
        (
            {"length": ELEMENT + 1},
            {"length": -1},
            {"sequence": NUMBER},
            {"sequence": -1},
            {"name": ""},
            {"name": "n" * 33},
        ),
    ),
    (
        messages.ParcelHeader,
        (
            {"keys": (KEY,) * messages.MAX_KEYS},
            {"items": (ITEM,) * messages.MAX_ITEMS},
            {"items": (ITEM, replace(ITEM, length=ELEMENT - 1), replace(ITEM, length=1))},
            {"leaf": bytes(MAX_LEAF_BYTES)},
        ),
        (
            {"keys": (KEY,) * (messages.MAX_KEYS + 1)},
            {"items": (ITEM,) * (messages.MAX_ITEMS + 1)},
            {"items": (replace(ITEM, length=ELEMENT), replace(ITEM, length=1))},
            {"leaf": bytes(MAX_LEAF_BYTES + 1)},
            {"items": (replace(ITEM, length=-1),)},
            {"keys": (replace(KEY, epoch=-1),)},
        ),
    ),
    (messages.ReceiptWanted, ({"first": (1 << 62) - 1},), ({"first": 1 << 62}, {"first": -1})),
    (
        messages.Receipt,
        ({"ranges": ((0, 0), (1, 3), (5, 8))},),
        (
            {"ranges": ((0, 3), (3, 5))},
            {"ranges": ((4, 5), (0, 1))},
            {"ranges": ((3, 2),)},
            {"ranges": ((5, 9),)},
            {"ranges": ((-1, 1),)},
        ),
    ),
    (
        messages.DocumentWanted,
        ({"offset": messages.MAX_DOCUMENT_BYTES}, {"name": "n" * 64}),
        ({"offset": messages.MAX_DOCUMENT_BYTES + 1}, {"offset": -1}, {"name": "n" * 65}),
    ),
    (
        messages.DocumentPart,
        (
            {"offset": 5},
            {"total": messages.MAX_DOCUMENT_BYTES},
            {"data": bytes(messages.MAX_PART_BYTES)},
        ),
        (
            {"offset": 6},
            {"offset": -1},
            {"total": messages.MAX_DOCUMENT_BYTES + 1},
            {"data": bytes(messages.MAX_PART_BYTES + 1)},
        ),
    ),
    (
        messages.EnrollRequest,
        ({"software": "s" * 64},),
        ({"software": "s" * 65}, {"secret": bytes(15)}, {"secret": bytes(17)}),
    ),
    (
        messages.EnrollAnswer,
        (
            {"documents": (messages.SignedDocument(name="d", message=b""),) * 16},
            {"name": "n" * 64},
        ),
        (
            {"documents": (messages.SignedDocument(name="d", message=b""),) * 17},
            {"name": ""},
            {"name": "n" * 65},
            {"unit_id": "u" * 31},
            {"unit_id": "u" * 33},
        ),
    ),
    (
        ClosedHeader,
        (
            {"leaves": (b"",) * MAX_CLOSED_LEAVES},
            {"leaves": (bytes(MAX_LEAF_BYTES),)},
            {"keys": (KEY,) * messages.MAX_KEYS},
            {"items": (ITEM,) * messages.MAX_ITEMS},
            {"items": (replace(ITEM, length=ELEMENT - 1), replace(ITEM, length=1))},
        ),
        (
            {"closed": bytes(31)},
            {"closed": bytes(33)},
            {"leaves": ()},
            {"leaves": (b"",) * (MAX_CLOSED_LEAVES + 1)},
            {"leaves": (b"", bytes(MAX_LEAF_BYTES + 1))},
            {"keys": (KEY,) * (messages.MAX_KEYS + 1)},
            {"items": (ITEM,) * (messages.MAX_ITEMS + 1)},
            {"items": (replace(ITEM, length=ELEMENT), replace(ITEM, length=1))},
        ),
    ),
    (
        ClosedHeld,
        ({"first": 0}, {"last": NUMBER - 1}),
        (
            {"first": -1},
            {"first": 4},
            {"last": NUMBER},
            {"closed": bytes(31)},
            {"digest": bytes(31)},
        ),
    ),
    (
        PieceHeader,
        (
            {"offset": 9},
            {"length": 9},
            {"offset": 4, "length": 5},
            {"total": 1},
            {"total": ELEMENT},
            {"sequence": NUMBER - 1},
            {"name": "n" * 32},
            {"keys": (KEY,) * messages.MAX_KEYS},
        ),
        (
            {"offset": -1},
            {"offset": 10},
            {"offset": 4, "length": 6},
            {"length": -1},
            {"total": 0},
            {"total": ELEMENT + 1},
            {"sequence": NUMBER},
            {"sequence": -1},
            {"name": ""},
            {"name": "n" * 33},
            {"keys": (KEY,) * (messages.MAX_KEYS + 1)},
        ),
    ),
    (PieceHeld, ({"held": ELEMENT},), ({"held": ELEMENT + 1}, {"held": -1})),
    (
        Destroyed,
        (
            {"unit_id": "u" * 64},
            {"checkpoint": "c" * messages.MAX_NOTE},
            {"grant_id": "g" * 64},
            {"holds": (1,) * MAX_HOLDS},
            {"ranges": ((0, 0), (1, 3), (8, 8)), "undelivered": 5},
            {"size": 999, "ranges": many[:MAX_RANGES], "undelivered": 999},
        ),
        (
            {"log_id": bytes(31)},
            {"unit_id": "u" * 65},
            {"checkpoint": "c" * (messages.MAX_NOTE + 1)},
            {"grant_id": "g" * 65},
            {"holds": (1,) * (MAX_HOLDS + 1)},
            {"ranges": ((0, 3), (3, 5)), "undelivered": 2},
            {"ranges": ((-1, 3),)},
            {"ranges": ((3, 2),)},
            {"ranges": ((5, 9),)},
            {"ranges": ((0, 0), (1, 3), (8, 8)), "undelivered": 6},
            {"size": 999, "ranges": many},
            {"size": 999, "ranges": many[:MAX_RANGES], "undelivered": 1000},
            {"undelivered": -1},
        ),
    ),
)


def cases(at: int) -> list[Any]:
    return [
        pytest.param(kind, changes, id=f"{kind.__name__} {' '.join(changes)} {number}")
        for kind, *sides in BOUNDS
        for number, changes in enumerate(sides[at])
    ]


@pytest.mark.parametrize(("kind", "changes"), cases(0))
def test_the_last_value_inside_a_bound_passes_as_it_is(kind: type[Any], changes: dict[str, Any]) -> None:
    one = replace(BASE[kind], **changes)
    assert codec.from_plain(kind, codec.to_plain(one)) == one


@pytest.mark.parametrize(("kind", "changes"), cases(1))
def test_the_first_value_outside_a_bound_is_refused(kind: type[Any], changes: dict[str, Any]) -> None:
    one = replace(BASE[kind], **changes)
    with pytest.raises(RecordError):
        codec.from_plain(kind, codec.to_plain(one))


@pytest.mark.parametrize(
    ("name", "bound"),
    {
        "NONCE_BYTES": 16, "MAX_NOTE": 8192, "MAX_LEAVES": 2048, "MAX_LEAVES_BYTES": 4_194_304,
        "MAX_ITEMS": 8192, "MAX_KEYS": 512, "MAX_HEADER_BYTES": 1_048_576, "MAX_ELEMENT_BYTES": 16_778_240,
        "MAX_SMALL_BYTES": 65_536, "MAX_DOCUMENT_BYTES": 67_108_864, "MAX_PART_BYTES": 262_144,
        "MAX_PROOF": 130, "MAX_TRIES": 3, "VERSION": 1,
    }.items(),
)  # fmt: skip
def test_a_unit_and_a_department_of_other_versions_have_the_same_bounds(name: str, bound: int) -> None:
    assert getattr(messages, name) == bound


def test_the_largest_part_of_a_document_fits_its_message() -> None:
    part = replace(BASE[messages.DocumentPart], name="n" * 64, data=bytes(messages.MAX_PART_BYTES))
    assert len(messages.seal_message(part, lambda body, _: body)) < messages.DocumentPart.LIMIT


def test_a_message_over_its_kinds_limit_is_neither_sealed_nor_opened() -> None:
    wanted = BASE[messages.ReceiptWanted]
    limit = messages.ReceiptWanted.LIMIT
    assert messages.seal_message(wanted, lambda *_: bytes(limit)) == bytes(limit)
    with pytest.raises(MessageError, match="are allowed"):
        messages.seal_message(wanted, lambda *_: bytes(limit + 1))


def test_a_parcel_is_as_large_as_its_largest_header_and_element() -> None:
    header = bytes(messages.MAX_HEADER_BYTES)
    data = b"".join(frame_parcel(header, [bytes(ELEMENT)]))
    head, body = split_parcel(data)
    assert (head, len(body)) == (header, ELEMENT)
    with pytest.raises(MessageError, match="at most"):
        split_parcel(data + b"\0")
    with pytest.raises(MessageError, match="header length"):
        split_parcel(b"".join(frame_parcel(header + b"\0", [])))


@pytest.mark.parametrize("short", [b"\0\0\1", b"\0\0\0", b"\0\0\0\2h"])
def test_a_parcel_shorter_than_it_says_is_refused(short: bytes) -> None:
    with pytest.raises(MessageError, match="header length"):
        split_parcel(short)
    head, body = split_parcel(b"\0\0\0\1h")
    assert (head, bytes(body)) == (b"h", b"")


def test_no_repr_of_a_message_shows_what_it_carries() -> None:
    mark = b"sealed bytes"
    carried = (
        replace(BASE[messages.LeafBatch], leaves=(mark,)),
        replace(KEY, sealed=mark),
        replace(BASE[messages.ParcelHeader], leaf=mark),
        replace(BASE[messages.DocumentPart], data=mark),
        messages.SignedDocument(name="d", message=mark),
        replace(BASE[ClosedHeader], leaves=(mark,)),
    )
    assert "sealed bytes" not in repr(carried)
