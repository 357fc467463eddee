"""Four cases of misread plates that people were stopped for, as entries, votes and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alert_twins import plate_box, seen

from detector.plates import PlateBox, PlateText
from storage.alert_life import Fit
from sync.hot_lists.entry import ListEntry

CAR = plate_box(2.0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One of them. `read`: what the reader made of the plate; `shown`: what the picture shows."""

    name: str
    entry: ListEntry
    read: PlateText
    box: PlateBox = CAR
    shown: tuple[str, str]
    fit: Fit
    answer: str
    sounds: bool


def entry(plate: str, state: str, **facts: Any) -> ListEntry:
    return ListEntry(
        plate=plate, state=state, category="stolen-vehicle", reason="reported", case="1", **facts
    )


CASES = (
    Case(
        name="Green v. San Francisco: a Lexus 5SOW350, read as the GMC truck 5SOW750",
        entry=entry("5SOW750", "US-CA", make="GMC", plate_class="truck"),
        read=seen("5SOW750"), shown=("5SOW350", "CA"), fit=Fit.NO, answer="wrong-character", sounds=True,
    ),
    Case(
        name="the same, by a verifier who does not look at the vehicle",
        entry=entry("5SOW751", "US-CA", make="GMC", plate_class="truck"),
        read=seen("5SOW751"), shown=("5SOW351", "CA"), fit=Fit.YES, answer="wrong-character", sounds=True,
    ),
    Case(
        name="Aurora 2020: the right text of a Montana motorcycle, on a Colorado car",
        entry=entry("BTI268", "US-MT", plate_class="motorcycle"),
        read=seen("BTI268", state="US-CO"), shown=("BTI268", "CO"), fit=Fit.NO, answer="wrong-state",
        sounds=False,
    ),
    Case(
        name="Aurora 2020, with a state that nobody can read: the look at the vehicle ends it",
        entry=entry("BTI269", "US-MT", plate_class="motorcycle"),
        read=seen("BTI269", state=""), shown=("BTI269", ""), fit=Fit.NO, answer="not-this-vehicle",
        sounds=True,
    ),
    Case(
        name="Toledo 2024: a 7 read as a 2",
        entry=entry("JXA2214", "US-OH"),
        read=seen("JXA2214", state="US-OH"), shown=("JXA7214", "OH"), fit=Fit.YES, answer="wrong-character",
        sounds=True,
    ),
    Case(
        name="Colorado 2026: O on the list, 0 on the car of somebody else",
        entry=entry("BQO512", "US-CO", make="FORD"),
        read=seen("BQ0512", state="US-CO"), shown=("BQ0512", "CO"), fit=Fit.NO, answer="not-this-vehicle",
        sounds=True,
    ),
)  # fmt: skip
