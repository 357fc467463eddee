"""The fast way of a lookup to a plate's text gives the same result as the slow way."""

from __future__ import annotations

import pytest
from custody_twins import PLATE, START_US, SteppedTime, add_reads, ask_signed, make_read
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.clock import TimeState
from storage import codec, sealing, search
from storage.door import Door, subject_of
from storage.epochs import EpochFacts
from storage.errors import SealError
from storage.ledger import Ledger
from storage.record_base import KeyClass
from storage.search import UnitQuery
from storage.times import DAY_US, HOUR_US

PLATES = st.text("ABCXYZ0189?", min_size=1, max_size=16)


@pytest.mark.one_python
@settings(max_examples=500)
@given(PLATES, st.booleans(), st.binary(max_size=300).filter(lambda b: len(b) % 148 == 0), PLATES)
def test_the_short_way_reads_what_the_long_way_reads(text: str, demo: bool, slots: bytes, other: str) -> None:
    part = make_read(text=text, demo=demo, slots=slots, candidates=((other, 0.5),)).text_part()
    opened = sealing.fresh("text", codec.to_bytes(part))
    frame = sealing.leave_open(opened).stored
    head = search._TEXT_HEAD.match(frame, search._CONTENT)
    assert head is not None
    assert head[1].decode() == text == search._text(1, frame)


@given(st.integers(0, (1 << 63) - 1))
def test_a_record_is_named_to_the_cipher_as_it_was_when_sealed(sequence: int) -> None:
    log_id = bytes(range(32))
    assert search._aad_maker(log_id)(sequence) == sealing.aad_of(log_id, sequence, "text")


def test_a_look_up_finds_the_same_reads_whichever_way_it_takes(ledger: Ledger, time: SteppedTime) -> None:
    texts = ["7XKR219", "7XK?219", "7XKR218", "7XKR21", "ABC"]
    stored = {add_reads(ledger, time, 1, text=text)[0]: text for text in texts}
    store = ledger.store
    epochs = [one for one in store.book.epochs.values() if one.epoch in store.live]
    for plate in (None, *texts, "???", "7XKR2??"):
        found = dict(search.find_texts(store.home, epochs, store.live, store.log_id, plate))
        asked = {sequence: search.matches(plate, text) for sequence, text in stored.items()}
        assert found == {sequence: exact for sequence, (alike, exact) in asked.items() if alike}


def test_a_damaged_text_stops_a_look_up_and_is_named(ledger: Ledger, time: SteppedTime) -> None:
    sequence = add_reads(ledger, time, 1)[0]
    store = ledger.store
    with store.db.atomic():
        store.db.conn.execute(
            "UPDATE elements SET stored = zeroblob(1308) WHERE sequence = ? AND name = 'text'", (sequence,)
        )
    epochs = [one for one in store.book.epochs.values() if one.epoch in store.live]
    with pytest.raises(SealError, match=f"record {sequence}, text"):
        list(search.find_texts(store.home, epochs, store.live, store.log_id, "ABC"))


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (None, "7XKR219", (True, True)), ("7XKR219", "7XKR219", (True, True)),
        ("7XKR219", "7XKR218", (False, False)), ("7XKR21?", "7XKR218", (True, True)),
        ("7XKR218", "7XKR21?", (True, False)), ("???????", "7XKR21?", (True, False)),
        ("7XKR21", "7XKR219", (False, False)), ("7XKR2190", "7XKR219", (False, False)),
        ("?", "", (False, False)),
    ],
)  # fmt: skip
def test_a_sign_that_was_not_read_matches_any_and_is_not_exact(
    pattern: str | None, text: str, found: tuple[bool, bool]
) -> None:
    assert search.matches(pattern, text) == found


OPENED = EpochFacts(1, KeyClass.READ, 10 * HOUR_US, "kek", 1)
ENDED = EpochFacts(1, KeyClass.HIT, 10 * HOUR_US, "kek", 1, closed=True, closed_us=20 * HOUR_US)


@pytest.mark.parametrize(
    ("facts", "since_us", "until_us", "asked"),
    [
        (OPENED, 0, 9 * HOUR_US, False), (OPENED, 0, 9 * HOUR_US + 1, True),
        (OPENED, 99 * HOUR_US, 100 * HOUR_US, True), (ENDED, 21 * HOUR_US, 99 * HOUR_US, True),
        (ENDED, 21 * HOUR_US + 1, 99 * HOUR_US, False),
        (EpochFacts(2, KeyClass.READ, 0, "kek", 1), 0, 99, False),  # its key is not here
        (EpochFacts(1, KeyClass.AUDIT, 0, "kek", 1), 0, 99, False),
        (EpochFacts(1, KeyClass.HOLD, 0, "kek", 1), 0, 99, False),
        (EpochFacts(1, KeyClass.READ, 0, "kek", 1, purged_by=9), 0, 99, False),
    ],
)  # fmt: skip
def test_a_look_up_opens_the_epochs_of_its_time_and_an_hour_about_it(
    facts: EpochFacts, since_us: int, until_us: int, asked: bool
) -> None:
    query = UnitQuery(plate=None, since_us=since_us, until_us=until_us)
    assert search.candidates({facts.epoch: facts}, {1: bytes(32)}, query) == [facts] * asked


@pytest.mark.parametrize("off_us", [-400 * DAY_US, 400 * DAY_US, 2**53 - START_US, 1 - START_US])
def test_a_look_up_finds_reads_by_the_time_they_say_however_far_custodys_is(
    ledger: Ledger, door: Door, time: SteppedTime, off_us: int
) -> None:
    """On a stand-alone unit whose clock custody does not follow; the rest of its reads are right."""
    add_reads(ledger, time, 2)
    time.lose(TimeState.UNKNOWN)
    wrong = ledger.append_read(make_read(START_US + off_us), patch=b"", overview=b"").sequence
    time.run(25 * HOUR_US)
    hit = ledger.append_read(make_read(START_US + off_us), patch=b"", overview=b"", hit=True).sequence
    add_reads(ledger, time, 1)
    since_us = START_US + off_us
    query = UnitQuery(plate=PLATE, since_us=since_us, until_us=since_us + 1)
    body = ask_signed(door, ledger, "demo-supervisor", "ccat-supervisor", "query", subject_of(query))
    found = door.answer("query", body | {"query": codec.to_plain(query)})["reads"]
    assert [one["sequence"] for one in found] == [wrong, hit]
