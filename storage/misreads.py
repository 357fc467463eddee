"""How often this unit misreads, according to its own log, in sentences for evidence packages.

There are two sources, neither controlled by the exporting person: decisions about alerts after someone looked
at the image (463.7), and the confidences of the newest reads. Shows no content.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage import codec, holds
from storage.audit_records import Decision, Verdict
from storage.counts import counted
from storage.errors import KeyLostError
from storage.read_records import ReadText
from storage.record_base import KeyClass
from storage.store import UnitStore

NEWEST = 1000  # reads whose confidence counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Misreads:
    """`misread` of `checked` alerts; `expected`: the share of the newest `reads` that is probably wrong."""

    checked: int
    misread: int
    reads: int
    expected: float

    def facts(self) -> dict[str, str]:
        """The figures as on a cover sheet."""
        if self.checked:
            share = f"{self.misread} of {self.checked} alerts ({self.misread / self.checked:.1%})"
            looked = f"{share} that a person checked against the image were misread"
        else:
            looked = "not known from people: no alert of this unit was checked against its image yet"
        expects = f"{self.expected:.1%} of its newest {counted(self.reads, 'read')}, by their own confidences"
        return {
            "misread rate of this unit": looked,
            "misreads to be expected": expects if self.reads else "not known: no read can be opened here",
        }


def of(store: UnitStore) -> Misreads:
    """Count misreads. Opens at most NEWEST texts and all audit entries."""
    with store.lock:
        checked = [one for one in _decisions(store) if one.verdict in {Verdict.CONFIRMED, Verdict.MISREAD}]
        doubts = _doubts(store)
    return Misreads(
        checked=len(checked),
        misread=sum(one.verdict is Verdict.MISREAD for one in checked),
        reads=len(doubts),
        expected=sum(doubts) / len(doubts) if doubts else 0.0,
    )


def _decisions(store: UnitStore) -> list[Decision]:
    """The last decision on each alert whose image was looked at."""
    last: dict[int, Decision] = {}
    for record in holds.audit_records(store):
        if isinstance(record, Decision) and record.image_viewed:
            last[record.alert] = record
    return list(last.values())


def _doubts(store: UnitStore) -> list[float]:
    """1 - confidence, for each of the newest reads that can be opened here."""
    doubts: list[float] = []
    kinds = {KeyClass.READ, KeyClass.HIT}
    epochs = [one.epoch for one in store.book.epochs.values() if one.key_class in kinds]
    for epoch in sorted(set(epochs) & store.live.keys(), reverse=True):
        for sequence in reversed(store.sequences(epoch)):
            if len(doubts) == NEWEST:
                return doubts
            leaf = store.leaf(sequence)
            if leaf.kind != "read":
                continue
            try:
                text = codec.from_bytes(ReadText, store.open_element(leaf, "text").content)
            except KeyLostError:
                break  # purged, like the rest of this epoch
            doubts.append(1.0 - text.confidence)
    return doubts
