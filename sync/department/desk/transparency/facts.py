"""What each entry of the access log adds to the public counts: no plate, no person, no case. No I/O.

The counts come from these facts and nothing else, so that an auditor who gets them counts the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from storage.alert_life import AlertEvent, Wanted, caught
from sync.department.journal.alert_entries import AlertKnown, AlertStepTaken
from sync.department.journal.change_entries import (
    CasesCompared,
    DayCounted,
    DocumentSigned,
    GlassBroken,
    GlassJudged,
    ListSent,
)
from sync.department.journal.entries import (
    AuditDone,
    Entry,
    FindingClosed,
    FindingOpened,
    Refused,
    RootSet,
    WitnessAway,
)
from sync.department.journal.entry_base import Note
from sync.department.journal.hold_entries import HoldPlaced, HoldReleased, Purged
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.journal.sharing_entries import ShareAsked, ShareDecided, ShareDelivered, ShareRouted
from sync.department.policy.refusals import FRESH_PROOF

COUNTED: tuple[type[Note], ...] = (
    Access, AlertKnown, AlertStepTaken, AuditDone, CasesCompared, DayCounted, DocumentSigned, FindingClosed,
    FindingOpened, GlassBroken, GlassJudged, HoldPlaced, HoldReleased, ListSent, Purged, RedressAnswered,
    RedressAsked, Refused, RootSet, ShareAsked, ShareDecided, ShareDelivered, ShareRouted, WitnessAway,
)  # fmt: skip
KINDS = tuple(kind.KIND for kind in COUNTED)
AGAIN = "again"  # a refusal that only asked again for a proof or a login, as for every hold and export
ASKS_AGAIN = frozenset({FRESH_PROOF, "session-locked", "session-over"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one entry adds. Its kind decides `words` and `numbers` (`_words_of`, `_numbers_of`)."""

    entry: int
    kind: str
    words: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()


def facts_of(entries: Iterable[Entry]) -> Iterator[Fact]:
    """The facts of entries, in order from the first, since the answer to a planted mismatch needs its
    alert."""
    planted: dict[str, Wanted] = {}
    for entry in entries:
        note = entry.note
        if isinstance(note, AlertKnown) and note.planted_plate:
            planted[note.alert] = Wanted(plate=note.planted_plate, state=note.planted_state, planted=True)
        words, numbers = _words_of(note), _numbers_of(note)
        if (
            isinstance(note, AlertStepTaken)
            and note.step.step is AlertEvent.TRANSCRIBED
            and note.alert in planted
        ):
            numbers = (int(caught(note.step, planted[note.alert])),)
        yield Fact(entry=entry.sequence, kind=note.KIND, words=words, numbers=numbers)


def _words_of(note: Note) -> tuple[str, ...]:  # noqa: PLR0911 - one case per kind
    match note:
        case Access():
            return (note.action, note.ground.purpose)
        case DayCounted() | Purged():
            return (note.day,)
        case ShareAsked():
            return (note.agency,)
        case FindingOpened():
            return (note.detector,)
        case FindingClosed():
            return (note.verdict,)
        case DocumentSigned():
            return (note.name.partition("/")[0],)
        case Refused(code=code):
            return (AGAIN,) if code in ASKS_AGAIN else ()
        case ListSent():
            return (note.list_id, note.source, note.agency, *(name for name, _count in note.categories))
        case AlertKnown():
            return (note.alert, note.source, note.category)
        case AlertStepTaken():
            return (note.alert, note.step.step.value, note.step.answer.value if note.step.answer else "")
        case _:
            return ()


def _numbers_of(note: Note) -> tuple[int, ...]:  # noqa: PLR0911 - one case per kind
    match note:
        case DayCounted() | Purged():
            return (note.reads,)
        case GlassJudged():
            return (note.access, int(note.justified))
        case CasesCompared():
            return (note.accesses, note.known + len(note.found))
        case ShareDecided():
            return (note.request, int(note.approved))
        case ShareDelivered():
            return (note.request, note.count)
        case RedressAnswered():
            return (note.request,)
        case ListSent():
            return (note.entries, note.covert, *(count for _name, count in note.categories))
        case AlertKnown():
            return (int(bool(note.planted_plate)), int(bool(note.silent)), int(bool(note.recipients)))
        case _:
            return ()
