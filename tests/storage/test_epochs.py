"""The book of a log: what each open record adds, and which records contradict earlier ones."""

from __future__ import annotations

import pytest

from storage.audit_records import Gap
from storage.epochs import LogFacts
from storage.errors import LedgerError
from storage.log_records import (
    EpochOpened,
    EpochPurged,
    FileInForce,
    GrantTaken,
    HoldEnded,
    Incident,
    LogOpened,
    PurgeAbandoned,
    PurgeIntent,
    PurgeReceipt,
    Resealed,
    UncleanStart,
    UploadReceipt,
)
from storage.record_base import ClockState, KeyClass, Record

STATE = ClockState.DISCIPLINED


def opened(at_us: int = 10) -> LogOpened:
    return LogOpened(public_key=b"k", format=2, slot="file", demo=True, opened_us=at_us, clock_state=STATE)


def epoch(number: int, key_class: KeyClass = KeyClass.READ, at_us: int = 20) -> EpochOpened:
    return EpochOpened(
        epoch=number, key_class=key_class, opened_us=at_us, clock_state=STATE, key_at="kek", day_key=None,
        reason="start",
    )  # fmt: skip


def purged(*epochs: int) -> tuple[EpochPurged, ...]:
    return tuple(
        EpochPurged(epoch=one, key_class=KeyClass.READ, records=1, clause="463.8", reason="x")
        for one in epochs
    )


def intent(*epochs: int, generation: int = 2, at_us: int = 40) -> PurgeIntent:
    return PurgeIntent(
        generation=generation, epochs=purged(*epochs), at_us=at_us, clock_state=STATE, by="unit"
    )


def receipt(of: int, *epochs: int, generation: int = 2, at_us: int = 50) -> PurgeReceipt:
    return PurgeReceipt(
        intent=of, generation=generation, epochs=purged(*epochs), at_us=at_us, clock_state=STATE, slot="file",
        note="",
    )  # fmt: skip


def file(version: int, digest: bytes = b"d") -> FileInForce:
    return FileInForce(name="policy", version=version, digest=digest, record=1)


def book(*records: Record) -> LogFacts:
    made = LogFacts()
    for sequence, record in enumerate(records):
        made.note(sequence, record)
    return made


@pytest.mark.parametrize(
    ("records", "error"),
    [
        ([opened(), opened()], "record 1: opens the log a second time"),
        ([opened(), epoch(2)], "record 1: opens epoch 2, but 1 is next"),
        ([opened(), epoch(1), epoch(1)], "record 2: opens epoch 1, but 2 is next"),
        ([opened(), PurgeAbandoned(intent=0, at_us=1)], "record 1: abandons a purge that was not begun"),
        (
            [opened(), epoch(1), intent(1), PurgeAbandoned(intent=1, at_us=1)],
            "record 3: abandons a purge that was not begun",
        ),
        ([opened(), epoch(1), receipt(1, 1)], "record 2: a purge receipt without its intent"),
        ([opened(), epoch(1), intent(1), receipt(1, 1)], "record 3: a purge receipt without its intent"),
        ([opened(), epoch(1), intent(1), receipt(2)], "record 3: a purge receipt without its intent"),
        ([opened(), intent(1), receipt(1, 1)], "record 2: purges epoch 1, which does not exist"),
        (
            [opened(), epoch(1), intent(1), receipt(2, 1), intent(1), receipt(4, 1)],
            "record 5: purges epoch 1, which does not exist",
        ),
        ([opened(), file(3), file(2)], "record 2: a file's version goes back"),
        ([opened(), file(3), file(3, b"e")], "record 2: a file's version goes back"),
        ([opened(), file(3), file(2, b"e")], "record 2: a file's version goes back"),
        (
            [opened(), Gap(reason="x", from_us=1, to_us=2, lost=0)],
            "record 1: a record of kind gap is not open",
        ),
    ],
)
def test_a_record_that_contradicts_the_log_is_refused_and_named(records: list[Record], error: str) -> None:
    made = book(*records[:-1])
    with pytest.raises(LedgerError, match=f"^{error}") as caught:
        made.note(len(records) - 1, records[-1])
    assert caught.value.leaf_index == len(records) - 1


