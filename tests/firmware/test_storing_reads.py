"""If the store refuses reads, they are stored together, or one by one, or counted as lost in a record."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from camera_twins import ScriptedSource, WatchdogTime
from pipeline_rig import THREE, Rig, drive, gaps_of
from scripted_eyes import ScriptedEyes, write_drive
from waiting import PATIENCE_S, until

from firmware.custody.bookkeeper import FAILED_LIMIT_S
from hw.camera_drop import DropFolder
from hw.camera_replay import ReplaySource
from hw.camera_watch import STALL_S, BlindSpell
from hw.clock import SetClock, SystemClock
from storage.errors import CardFailedError, DamagedError, StoreFullError
from storage.home import Home
from storage.ledger import KEEP_FREE, Ledger
from storage.read_records import Read
from storage.times import DAY_US
from storage.verify import verify_home


def test_full_store_loses_reads_for_a_recorded_time_and_continues(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    free = iter([KEEP_FREE - 1, KEEP_FREE - 1])
    real = ledger.free_bytes
    ledger.free_bytes = lambda: next(free, real())
    rig.run()
    counts = rig.pipeline.counts
    assert rig.texts == ["XR72KLM"]
    assert counts.lost_passes == 2
    assert counts.passes == counts.stored + counts.lost_passes
    (gap,) = gaps_of(ledger)
    assert gap.reason == "store full"
    assert gap.lost == 2
    assert gap.from_us <= gap.to_us


MANY = [(f"{number}ABC{number}00", 4) for number in range(1, 10)]


def dropped(tmp_path: Path) -> tuple[Path, ScriptedEyes]:
    """A drop folder that received the pictures of many passes at once."""
    folder = tmp_path / "drop"
    names = write_drive(folder, MANY)
    begun_s = time.time() - 60
    for number, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (begun_s + number / 10, begun_s + number / 10))
    return folder, ScriptedEyes(names)


@pytest.mark.one_python
def test_a_drop_folder_keeps_its_pictures_while_nothing_can_be_stored_and_no_read_is_lost(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.custody.bookkeeper.AGAIN_S", 0.05)
    folder, eyes = dropped(tmp_path)
    source = DropFolder(folder, clock=SystemClock())
    rig = Rig(ledger, eyes, source, waits=source.waits, queue_passes=1)
    real = ledger.free_bytes
    ledger.free_bytes = lambda: KEEP_FREE - 1
    rig.pipeline.start()
    until(lambda: rig.bookkeeper.waiting)
    lie = -1
    while lie != (lie := len(list(folder.iterdir()))):  # until what is in transit fills the queues
        time.sleep(1)
    assert lie >= 8
    assert rig.texts == []
    ledger.free_bytes = real
    until(lambda: not list(folder.iterdir()))
    rig.pipeline.stop()
    rig.camera.close()
    rig.pipeline.join(PATIENCE_S)
    rig.bookkeeper.close()
    counts = rig.pipeline.counts
    assert (counts.dropped, counts.lost_passes) == (0, 0)
    assert set(rig.texts) >= {text for text, _ in MANY[:-1]}
    assert gaps_of(ledger) == []


def test_a_source_that_waits_does_not_keep_the_reader_from_ending(tmp_path: Path, ledger: Ledger) -> None:
    folder, eyes = dropped(tmp_path)
    source = DropFolder(folder, clock=SystemClock())
    rig = Rig(ledger, eyes, source, waits=source.waits, queue_passes=1)
    real, ledger.free_bytes = ledger.free_bytes, lambda: KEEP_FREE - 1
    rig.pipeline.start()
    until(lambda: rig.bookkeeper.waiting)
    rig.ended.set()
    rig.pipeline.stop()
    rig.camera.close()
    rig.pipeline.join(PATIENCE_S)
    assert not rig.pipeline.running
    ledger.free_bytes = real
    rig.bookkeeper.close()
    (gap,) = gaps_of(ledger)
    assert gap.lost == rig.pipeline.counts.lost_passes > 0


def counted_batches(ledger: Ledger) -> list[int]:
    """A list of how many reads each call stores from now on."""
    counts: list[int] = []
    one, several, hit = ledger.append_read, ledger.append_reads, ledger.append_hit

    def append_read(*words: Any, **named: Any) -> Any:
        counts.append(1)
        return one(*words, **named)

    def append_hit(*words: Any) -> Any:
        counts.append(1)
        return hit(*words)

    def append_reads(new: Any) -> Any:
        refs = several(new)
        counts.append(len(refs))
        return refs

    ledger.append_read, ledger.append_reads = append_read, append_reads  # type: ignore[method-assign]
    ledger.append_hit = append_hit  # type: ignore[method-assign,assignment]
    return counts


def test_passes_that_end_within_the_time_are_stored_together_and_announced_in_order(
    tmp_path: Path, ledger: Ledger
) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig, counts = Rig(ledger, eyes, source, gather_s=60.0), counted_batches(ledger)
    rig.run()
    assert counts == [3]
    assert rig.texts == [text for text, _ in THREE]
    assert [ledger.read(number).text for number, _ in rig.announced] == rig.texts
    assert rig.pipeline.counts.stored == 3
    ledger.close()
    assert verify_home(Home(tmp_path / "home")).ok


def test_a_pass_that_a_hot_list_wants_waits_for_no_other(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source, gather_s=60.0, wanted="7ABC123")
    counts = counted_batches(ledger)
    rig.run()
    assert counts == [1, 1, 1]  # the reads before it, itself, those after it
    assert rig.met == ["7ABC123"]
    assert rig.texts == [text for text, _ in THREE]


def test_what_cannot_be_stored_together_is_stored_or_counted_by_itself(
    tmp_path: Path, ledger: Ledger
) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source, gather_s=60.0)
    real = ledger.append_read

    def append_reads(_new: Any) -> Any:
        raise StoreFullError("full", where="x")

    def append_read(read: Read, **named: Any) -> Any:
        if read.text == "7ABC123":
            raise StoreFullError("full", where="x")
        return real(read, **named)

    ledger.append_reads, ledger.append_read = append_reads, append_read  # type: ignore[method-assign, assignment]
    rig.run()
    assert rig.texts == ["LS15EBC", "XR72KLM"]
    (gap,) = gaps_of(ledger)
    assert gap.lost == rig.pipeline.counts.lost_passes == 1


def test_a_store_that_fails_for_a_moment_loses_reads_for_a_recorded_time_and_continues(
    tmp_path: Path, ledger: Ledger
) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    failures: list[Exception] = [OSError(5, "Input/output error"), sqlite3.OperationalError("disk I/O error")]
    real = ledger.append_read

    def append_read(*words: Any, **named: Any) -> Any:
        if failures:
            raise failures.pop(0)
        return real(*words, **named)

    ledger.append_read = append_read  # type: ignore[method-assign]
    rig.run()
    assert rig.texts == ["XR72KLM"]
    (gap,) = gaps_of(ledger)
    assert gap.reason == "store failed: OSError"
    assert gap.lost == rig.pipeline.counts.lost_passes == 2
    assert "store_failed" in rig.log.getvalue()
    assert "store_has_room_again" in rig.log.getvalue()


def test_a_store_that_fails_for_long_ends_the_run_with_what_is_wrong(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    times = iter((0.0, FAILED_LIMIT_S / 2, FAILED_LIMIT_S))
    rig.bookkeeper._monotonic = lambda: next(times)

    def append_read(*_words: Any, **_named: Any) -> Any:
        raise sqlite3.DatabaseError("database disk image is malformed")

    ledger.append_read = append_read  # type: ignore[method-assign]
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        rig.run()
    rig.camera.close()
    rig.bookkeeper.close()
    assert gaps_of(ledger)[0].lost == 3
    assert "reads_lost_until_the_end" in rig.log.getvalue()
    assert "store_has_room_again" not in rig.log.getvalue(), "nothing was stored since"


@pytest.mark.parametrize(
    "error", [sqlite3.DatabaseError("malformed"), RuntimeError("a fault of the program")]
)
def test_what_waits_and_what_is_in_view_as_the_store_fails_for_good_is_counted_and_recorded(
    tmp_path: Path, ledger: Ledger, error: Exception
) -> None:
    """Only the pass that met the error was: the rest of its batch and up to 16 others were in no gap."""
    names = write_drive(tmp_path / "pictures", MANY)
    rig = Rig(ledger, ScriptedEyes(names), ReplaySource(tmp_path / "pictures", clock=SystemClock()))
    rig.bookkeeper._monotonic = iter((0.0, FAILED_LIMIT_S)).__next__
    stored, many_wait = ledger.append_read, threading.Event()

    def append_read(*words: Any, **named: Any) -> Any:
        if rig.pipeline.counts.stored == 0:
            return stored(*words, **named)
        many_wait.wait(PATIENCE_S)
        raise error

    def progress() -> bool:
        if rig.pipeline.counts.passes >= len(MANY) - 2:
            many_wait.set()
        return many_wait.is_set()

    ledger.append_read = append_read  # type: ignore[method-assign]
    ledger.append_reads = lambda reads: [append_read(one) for one in reads]  # type: ignore[assignment, method-assign]
    rig.pipeline.start()
    until(progress)
    with pytest.raises(type(error)):
        rig.pipeline.join(PATIENCE_S)
    rig.camera.close()
    counts = rig.pipeline.counts
    rig.bookkeeper.close(counts.unstored)
    assert counts.stored == 1
    assert counts.passes == counts.stored + counts.lost
    assert counts.unstored >= len(MANY) - 3
    assert sum(gap.lost for gap in gaps_of(ledger)) == counts.unstored
    assert verify_home(Home(tmp_path / "home")).ok


OF_THE_CARD, DAMAGE = CardFailedError("disk I/O error"), DamagedError("is damaged: a page", where="x")


@pytest.mark.parametrize(
    ("errors", "damaged"),
    [
        pytest.param([DAMAGE], 3, id="damaged"),
        pytest.param([OF_THE_CARD, DAMAGE], 2, id="damaged in the end"),
        pytest.param([OF_THE_CARD], 0, id="the card"),
    ],
)
def test_a_damaged_store_is_named_and_an_error_of_the_card_is_none(
    tmp_path: Path, ledger: Ledger, errors: list[Exception], damaged: int
) -> None:
    """A start finds it intact, so the unit would lose its reads for as long as it runs."""
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)

    left = list(errors)

    def append_read(*_words: Any, **_named: Any) -> Any:
        raise left.pop(0) if len(left) > 1 else left[0]

    ledger.append_read = append_read  # type: ignore[method-assign]
    rig.run()
    assert rig.damaged == [DAMAGE] * damaged
    assert rig.pipeline.counts.lost_passes == 3


@pytest.mark.parametrize("last", [DAMAGE, OF_THE_CARD], ids=["damaged", "the card"])
def test_a_run_does_not_end_while_a_look_at_its_store_is_under_way(
    tmp_path: Path, ledger: Ledger, last: Exception
) -> None:
    """A look at a large log takes longer than a store may fail: no look ever ended, and no new log began."""
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    rig.looks = True
    times = iter((0.0, FAILED_LIMIT_S, 2 * FAILED_LIMIT_S))
    rig.bookkeeper._monotonic = lambda: next(times)
    errors = [DAMAGE, DAMAGE, last]  # on a failing card they alternate

    def append_read(*_words: Any, **_named: Any) -> Any:
        raise errors.pop(0)

    ledger.append_read = append_read  # type: ignore[method-assign]
    rig.run()
    assert rig.pipeline.counts.lost_passes == 3


def test_a_clock_that_is_set_while_nothing_is_stored_makes_the_gap_no_longer(
    tmp_path: Path, ledger: Ledger
) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    rig.bookkeeper._clock = clock = SetClock(0)
    real, full = ledger.append_read, [StoreFullError("full", where="x")]

    def append_read(*words: Any, **named: Any) -> Any:
        if full:
            raise full.pop()
        clock.step(56 * 365 * DAY_US)
        ledger.append_read = real  # type: ignore[method-assign]
        return real(*words, **named)

    ledger.append_read = append_read  # type: ignore[method-assign]
    rig.run()
    (gap,) = gaps_of(ledger)
    assert (gap.lost, gap.to_us) == (1, clock.now().us)
    assert 0 <= gap.to_us - gap.from_us < DAY_US


def test_a_blind_spell_that_finds_no_room_is_recorded_once_there_is(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE[:1])
    rig = Rig(ledger, eyes, source)
    real, now = ledger.append, rig.clock.now()

    def append(_record: Any) -> Any:
        raise StoreFullError("full", where="x")

    ledger.append = append  # type: ignore[method-assign, assignment]
    rig.bookkeeper.blind(BlindSpell(began=now, ended=now, blind_s=5.0, reason="no frame", reopened=1))
    ledger.append = real  # type: ignore[method-assign]
    assert gaps_of(ledger) == []
    rig.run()
    (gap,) = gaps_of(ledger)
    assert gap.reason == "camera: no frame"


def test_blind_spell_of_the_camera_is_a_record_in_the_log(ledger: Ledger) -> None:
    source = ScriptedSource(SystemClock())
    watchdog = WatchdogTime(source, STALL_S)
    rig = Rig(ledger, ScriptedEyes({}), source, live=True, watchdog=watchdog)
    watchdog.camera = rig.camera
    rig.pipeline.start()
    until(lambda: rig.camera.seen)
    source.stalled.set()
    until(lambda: rig.camera.blind_s)
    rig.pipeline.stop()
    rig.camera.close()
    rig.pipeline.join(PATIENCE_S)
    (gap,) = gaps_of(ledger)
    assert gap.reason.startswith("camera: ")
    assert STALL_S <= (gap.to_us - gap.from_us) / 1e6 <= 3 * STALL_S
    assert "camera_blind" in rig.log.getvalue()
