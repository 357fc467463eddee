"""Matches a read against all current hot lists: which entries, whether an alert sounds, why not. No I/O.

Only the few likely forms of a text are looked up, each as an exact match. A partial plate needs an inquiry
with a case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
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

MOST_OF_A_PLATE = 50  # entries of one list for a plate: a list with more is wrong, and each would alert
MOST_LOOKED_AT = 2000  # entries of a plate examined at each sighting; an event reports a list that has more
LEAST_LOOKS = 2
ONE_LOOK_SCORE = 0.99  # a misreading can be very confident in a single frame, but hardly ever over several


class ListInForce(Protocol):
    """A list that can be searched: a storage.hot_list_file.HotListFile with its head."""

    @property
    def head(self) -> ListHead:
        """What the list is."""

    def under(self, key: int) -> Iterator[bytes]:
        """Yield the entries under a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMatch:
    """One entry that a read may match.

    `score`: the probability by the vote. `twin`: the list has O where the read has 0, or I for 1, or the
    reverse. `disagrees`: state, plate_class. `stale`: the list's extract is older than the policy allows.
    `sounds`: the alert is audible; if not, it is listed silently, for the reasons in `silent`. `listed`:
    digests of the list's current entries for this plate, at most MOST_LOOKED_AT. At most MOST_OF_A_PLATE of
    them match, first those that sound.
    """

    head: ListHead
    entry: ListEntry = field(repr=False)
    entry_digest: bytes = field(repr=False)
    score: float
    twin: bool
    disagrees: tuple[str, ...]
    stale: bool
    silent: tuple[str, ...]
    listed: Collection[bytes] = field(repr=False)

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
    """The matches of one read, the most probable first. `frames`: how many frames voted.

    `now_us`, `sure_us`, `vague`: see ListTime. Entries begin and lists become stale by `now_us`; lists and
    entries end by `sure_us` (`now_us` if None). While the time is vague, every match is stale.

    `cleared`: a `cleared_name` for each plate that a person found not to be the entry's. If that plate
    differs from the entry's, it no longer matches; if it is the entry's own plate on another vehicle, it
    matches silently. `muted`: sources whose hits were rejected too often; their matches are silent too.
    """
    own = fold(text.text)
    forms = likely_forms(text, terms.list_score, exact_only=terms.exact_only)
    keys = [(form, score, key_of(form)) for form, score in forms]
    found: dict[bytes, ListMatch] = {}
    sure_us = now_us if sure_us is None else sure_us
    time = ListTime(likely_us=now_us, sure_us=sure_us, vague=vague)

    def of_plate(one: ListInForce, form: str, score: float, key: int) -> Iterator[ListMatch]:
        """The matches under one key of one list, each once, in an order that the source cannot choose."""
        head = one.head
        old = is_stale(head, time, terms) or now_us >= head.expires_us
        there = {digest_of(data): data for data in islice(one.under(key), MOST_LOOKED_AT)}
        listed = there.keys()
        for name in sorted(listed):
            is_cleared = cleared_name(name, own) in cleared
            if is_cleared and own != form:
                continue
            entry = ListEntry.from_bytes(there[name])
            if terms.category(entry.category) is None or not entry.runs(sure_us, at_most_us=now_us):
                continue
            against = disagreement(text, box, entry.state, entry.plate_class, known_states).names
            silent = (
                *against,
                *_too_unsure(terms, score, frames),
                *(["cleared"] if is_cleared else []),
                *(["source"] if head.source in muted else []),
            )
            yield ListMatch(
                head=head,
                entry=entry,
                entry_digest=name,
                score=score,
                twin=entry.plate != text.text and fold(entry.plate) == fold(text.text),
                disagrees=against,
                stale=old or not entry.runs(now_us, at_most_us=now_us),
                silent=silent,
                listed=listed,
            )

    for one in lists:
        head = one.head
        if has_ended(head, time) or (head.agency and head.agency not in terms.agencies):
            continue
        for form, score, key in keys:
            # limit only here, so that an ended or silent entry does not displace one that sounds
            sounding, silently = list[ListMatch](), list[ListMatch]()
            for match_of in of_plate(one, form, score, key):
                (sounding if match_of.sounds else silently).append(match_of)
                if len(sounding) == MOST_OF_A_PLATE:  # the others are not even parsed
                    break
            for match_of in (*sounding, *silently)[:MOST_OF_A_PLATE]:
                before = found.get(match_of.entry_digest)
                if before is None or before.score < score:
                    found[match_of.entry_digest] = match_of
    return sorted(found.values(), key=lambda each: (not each.sounds, -each.score, each.entry_digest))


def _too_unsure(terms: AlertTerms, score: float, frames: int) -> list[str]:
    """Why a match with this score and this many voting frames sounds no alert; empty if it may sound."""
    if score < terms.sound_score:
        return ["score"]
    return ["one look"] if frames < LEAST_LOOKS and score < ONE_LOOK_SCORE else []
