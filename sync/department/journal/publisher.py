"""Gets the access log's tree head co-signed: one publisher at a time, for all who wait.

A caller that needs an entry covered waits for its turn; most find it covered by then (group commit). The turn
is a file lock, so that commands beside the server take part. All witnesses are asked at once, and a quorum is
enough. A witness that does not answer in time is asked again only after a minute, so that it costs one
timeout instead of one per search. If two publishers meet at a witness, it does not count as away: the one
with another size proves from there.

A witness that claims to have seen a different log must prove it by its newest checkpoint, which has this
log's own signature. If it shows none, and more than half of the witnesses co-sign, the caller enters the
claim, and the witness is not asked for a minute. An honest one among the others would have refused too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from storage import files
from storage.checkpoint import Cosignature, NoteKey, open_checkpoint, split_note
from storage.cosigners import CosignerKey, Witnesses, cosigned_by
from storage.counts import counted
from storage.errors import CheckpointError, ForkedLogError, LedgerError, StorageError
from sync.department.journal.witness_link import SizeConflictError, WitnessLink
from sync.errors import LinkError
from sync.root_file import MAX_WITNESSES, Root, RootWitness

AWAY_S = 60.0  # how long a witness is not asked again after a call waited for it in vain
SLOW_S = 1.0  # a refused connection costs nothing and is retried at once
CONFLICTS = 8  # how often a witness may name another size before it counts as away
MAX_LINES = 32  # in one answer
LOCK_FILE = "publish.lock"


@dataclass(frozen=True, slots=True)
class Covered:
    """A co-signed tree head: its size, its note, and the time from the witness that completed the quorum.

    `claims`: (witness, what it claimed against this log without proof). `fresh`: signed just now, so that its
    time is the witness's clock.
    """

    size: int
    note: str
    time_s: int
    claims: tuple[tuple[str, str], ...] = ()
    fresh: bool = False


class WitnessedLog(Protocol):
    """A log to publish: the access log or the log of hourly heads."""

    @property
    def note_key(self) -> NoteKey:
        """The log's verifying key."""
        ...

    def size(self) -> int:
        """How many leaves there are."""
        ...

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the first `size` leaves continue the first `old`."""
        ...

    def signed_head(self, size: int) -> str:
        """The signed tree head of the first `size` leaves."""
        ...

    def cosigned(self) -> tuple[int, str]:
        """(size, note) of the newest co-signed head."""
        ...

    def keep_head(self, size: int, note: str) -> None:
        """Keep a co-signed head."""
        ...


class WatchingWitness:
    """One witness: its link, its keys, the size that it co-signed last, and whether it was just away."""

    def __init__(
        self, keys: tuple[CosignerKey, ...], link: WitnessLink, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.keys, self.link, self._clock = keys, link, clock
        self._asking = threading.Lock()
        self._asked_at = 0.0
        self._size = 0
        self._away_until = 0.0
        self._claim = self._shown = ""  # against the log; stops answers while it is not asked

    @property
    def name(self) -> str:
        return self.keys[0].name

    def cosign(self, log: WitnessedLog, size: int, note: str, *, patient: bool = False) -> str:
        """Get valid signature lines. Raises LinkError, ForkedLogError, LedgerError, CheckpointError.

        Raises WitnessBusyError while it works on another head; if `patient`, only after it took too long.
        """
        now = self._clock()
        if now < self._away_until and self._claim:  # not as away, which would allow minutes of answers
            raise ForkedLogError(self._claim, where=f"witness {self.name}")
        if now < self._away_until:
            raise LinkError("did not answer a moment ago", where=f"witness {self.name}")
        wait_s = self._asked_at + SLOW_S - now if patient else 0.0
        if not self._asking.acquire(timeout=max(0.0, wait_s)):
            raise WitnessBusyError("has not answered yet", where=f"witness {self.name}")
        self._asked_at = started = self._clock()
        self._claim = self._shown = ""  # it is asked again, and may agree now
        try:
            lines = self._own_lines(note, self._asked(log, size, note))
            self._size = size  # before the next call, which proves from here
        except (LinkError, CheckpointError):
            now = self._clock()
            if now - started >= SLOW_S:
                self._away_until = now + AWAY_S
            raise
        finally:
            self._asking.release()
        return lines

    def shown_against(self, log: WitnessedLog) -> str:
        """What its newest checkpoint, signed by the log's own key, proves against the log; empty if nothing.

        It is not asked again for a minute after its claim, however often that is repeated.
        """
        now = self._clock()
        if now < self._away_until and self._claim:
            return self._shown
        self._away_until = now + AWAY_S
        self._shown = self._difference(log)
        self._claim = f"shows {self._shown}" if self._shown else ""
        return self._shown

    def insist(self, claim: str) -> None:
        """Raise this claim at each call until it is asked again, since no quorum is possible without it."""
        self._claim = claim

    def _difference(self, log: WitnessedLog) -> str:
        try:
            head = open_checkpoint(self.link.newest(log.note_key.name), log.note_key)
        except (LinkError, StorageError):
            return ""
        size = log.size()
        if head.size > size:
            return f"a tree head of {head.size} entries, this log holds {size}: entries were lost or removed"
        ours = open_checkpoint(log.signed_head(head.size), log.note_key)
        return "" if ours.root == head.root else f"another tree head of {head.size} entries than this log's"

    def _own_lines(self, note: str, answer: str) -> str:
        """The line of each of this witness's own keys. Raises CheckpointError.

        A line in another's name, or one too many, would spoil the note that combines all lines.
        """
        found: dict[tuple[str, bytes], str] = {}
        for line in answer.splitlines(keepends=True)[:MAX_LINES]:
            name, blob = split_note(note + line)[1][-1]
            found.setdefault((name, blob[:4]), line)
        lines = "".join(found.get((key.name, key.key_id), "") for key in self.keys)
        if not cosigned_by(note + lines, self.keys):
            raise CheckpointError(f"the answer is not co-signed by {self.name}")
        return lines

    def _asked(self, log: WitnessedLog, size: int, note: str) -> str:
        for _ in range(CONFLICTS):
            try:
                old = min(self._size, size)  # with more, it would find the request malformed
                return self.link.cosign(old, log.consistency(old, size), note)
            except SizeConflictError as conflict:
                self._size = conflict.size
                if conflict.size > size:
                    raise OutrunError(conflict.size) from None
        raise LinkError("names another size each time", where=f"witness {self.name}")


class WitnessBusyError(LinkError):
    """A witness still works on an earlier head, for which the others were enough."""


class OutrunError(LedgerError):
    """A witness has seen more entries than the present head covers."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"the witness has seen {size} entries", where="access log")


