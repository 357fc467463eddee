"""Draws the random sample of each periodic audit again from the log (463.5 (c)). No I/O.

The signed call with which an audit began draws its sample (`detectors.seed_of`) from the lookups before it.
So anyone who reads the entries sees whether a lookup was left out of the sample or put into it. Earlier
versions used the first tree head that the witnesses co-signed over the audit's beginning. Such an audit
counts in an older log until its first audit by a signed call.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage.checkpoint import NoteKey, open_checkpoint, split_note
from storage.cosigners import Witnesses
from storage.errors import CheckpointError, StorageError
from storage.times import iso_text
from sync.department.desk.audit.detectors import SAMPLE, drawn, seed_of
from sync.department.journal.check_log import note_key_of
from sync.department.journal.entries import (
    DRAWN_BY_PERSON,
    AccessLogOpened,
    AuditBegun,
    AuditDone,
    Entry,
    FindingOpened,
    RootSet,
)
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.statements import said_in
from sync.department.policy.policy_file import checked_policy
from sync.root_file import describe


class DrawnSamples:
    """Takes in entries in order, and finds what is wrong with the samples of their audits."""

    def __init__(self, salt: bytes = b"", heads: Sequence[str] = ()) -> None:
        """Begin a check.

        `salt`: that of the log's first credential entry; `heads`: the co-signed tree heads beside the log, by
        size, for audits of earlier versions.
        """
        self.problems: list[str] = []
        self._salt, self._heads = salt, heads
        self._key: NoteKey | None = None
        self._witnesses: list[Witnesses] = []  # of each root since the audit began
        self._rate, self._rates = 0, set[int]()
        self._looks: list[tuple[int, int]] = []
        self._samples: dict[int, tuple[int, ...]] = {}
        self._begun: Entry | None = None
        self._opened_us, self._ends = 0, list[int]()
        self._draws = self._by_person = False

    def apply(self, entry: Entry) -> None:
        """Take in an entry."""
        match entry.note:
            case AccessLogOpened() as note if not entry.sequence:
                self._key = note_key_of(Ed25519PublicKey.from_public_bytes(note.public_key))
                self._opened_us, self._by_person = entry.stamp.at_us, note.signs >= DRAWN_BY_PERSON
            case RootSet() as note:
                self._set_root(note)
            case Access():
                self._looks.append((entry.sequence, entry.stamp.at_us))
            case FindingOpened(detector=detector, accesses=accesses) if detector == SAMPLE:
                self._samples[entry.sequence] = accesses
            case AuditBegun():
                if self._begun is not None:
                    self._add(
                        entry, f"the one that began with entry {self._begun.sequence} was never finished"
                    )
                self._begun, self._rates = entry, {self._rate}
                self._witnesses = self._witnesses[-1:]
            case AuditDone() as note:
                if wrong := self._wrong(note):
                    self._add(entry, wrong)
                self._begun = None
                self._ends.append(note.to_us)

    def _add(self, entry: Entry, wrong: str) -> None:
        self.problems.append(f"entry {entry.sequence}: audit: {wrong}")

    def _set_root(self, note: RootSet) -> None:
        with contextlib.suppress(StorageError):  # `check_log` reports one that does not follow
            root = describe(note.root_file)[0]
            self._rate = checked_policy(root, note.policy_file).audit.sample_per_thousand
            self._rates.add(self._rate)
            if (witnesses := root.witnessing()) is not None:
                self._witnesses.append(witnesses)

    def _wrong(self, done: AuditDone) -> str:
        if done.begun < 0 and not (done.head or self._draws or self._by_person):
            return ""  # of the first version, which did not name its seed
        self._draws, begun = True, self._begun
        if begun is None or (begun.sequence, begun.note) != (
            done.begun,
            AuditBegun(from_us=done.from_us, to_us=done.to_us),
        ):
            return "it did not begin with the entry that it names"
        return self._wrong_by_head(done, begun) if done.head else self._wrong_by_call(done, begun)

    def _wrong_by_call(self, done: AuditDone, begun: Entry) -> str:
        self._by_person = True
        if not begun.signed:
            return "no person signed its beginning"
        try:
            form, seed = said_in(begun.signed).fields(), seed_of(begun, self._salt)
        except StorageError as error:
            return f"the signed call that drew its sample: {error}"
        if wrong := self._wrong_period(done, begun, form):
            return wrong
        return "" if self._fits(done, seed, begun.sequence) else "its signed call draws another sample"

    def _wrong_period(self, done: AuditDone, begun: Entry, form: Mapping[str, Any]) -> str:
        """What is wrong with its period: lookups are in no sample, or it was chosen until the draw
        suited."""
        last = max(self._ends, default=self._opened_us)
        if done.from_us > last:
            return f"lookups from {iso_text(last)} to {iso_text(done.from_us)} are in no audit"
        if done.to_us > begun.stamp.at_us:
            return "its period had not ended when it began"
        named = (form.get("since_us", -1), form.get("until_us", -1))
        if not all(type(one) is int for one in named):
            return "its signed form is malformed"
        usual = (last, begun.stamp.at_us)  # if the person named no period
        wanted = tuple(one if one >= 0 else other for one, other in zip(named, usual, strict=True))
        return "" if wanted == (done.from_us, done.to_us) else "its person asked for another period"

    def _fits(self, done: AuditDone, seed: bytes, end: int) -> bool:
        """Whether its findings are what the seed draws from the lookups before `end`."""
        inside = [
            sequence
            for sequence, at_us in self._looks
            if sequence < end and done.from_us <= at_us <= done.to_us
        ]
        named = {one for number in done.findings for one in self._samples.get(number, ())}
        known = {one for some in self._samples.values() for one in some}
        fits = any(named <= set(drawn(inside, rate, seed)) <= known for rate in self._rates)
        return fits and done.tree_size > done.begun

    def _wrong_by_head(self, done: AuditDone, begun: Entry) -> str:
        """What is wrong with an audit of an earlier version."""
        if self._by_person:
            return "a tree head drew its sample, which this log no longer allows"
        try:
            if wrong := self._wrong_head(done.head, begun.sequence):
                return wrong
        except CheckpointError as error:
            return f"the tree head that drew its sample: {error}"
        seed = hashlib.sha256(done.head.encode()).digest()
        return "" if self._fits(done, seed, done.tree_size) else "its tree head draws another sample"

    def _wrong_head(self, note: str, begun: int) -> str:
        """What is wrong with the tree head that drew the sample. Raises CheckpointError."""
        if self._key is None:
            return ""  # the log has no beginning: reported by `check_log`
        head = open_checkpoint(note, self._key)
        if head.size <= begun:
            return "the tree head that drew its sample is older than its beginning"
        if not any(one.witnessed(note) for one in self._witnesses):
            return "no quorum of witnesses co-signed the tree head that drew its sample"
        signers = [(name, blob[:4]) for name, blob in split_note(note)[1]]
        cosigners = (key for one in self._witnesses for keys in one.keys for key in keys)
        known = {(self._key.name, self._key.key_id), *((key.name, key.key_id) for key in cosigners)}
        if not set(signers) <= known or len(set(signers)) < len(signers):
            return "the tree head that drew its sample has signatures that no witness made"
        over = (open_checkpoint(one, self._key) for one in self._heads)
        first = next((one for one in over if one.size > begun), head)
        if (first.size, first.root) != (head.size, head.root):
            return "its sample was not drawn by the first tree head over its beginning"
        return ""
