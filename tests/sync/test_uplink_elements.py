"""The content of records in a conversation: what is sent, in which parcels and pieces, with which keys."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs
from uplink_twins import KB, LOG_ID, MB, Log, Office, a_leaf, conversation, talk, times
from waiting import PATIENCE_S

from storage.errors import KeyLostError, LedgerError
from sync import messages
from sync.errors import LinkError
from sync.parcel_size import ParcelSize
from sync.pieces import PieceHeld


@pytest.mark.parametrize(
    ("complete_to", "again", "sent"),
    [
        (0, (), [[0, 1, 2, 3]]), (3, (), [[3]]), (4, (), []),
        (2, (1, 0), [[0, 1], [2, 3]]), (2, (1, 2, 3), [[1], [2, 3]]), (4, (3, 4, 9), [[3]]),
    ],
)  # fmt: skip
def test_content_goes_again_where_it_is_wanted_again_and_from_where_it_lacks(
    complete_to: int, again: tuple[int, ...], sent: list[list[int]]
) -> None:
    log, office = Log(received=2).reads(4), Office(size=4, complete_to=complete_to, again=again)
    assert talk(log, office).elements == sum(map(len, sent))
    assert office.records() == sent
    (wanted,) = office.sent("receipt")
    assert wanted.first == min([2, *(one for one in again if one < complete_to)])


@pytest.mark.parametrize(
    ("size", "each", "sent"),
    [
        (8 * KB, 4 * KB, [[0, 1], [2, 3], [4]]), (8 * KB - 1, 4 * KB, [[0], [1], [2], [3], [4]]),
        (MB, 4 * KB, [[0, 1, 2, 3, 4]]), (MB, MB + 1, [[0], [1], [2], [3], [4]]),
    ],
)  # fmt: skip
def test_a_parcel_is_filled_up_to_its_size(size: int, each: int, sent: list[list[int]]) -> None:
    made = conversation(Log().reads(5, size=each), Office(), ParcelSize(size))._parcels(iter(range(5)))
    assert [([one.sequence for one in parcel.items], parcel.size) for parcel in made] == [
        (numbers, each * len(numbers)) for numbers in sent
    ]


def test_a_parcel_has_no_more_items_than_its_header_may_name() -> None:
    names = [f"n{chr(97 + at)}" for at in range(16)]
    log = Log(rows=[a_leaf(0, names=names)] * 513)
    log.content = dict.fromkeys(((0, name) for name in names), b"")
    parcels_made = list(conversation(log, Office())._parcels(iter(range(513))))
    assert [len(one.items) for one in parcels_made] == [messages.MAX_ITEMS, 16]


@pytest.mark.parametrize(
    ("size", "length", "pieces"),
    [
        (8 * KB, 8 * KB, []), (8 * KB, 8 * KB + 1, [(0, 0), (0, 8 * KB), (8 * KB, 1)]),
        (MB - 1, MB, [(0, 0), (0, MB - 1), (MB - 1, 1)]), (MB, MB + 1, []),
    ],
)  # fmt: skip
def test_what_is_more_than_a_bad_line_bears_goes_in_pieces(
    size: int, length: int, pieces: list[tuple[int, int]]
) -> None:
    log, office = Log().reads(1, size=length).reads(1), Office(size=2)
    progress = talk(log, office, ParcelSize(size))
    assert [(one.offset, one.length) for one in office.sent("piece")] == pieces
    assert office.records() == ([[1]] if pieces else [[0], [1]])
    assert (progress.elements, progress.bad) == (2, 0)
    assert [key.epoch for key in (office.sent("piece") or office.sent("parcel"))[0].keys] == [1]


def test_a_piece_waits_for_the_parcel_before_it() -> None:
    """The parcel's answer allows the piece to be twice as long."""
    log, office = Log().reads(1).reads(1, size=40 * KB), Office(size=2)
    talk(log, office, ParcelSize(8 * KB))
    assert office.records() == [[0]]
    assert [one.length for one in office.sent("piece")] == [0, 16 * KB, 24 * KB]


