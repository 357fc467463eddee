"""What threads beside each other do to the publisher: answers of witnesses that come meanwhile."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

from log_twins import Log

from storage.errors import ForkedLogError
from sync.department.journal.publisher import WatchingWitness


def test_a_claim_that_comes_while_the_late_ones_are_looked_at_is_kept(tmp_path: Path) -> None:
    """It comes in a thread of its own, once its witness has answered."""
    log = Log(tmp_path, witnesses=3, quorum=1)
    claim: Future[str] = Future()
    claim.set_exception(ForkedLogError("no continuation", where="witness"))
    first, late, _ = log.watchers
    log.publisher._note_late(first, claim)
    looked: list[bool] = []

    class Watchers(list[WatchingWitness]):
        def __contains__(self, one: object) -> bool:
            log.publisher._note_late(late, claim)
            looked.append(True)
            return False  # of witnesses that the root names no longer

    entry = log.add()
    assert log.publisher.cover(entry, log.witnesses, Watchers(log.watchers)).size > entry
    assert looked == [True]
    assert list(log.publisher._late) == [late]
    log.close()


def test_the_next_one_proves_from_what_the_witness_signed_last(tmp_path: Path) -> None:
    """Its size is known before another one asks it: two sizes in one question would be a fork."""
    log = Log(tmp_path)
    watcher, asking, known = log.watchers[0], log.watchers[0]._asking, list[int]()

    class Lock:
        def acquire(self, *, timeout: float) -> bool:
            return asking.acquire(timeout=timeout)

        def release(self) -> None:
            known.append(watcher._size)
            asking.release()

    watcher._asking = Lock()  # type: ignore[assignment]
    size = log.cover(log.add())
    assert known == [size]
    log.close()