class WitnessLinks:
    """The witnesses in the present root file, each with its link. `public`: the second tier."""

    def __init__(self, link_of: Callable[[RootWitness], WitnessLink], *, public: bool = False) -> None:
        self._link_of, self._public = link_of, public
        self._known: dict[RootWitness, WatchingWitness] = {}
        self._guard = threading.Lock()

    def watchers(self, root: Root) -> list[WatchingWitness]:
        """A watcher for each witness of the root."""
        named = root.public_witnesses if self._public else root.witnesses
        with self._guard:
            for gone in set(self._known) - set(named):
                self._known.pop(gone).link.close()
            for one in named:
                if one not in self._known:
                    keys = tuple(CosignerKey.parse(text) for text in one.keys)
                    self._known[one] = WatchingWitness(keys, self._link_of(one))
            return [self._known[one] for one in named]

    def close(self) -> None:
        with self._guard:
            for one in self._known.values():
                one.link.close()
            self._known.clear()


class WitnessAnswers:
    """The witnesses' answers about one head: `whole` is its note with their lines."""

    def __init__(self, note: str, claims: dict[WatchingWitness, StorageError]) -> None:
        self.note = self.whole = note
        self.claims = claims
        self.busy: dict[WatchingWitness, LinkError] = {}
        self.errors: list[Exception] = []

    def take(self, watcher: WatchingWitness, answer: Future[str]) -> None:
        """Take an answer. Raises LedgerError for a head that this log cannot prove, and foreign errors."""
        self.busy.pop(watcher, None)
        error = answer.exception()
        if error is None:
            self.whole += answer.result()
        elif isinstance(error, ForkedLogError | OutrunError):
            self.claims[watcher] = error
        elif isinstance(error, WitnessBusyError):
            self.busy[watcher] = error
        elif isinstance(error, LedgerError) or not isinstance(error, LinkError | StorageError):
            raise error
        else:
            self.errors.append(error)


