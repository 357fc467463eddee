"""The publisher among threads: answers of witnesses may arrive at any moment."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

from log_twins import Log

from storage.errors import ForkedLogError
from sync.department.journal.publisher import WatchingWitness


def test_a_claim_that_comes_while_the_late_ones_are_looked_at_is_kept(tmp_path: Path) -> None:
    """It comes in its own thread when its witness answers."""
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
            return False  # as if the root file no longer named any

    entry = log.add()
    assert log.publisher.cover(entry, log.witnesses, Watchers(log.watchers)).size > entry
    assert looked == [True]
    assert list(log.publisher._late) == [late]
    log.close()


def test_the_next_one_proves_from_what_the_witness_signed_last(tmp_path: Path) -> None:
    """Its size is recorded before the next question: an outdated size would look like a fork."""
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


def test_a_witness_that_is_asked_the_time_holds_no_other_call_up(tmp_path: Path) -> None:
    """It may be away for a minute; the desk must be able to make entries meanwhile."""
    log = Log(tmp_path)
    seen: list[bool] = []
    cosign = log.links[0].cosign

    def asked(old_size: int, proof: list[bytes], note: str) -> str:
        seen.append(log.publisher._turn.locked())
        return cosign(old_size, proof, note)

    log.links[0].cosign = asked  # type: ignore[method-assign]
    log.cover(log.add())
    assert log.publisher.ask_time_s(log.witnesses, log.watchers) > 0
    assert seen == [True, False]  # keeping a head holds the turn; asking the time does not
    log.close()