@pytest.mark.parametrize(
    ("held", "good"), [(-1, False), (0, False), (1, True), (4 * KB, True), (4 * KB + 1, False)]
)
def test_a_department_that_held_less_or_more_than_was_sent_is_not_believed(held: int, good: bool) -> None:
    log, office = Log().reads(1, size=10 * KB), Office(size=1)
    office.instead["piece"] = lambda asked: PieceHeld(
        log_id=LOG_ID, held=100 + (held if asked.length else 0), done=False, bad=()
    )
    made = conversation(log, office, ParcelSize(4 * KB))
    if good:
        assert made.run(may_continue=times(3)).elements == 0
        assert [(one.offset, one.length) for one in office.sent("piece")] == [(0, 0), (100, 4 * KB)]
        return
    with pytest.raises(LinkError, match=f"{100 + held} bytes are held, but {100 + 4 * KB} were sent"):
        made.run()


def test_parcels_are_on_their_way_together_on_a_good_line_and_each_brings_its_key() -> None:
    together = threading.Barrier(2)

    class Two(Office):
        depth = 2

        def parcel(self, asked: messages.ParcelHeader) -> messages.Message:
            if asked.items[0].sequence < 2:
                together.wait(PATIENCE_S)
            return super().parcel(asked)

    log, office = Log().reads(3, size=MB), Two(size=3)
    assert talk(log, office).elements == 3
    assert [len(one.keys) for one in office.sent("parcel")][:2] == [1, 1]


@pytest.mark.parametrize(
    ("epochs", "lost", "brought", "asked"),
    [
        ((1, 1, 2), set(), [[1, 2]], [1, 2]), ((0, 0, 1), set(), [[1]], [1]),
        ((1, 1, 1), {1}, [[]], [1]), ((3, 1, 3), {1}, [[3]], [3, 1]),
    ],
)  # fmt: skip
def test_a_parcel_brings_each_key_that_it_needs_once(
    epochs: tuple[int, ...], lost: set[int], brought: list[list[int]], asked: list[int]
) -> None:
    log, office = Log(lost_keys=lost), Office(size=3)
    for epoch in epochs:
        log.reads(1, epoch=epoch)
    talk(log, office)
    assert [[key.epoch for key in one.keys] for one in office.sent("parcel")] == brought
    assert [one[1] for one in log.done if one[0] == "key"] == asked


def test_a_key_that_was_answered_for_is_not_brought_again() -> None:
    log, office = Log().reads(4, size=MB), Office(size=4)
    talk(log, office)
    assert [len(one.keys) for one in office.sent("parcel")] == [1, 1, 0]  # the second was filled earlier


def test_content_that_is_no_more_is_named_without_its_bytes() -> None:
    log, office = Log().reads(3), Office(size=3)
    log.content[0, "text"] = KeyLostError("purged")
    log.content[1, "text"] = LedgerError("damaged", where="blob")
    bad = [(0, True), (1, True), (2, False)]
    office.bad = tuple(
        messages.Bad(sequence=number, name="text", reason="gone", final=final) for number, final in bad
    )
    with capture_logs() as told:
        progress = talk(log, office)
    assert [(one["event"], one.get("final")) for one in told] == [
        ("records_gone_before_sent", None), ("records_refused", False), ("records_refused", True)
    ]  # fmt: skip
    assert [item.length for item in office.sent("parcel")[0].items] == [0, 0, 10]
    assert (progress.elements, progress.purged, progress.bad) == (0, 1, 2)
    assert [one for one in log.done if one[0] == "incident"] == [
        ("incident", "content-lost", "record 1, text: damaged"),
        ("incident", "records-refused", "1 elements of records 1 to 1: gone"),
    ]


def test_what_was_purged_here_and_is_wanted_again_later_is_still_bad() -> None:
    log, office = Log().reads(1), Office(size=1)
    log.content[0, "text"] = KeyLostError("purged")
    office.bad = (messages.Bad(sequence=0, name="text", reason="gone", final=False),)
    progress = talk(log, office)
    assert (progress.purged, progress.bad) == (0, 1)
