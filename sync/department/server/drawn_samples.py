"""The random sample of each periodic audit, drawn again from the log (463.5 c). No I/O.

The first tree head that the witnesses co-signed over the beginning of an audit draws it, and the entry of the
finished audit holds that head. So a person who reads the entries sees whether a look-up was left out of the
sample or put into it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage.checkpoint import NoteKey, open_checkpoint
from storage.cosigners import Witnesses
from storage.errors import CheckpointError, StorageError
from sync.department.desk.audit.detectors import SAMPLE, drawn
from sync.department.desk.state import checked_policy
from sync.department.journal.check_log import note_key_of
from sync.department.journal.entries import (
    AccessLogOpened,
    AuditBegun,
    AuditDone,
    Entry,
    FindingOpened,
    RootSet,
)
from sync.department.journal.inquiry_entries import Access
from sync.root_file import describe


class DrawnSamples:
    """Entries in their order, and what is wrong with the samples of their audits."""

    def __init__(self, heads: Sequence[str] = ()) -> None:
        """`heads`: the co-signed tree heads beside the log, by size; without them no one sees whether an
        earlier one was passed over."""
        self.problems: list[str] = []
        self._heads = heads
        self._key: NoteKey | None = None
        self._witnesses: list[Witnesses] = []  # of each root since the audit began
        self._rate, self._rates = 0, set[int]()
        self._looks: list[tuple[int, int]] = []
        self._samples: dict[int, tuple[int, ...]] = {}
        self._begun: Entry | None = None
        self._draws = False

    def apply(self, entry: Entry) -> None:
        """Take in an entry."""
        match entry.note:
            case AccessLogOpened() as note if not entry.sequence:
                self._key = note_key_of(Ed25519PublicKey.from_public_bytes(note.public_key))
            case RootSet() as note:
                self._set_root(note)
            case Access():
                self._looks.append((entry.sequence, entry.stamp.at_us))
            case FindingOpened(detector=detector, accesses=accesses) if detector == SAMPLE:
                self._samples[entry.sequence] = accesses
            case AuditBegun():
                self._begun, self._rates = entry, {self._rate}
                self._witnesses = self._witnesses[-1:]
            case AuditDone() as note:
                if wrong := self._wrong(note):
                    self.problems.append(f"entry {entry.sequence}: audit: {wrong}")
                self._begun = None

    def _set_root(self, note: RootSet) -> None:
        with contextlib.suppress(StorageError):  # one that does not follow: said by `check_log`
            root = describe(note.root_file)[0]
            self._rate = checked_policy(root, note.policy_file).audit.sample_per_thousand
            self._rates.add(self._rate)
            if (witnesses := root.witnessing()) is not None:
                self._witnesses.append(witnesses)

    def _wrong(self, done: AuditDone) -> str:
        if not (done.head or self._draws):
            return ""  # of an earlier version
        self._draws, begun = True, self._begun
        if begun is None or (begun.sequence, begun.note) != (
            done.begun,
            AuditBegun(from_us=done.from_us, to_us=done.to_us),
        ):
            return "it did not begin with the entry that it names"
        try:
            if wrong := self._wrong_head(done.head, begun.sequence):
                return wrong
        except CheckpointError as error:
            return f"the tree head that drew its sample: {error}"
        inside = [
            sequence
            for sequence, at_us in self._looks
            if sequence < done.tree_size and done.from_us <= at_us <= done.to_us
        ]
        seeds = [one.lot(done.head) for one in self._witnesses if one.witnessed(done.head)]
        named = {one for number in done.findings for one in self._samples.get(number, ())}
        known = {one for some in self._samples.values() for one in some}
        fits = any(named <= set(drawn(inside, rate, seed)) <= known for rate in self._rates for seed in seeds)
        return "" if fits and done.tree_size > begun.sequence else "its tree head draws another sample"

    def _wrong_head(self, note: str, begun: int) -> str:
        """What is wrong with the tree head that drew. Raises CheckpointError."""
        if self._key is None:
            return ""  # the log has no beginning: said by `check_log`
        head = open_checkpoint(note, self._key)
        if head.size <= begun:
            return "the tree head that drew its sample is older than its beginning"
        if not any(one.witnessed(note) for one in self._witnesses):
            return "no quorum of witnesses co-signed the tree head that drew its sample"
        over = (one for one in self._heads if open_checkpoint(one, self._key).size > begun)
        first = next(over, note)
        if not any(one.witnessed(first) and one.lot(first) == one.lot(note) for one in self._witnesses):
            return "its sample was drawn by another tree head than the first over its beginning"
        return ""