def test_a_new_log_is_of_generation_one_with_its_keyring_in_the_first_record() -> None:
    made = book(opened())
    assert (made.generation, made.keyring_at, made.turned_us, made.pending) == (1, 0, None, None)
    assert (made.newest_us, made.notes, made.incidents, made.next_epoch()) == (0, 1, 0, 1)
    assert made.opened == opened()


def test_a_new_epoch_closes_that_of_its_class_alone_and_a_hold_closes_none() -> None:
    made = book(
        opened(), epoch(1), epoch(2, KeyClass.HIT), epoch(3, KeyClass.HOLD), epoch(4, KeyClass.HOLD, 25),
        epoch(5, at_us=30), epoch(6, at_us=35),
    )  # fmt: skip
    assert [one.closed for one in made.epochs.values()] == [True, False, False, False, True, False]
    assert [one.closed_us for one in made.epochs.values()] == [30, None, None, None, 35, None]
    assert [one.sequence for one in made.epochs.values()] == [1, 2, 3, 4, 5, 6]
    current = made.current(KeyClass.READ)
    assert current is not None
    assert (current.epoch, made.current(KeyClass.AUDIT)) == (6, None)
    hold = made.current(KeyClass.HOLD)
    assert hold is not None
    assert hold.epoch == 4  # the newest


def test_a_purge_is_pending_then_done_and_turns_the_keyring_only_with_its_generation() -> None:
    made = book(opened(), epoch(1), epoch(2, KeyClass.HIT), intent(1))
    assert (made.pending, made.going(1), made.going(2), made.gone(1)) == ((3, intent(1)), True, False, False)
    made.note(4, receipt(3, 1))
    assert (made.pending, made.going(1), made.gone(1), made.gone(2), made.gone(9)) == (
        None,
        False,
        True,
        False,
        False,
    )
    assert (made.generation, made.keyring_at, made.turned_us) == (2, 3, 50)
    assert (made.epochs[1].closed, made.epochs[1].purged_by, made.epochs[2].closed) == (True, 4, False)
    made.note(5, intent(2, at_us=60))
    made.note(6, receipt(5, 2, at_us=70))
    assert (made.generation, made.keyring_at, made.turned_us) == (2, 3, 50)
    made.note(7, intent(at_us=80))
    made.note(8, PurgeAbandoned(intent=7, at_us=90))
    assert (made.pending, made.newest_us) == (None, 80)


def test_files_receipts_holds_and_incidents_are_kept() -> None:
    held = Resealed(record=1, hold=5, epoch=3)
    made = book(
        opened(), file(3), file(3), file(4, b"e"), held, Resealed(record=1, hold=5, epoch=4),
        HoldEnded(epoch=3, release=6, at_us=999),
        UploadReceipt(receipt=b"r", ranges=((0, 1), (3, 4)), received_us=60),
        Incident(what="x", detail="y", at_us=999), GrantTaken(grant_id="g", digest=b"", at_us=999),
    )  # fmt: skip
    assert made.files == {"policy": file(4, b"e")}
    assert (made.resealed[1][0], made.resealed_under(3), made.resealed_under(4)) == ((4, held), [4], [5])
    assert (made.released, made.incidents, made.notes, made.newest_us) == ({3}, 1, 10, 60)
    assert [made.is_received(at) for at in range(6)] == [True, True, False, True, True, False]
    made.note(10, UncleanStart(records=1, unanchored=0, images=0, at_us=70, clock_state=STATE))
    made.note(11, epoch(1, at_us=80))
    assert made.newest_us == 80


@pytest.mark.parametrize(
    ("record", "newest_us"),
    [
        (opened(30), 10), (intent(at_us=30), 30), (intent(at_us=9), 10), (epoch(1, at_us=30), 30),
        (UncleanStart(records=1, unanchored=0, images=0, at_us=30, clock_state=STATE), 30),
        (UploadReceipt(receipt=b"", ranges=(), received_us=30), 30),
    ],
)  # fmt: skip
def test_the_newest_time_is_the_newest_that_a_record_signed(record: Record, newest_us: int) -> None:
    made = LogFacts(newest_us=10)
    made.note(0, record)
    assert made.newest_us == newest_us
