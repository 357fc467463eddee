"""A read against all current lists: the entries it may match, whether an alert sounds, and why not. Pure.

Exact look-ups of the few likely forms of a text; partial plates need an inquiry, which requires a case.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from detector.plates import PlateBox, PlateText
from firmware.alerts.agreement import disagreement
from firmware.alerts.lasting_time import ListTime
from firmware.alerts.likelihood import likely_forms
from firmware.alerts.list_age import has_ended, is_stale
from storage.alert_terms import AlertTerms
from storage.plate_text import fold
from sync.hot_lists.document import ListHead, digest_of
from sync.hot_lists.entry import ListEntry, cleared_name, key_of

LEAST_LOOKS = 2
ONE_LOOK_SCORE = 0.99  # in a single look a misreading can be sure of itself; over frames it hardly ever is


class ListInForce(Protocol):
    """A list that can be searched: storage.hot_list_file.HotListFile behind its head."""

    @property
    def head(self) -> ListHead:
        """What the list is."""

    def find(self, key: int) -> list[bytes]:
        """The entries under a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMatch:
    """One entry that a read may be.

    `score`: the probability under the vote. `twin`: the list writes O where the read says 0, or I for 1, or
    the other way round. `disagrees`: state, plate_class. `stale`: the list's extract is older than the policy
    allows. `sounds`: an audible alert; else it is listed silently, for the reasons in `silent`. `listed`:
    digests of all entries that the list has for the entry's plate now.
    """

    head: ListHead
    entry: ListEntry = field(repr=False)
    entry_digest: bytes = field(repr=False)
    score: float
    twin: bool
    disagrees: tuple[str, ...]
    stale: bool
    silent: tuple[str, ...]
    listed: frozenset[bytes] = field(repr=False)

    @property
    def sounds(self) -> bool:
        return not self.silent


def match(  # noqa: PLR0917 - one read, against the current lists
    text: PlateText,
    box: PlateBox,
    lists: Sequence[ListInForce],
    terms: AlertTerms,
    known_states: Sequence[str],
    now_us: int,
    *,
    sure_us: int | None = None,
    vague: bool = False,
    frames: int = LEAST_LOOKS,
    cleared: Collection[bytes] = (),
    muted: Collection[str] = (),
) -> list[ListMatch]:
    """The matches of one read, the surest first. frames: how many looks the vote is of.

    now_us, sure_us, vague: see ListTime. By the first entries begin, and what is too old or has ended is
    stale; by the second lists and entries end; while the time is vague, every match is stale.

    cleared: `cleared_name` of plates that people found not to be an entry's. A read of another plate than the
    entry's that they found is no match; where they found the entry's own plate on another vehicle, and for
    muted sources, whose hits were rejected too often, the match is listed silently.
    """
    own = fold(text.text)
    forms = likely_forms(text, terms.list_score, exact_only=terms.exact_only)
    keys = [(form, score, key_of(form)) for form, score in forms]
    found: dict[bytes, ListMatch] = {}
    sure_us = now_us if sure_us is None else sure_us
    time = ListTime(likely_us=now_us, sure_us=sure_us, vague=vague)
    for one in lists:
        head = one.head
        if has_ended(head, time) or (head.agency and head.agency not in terms.agencies):
            continue
        old = is_stale(head, time, terms) or now_us >= head.expires_us
        for form, score, key in keys:
            there = {digest_of(data): data for data in one.find(key)}
            for name, data in there.items():
                known = cleared_name(name, own) in cleared
                if known and own != form:
                    continue
                entry = ListEntry.from_bytes(data)
                if terms.category(entry.category) is None or not entry.runs(sure_us, at_most_us=now_us):
                    continue
                against = disagreement(text, box, entry.state, entry.plate_class, known_states).names
                silent = list(against)
                if score < terms.sound_score:
                    silent.append("score")
                elif frames < LEAST_LOOKS and score < ONE_LOOK_SCORE:
                    silent.append("one look")
                if known:
                    silent.append("cleared")
                if head.source in muted:
                    silent.append("source")
                made = ListMatch(
                    head=head,
                    entry=entry,
                    entry_digest=name,
                    score=score,
                    twin=entry.plate != text.text and fold(entry.plate) == fold(text.text),
                    disagrees=against,
                    stale=old or not entry.runs(now_us, at_most_us=now_us),
                    silent=tuple(silent),
                    listed=frozenset(there),
                )
                if name not in found or found[name].score < score:
                    found[name] = made
    return sorted(found.values(), key=lambda made: (not made.sounds, -made.score, made.entry_digest))