class Publisher:
    """Publishes one log to the current witnesses. Thread-safe."""

    def __init__(self, log: WitnessedLog, folder: Path, lock_file: str = LOCK_FILE) -> None:
        self._log = log
        self._lock_file = folder / lock_file
        self._turn = threading.Lock()
        self._pool = ThreadPoolExecutor(MAX_WITNESSES, thread_name_prefix="witness")
        self._late: dict[WatchingWitness, StorageError] = {}  # claims that came after the quorum
        self._late_guard = threading.Lock()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def cover(self, sequence: int, witnesses: Witnesses, watchers: Sequence[WatchingWitness]) -> Covered:
        """Get a co-signed head that covers an entry.

        Raises LinkError while there is no quorum, ForkedLogError if a witness refuses to continue this log.
        """
        known = self._known(sequence, witnesses)
        if known is not None:
            return known
        with self._turn, files.turn(self._lock_file):
            known = self._known(sequence, witnesses)
            return known or self._publish(witnesses, watchers)

    def ask_time_s(self, witnesses: Witnesses, watchers: Sequence[WatchingWitness]) -> int:
        """The time by a quorum, which signs the newest head again for this; nothing is kept.

        Raises LinkError while there is no quorum, ForkedLogError if a witness proves that it saw another log:
        a log that was set back and is co-signed to its end would otherwise not ask before its next entry.
        """
        with self._turn, files.turn(self._lock_file):
            answers = WitnessAnswers(self._log.signed_head(size := self._log.size()), {})
        completed = self._gather(answers, size, witnesses, watchers)  # the desk waits for no absent witness
        self._unshown(answers.claims, witnesses)
        if completed is None:
            raise LinkError("say no time", where="witnesses")
        return completed.time_s

    def _known(self, sequence: int, witnesses: Witnesses) -> Covered | None:
        size, note = self._log.cosigned()
        if size <= sequence:
            return None
        done = witnesses.witnessed(note)
        return None if done is None else Covered(size, note, done.time_s)

    def _publish(self, witnesses: Witnesses, watchers: Sequence[WatchingWitness]) -> Covered:
        size = self._log.size()
        try:
            return self._ask(size, witnesses, watchers)
        except OutrunError as outrun:
            size = self._log.size()
            if outrun.size > size:
                raise ForkedLogError(
                    f"a witness has seen {outrun.size} entries, this log holds {size}: "
                    "entries were lost or removed",
                    where="access log",
                    cure="department verify; do not continue",
                ) from None
        return self._ask(size, witnesses, watchers)  # another of our processes was faster

    def _ask(self, size: int, witnesses: Witnesses, watchers: Sequence[WatchingWitness]) -> Covered:
        with self._late_guard:
            late, self._late = self._late, {}
        claims = {one: error for one, error in late.items() if one in watchers}
        answers = WitnessAnswers(self._log.signed_head(size), claims)
        completed = self._gather(answers, size, witnesses, watchers)
        if completed is None and answers.busy:  # they are needed and may answer soon
            completed = self._gather(answers, size, witnesses, list(answers.busy), patient=True)
        if completed is not None:
            unshown = self._unshown(claims, witnesses)
            open_checkpoint(answers.whole, self._log.note_key)
            self._log.keep_head(size, answers.whole)
            return Covered(size, answers.whole, completed.time_s, unshown, fresh=True)
        for error in claims.values():
            if self._outran_itself(error):
                raise error
        unshown = self._unshown(claims, witnesses)
        if unshown and len(witnesses.keys) - len(unshown) < witnesses.quorum:
            for watcher, error in claims.items():
                watcher.insist(error.what)
            raise min(claims.values(), key=lambda one: not isinstance(one, ForkedLogError))
        # the others could be a quorum: a claim without proof counts as absence
        errors = [*answers.errors, *answers.busy.values(), *claims.values()]
        what = "; ".join(str(error) for error in errors[:3]) or "there is no witness"
        raise LinkError(
            f"{len(watchers) - len(errors)} of {counted(len(watchers), 'witness', 'witnesses')} answered, "
            f"{witnesses.quorum} {'is' if witnesses.quorum == 1 else 'are'} needed: {what}",
            where="witnesses",
            cure="name one in the root file" if not watchers else "",
        )

    def _gather(
        self,
        answers: WitnessAnswers,
        size: int,
        witnesses: Witnesses,
        watchers: Sequence[WatchingWitness],
        *,
        patient: bool = False,
    ) -> Cosignature | None:
        """Ask all at once; return when a quorum has signed."""
        asked = {
            self._pool.submit(one.cosign, self._log, size, answers.note, patient=patient): one
            for one in watchers
        }
        pending: set[Future[str]] = set(asked)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for one in done:
                answers.take(asked[one], one)
            completed = witnesses.witnessed(answers.whole)
            if completed is not None:
                for one in pending:
                    one.add_done_callback(lambda late: self._note_late(asked[late], late))
                return completed
        return None

    def _outran_itself(self, error: StorageError) -> bool:
        """Whether a witness has seen more only because another of our processes was faster."""
        return isinstance(error, OutrunError) and error.size <= self._log.size()

    def _note_late(self, watcher: WatchingWitness, answer: Future[str]) -> None:
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, ForkedLogError | OutrunError):
            with self._late_guard:
                self._late[watcher] = error

    def _unshown(
        self, claims: Mapping[WatchingWitness, StorageError], witnesses: Witnesses
    ) -> tuple[tuple[str, str], ...]:
        """The claims against this log without proof.

        Raises ForkedLogError for a claim with proof; and for any claim, if half of the witnesses would be a
        quorum.
        """
        found = []
        for watcher, error in claims.items():
            if self._outran_itself(error):
                continue
            what = f"witness {watcher.name}: {error.what}"
            if shown := watcher.shown_against(self._log):
                what = f"witness {watcher.name} shows {shown}"
            elif 2 * witnesses.quorum <= len(witnesses.keys):
                watcher.insist(error.what)
            else:
                found.append((watcher.name, error.what))
                continue
            raise ForkedLogError(what, where="access log", cure="department verify; do not continue")
        return tuple(found)
