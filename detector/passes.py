"""A vehicle's pass while it lasts: its motion, its vote and its best picture."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

from .confidence import seen_from
from .frame_average import SeeTogether, View, Views, alike
from .hidden import WITNESSES
from .likeness import (
    DIFFERENT_NATS,
    DIFFERENT_SHARE,
    LEAST_CHARACTERS,
    MISREAD_NATS,
    SURE,
    TELLS_NOTHING,
    TRUSTED,
    Likeness,
    from_afar,
    is_part,
    is_rest,
    near_text,
    of_other_kinds,
    same_text,
    shared,
)
from .look_history import LookHistory
from .motion import Motion
from .place_fit import on_same_px, runs_out, shared_end
from .plates import U8, Confirmation, Evidence, PlateBox, PlateReading, PlateText, VehiclePass
from .vote import Decoding, Vote

_BETTER = 0.015  # a picture replaces the kept one if it is this much better: copying a frame costs 2 ms
_RECHECK_US = 250_000  # a settled plate is read again after this time, then after twice as long, and so on:
_RECHECK_MOST_US = 8_000_000  # an obstacle may be gone, or another vehicle may have stopped there
_WIDENED = 1.1  # a box this much wider for its height than any that was read may show what was hidden
_NOT_SHOWN = 0.5  # subtracted from a picture's quality if it does not show the vote's text
_CLEAR = 0.1  # exponent that makes a look's sureness comparable to the confidence, which costs more
_CUT = 0.3  # subtracted from the quality of a picture whose edge cuts the plate
_MOST_CREDIT = 32  # most confirmed frames that count against readings of another text
_AS_NEAR = 0.8  # of the kept picture's width: a different text from farther away says little
_MOVED_WIDTHS = 2.0  # a settled plate that moved this far is read again
_GREW = 1.3  # or that grew by so much
_NEARER = 1.05  # than any look that gave the text: none of them outweighs another text
# Two kinds of evidence separate a vehicle from clutter that briefly looks like a plate: the detector was sure
# at least once, or the text is. A glimpse in one frame from afar has only the detector.
_LEAST_READABLE = 2
_FAR_PX = 30.0  # characters of narrower plates are under four px wide: readings differ in several of them
_NEAR_PX, _LEAST_CONFIDENCE = 40.0, 0.025  # a plate that stayed too far away to be read has not passed here
_ALIKE_PX = 45.0  # on a narrower plate, a B may be read as a sure 8
_WIDE_PX = 80.0  # wider plates: none of 4,490 passes was read wrongly, and an average costs 7 ms
_FEW = 3  # sightings
_GUESSED = 0.2  # confidence of a far plate's only look: a guess, and other passes show the vehicle better
_UNSURE = 0.76  # a text that the card calls sure does not yield to one read elsewhere
_SAME_VIEW = 0.95  # correlation of two patches of one view; two plates of one series reach it too, elsewhere
_SURE_PLATE, _SURE_TEXT = 0.9, 0.47
_GLIMPSE_PLATE = 0.97


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """One plate in one frame, read or not. ``confirmed``: one look gave the text of its pass."""

    sequence: int
    time_us: int
    box: PlateBox
    reading: PlateReading | None
    confirmed: Confirmation | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Best:
    quality: float  # whatever its text
    leader: str
    sequence: int
    box: PlateBox
    patch: U8


class LiveTrack:
    """The state of one live pass."""

    def __init__(self, pass_id: int, decoding: Decoding, first: Sighting, reading: PlateReading) -> None:
        self.pass_id = pass_id
        self.motion = self._motion_before = Motion(first.time_us, first.box)
        self.vote = Vote(decoding)
        self.looks = 0  # frames that were read or that confirmed the text
        self._given = LookHistory()
        self._views = Views()
        self._average: tuple[int, Evidence | None] = (0, None)  # with the number of looks it is from
        self._credit, self._spared = 0, 0  # confirmed frames; frames not read since the last look
        self.rival: LiveTrack | None = None  # another vehicle that may have taken this one's place
        self.gave_way = False  # it has taken it, and this vehicle was not seen since
        self._first_box = self._began_box = first.box
        self.began_us = first.time_us  # of its own sightings, whatever it took over since
        self._best: _Best | None = None
        self._top_plateness = 0.0
        self._recheck_us = _RECHECK_US
        self._look_us, self._look_box = first.time_us, first.box  # the last that was looked at
        self._read_box = first.box  # the last that the vote counts
        self._widest_read, self._read_at_edge = 0.0, False
        self._count(first, reading)

    def take(self, sighting: Sighting) -> bool:
        """Adds a sighting of this vehicle; True if its frame is now the best picture."""
        self.gave_way = False
        self.motion.take(sighting.time_us, sighting.box)
        if sighting.reading is not None:
            return self._count(sighting, sighting.reading)
        look = sighting.confirmed
        if look is None:
            self._spared += 1
            return False
        self.looks += 1
        self._credit += 1
        self.vote.count(self.vote.leader, 1)
        self._looked_at(sighting, agrees=True)
        self._given.add(self.vote.leader, look.box.width_px)
        if not look.cut:
            self._views.add([View(look.patch, self.vote.leader, look.box.width_px, look.sureness)])
        quality = _quality(look.box, look.sureness, cut=look.cut)
        return self._keep(_Best(quality, self.vote.leader, sighting.sequence, look.box, look.patch))

    def follow(self, sighting: Sighting) -> None:
        """Follows a sighting in this vehicle's place that may be another vehicle, without counting it."""
        self._motion_before = copy.copy(self.motion)
        self.motion.take(sighting.time_us, sighting.box)

    def yield_place(self) -> None:
        """Gives the last followed sighting to the rival: it was not of this pass."""
        self.motion, self.gave_way = self._motion_before, True

    def _count(self, sighting: Sighting, reading: PlateReading) -> bool:
        self.looks += 1
        self._given.add(reading.leader, sighting.box.width_px)
        if self.vote.frames:
            self._looked_at(sighting, agrees=not self._contradicted_by(sighting.box, reading))
            if self._outweighed(sighting.box, reading):
                self._credit -= 1
                self.vote.count(reading.leader, 1)
                return False
        self.vote.add(reading.evidence)
        self._top_plateness = max(self._top_plateness, reading.plateness)
        self._read_box = sighting.box
        self._widest_read = max(self._widest_read, _aspect(reading))
        self._read_at_edge = reading.evidence.cut
        evidence = reading.evidence
        if not evidence.cut and evidence.lines == 1:
            width_px = sighting.box.width_px
            self._views.add([View(reading.patch, reading.leader, width_px, evidence.sureness)])
        quality = _quality(sighting.box, evidence.sureness, evidence.trust, cut=evidence.cut)
        return self._keep(_Best(quality, reading.leader, sighting.sequence, reading.box, reading.patch))

    def _keep(self, picture: _Best) -> bool:
        """Keeps a picture if it shows the vote's text better than the one before."""
        shown = 0.0 if self._shows(picture.leader) else _NOT_SHOWN
        if picture.quality - shown < self.picture_quality + _BETTER:
            return False
        self._best = picture
        return True

    def _contradicted_by(self, box: PlateBox, reading: PlateReading) -> bool:
        """Whether a reading is sure of another text and was taken from as near as the kept picture."""
        if self._agrees(reading) or box.width_px < _AS_NEAR * self._best_px:
            return False
        return reading.confidence >= TRUSTED

    def _agrees(self, reading: PlateReading) -> bool:
        """Whether a reading gives the vote's text, or what an obstacle leaves of it."""
        mine, its = self.vote.leader, reading.leader
        return same_text(mine, its) or is_part(its, mine)

    def _outweighed(self, box: PlateBox, reading: PlateReading) -> bool:
        """Whether a confirmed frame, which has no vote, outweighs a reading of another text.

        It does not if the reading may show more: a longer text, a nearer or wider box, or one that has left
        the picture's edge.
        """
        if not self._credit or self._agrees(reading) or is_part(self.vote.leader, reading.leader):
            return False
        whole_now = self._read_at_edge and not reading.evidence.cut
        nearer = box.width_px > _NEARER * self._given.nearest_px(self.vote.leader)
        return self.vote.settled and not whole_now and not nearer and not self._shows_more(box)

    def _shows_more(self, box: PlateBox) -> bool:
        """Whether a box is nearer, or wider for its height, than any that was read."""
        return box.width_px > _GREW * self._read_box.width_px or box.aspect > _WIDENED * self._widest_read

    def _looked_at(self, sighting: Sighting, *, agrees: bool) -> None:
        """Looks at a settled plate less and less often, but at each frame after one with another text."""
        self._look_us, self._look_box = sighting.time_us, sighting.box
        unread = self._spared if agrees else self._spared // 2
        self._credit = min(self._credit + unread, _MOST_CREDIT)
        self.vote.count(self.vote.leader, unread)
        self._spared = 0
        if self.vote.settled:
            self._recheck_us = min(max(2 * self._recheck_us, _RECHECK_US), _RECHECK_MOST_US) if agrees else 0

    def _shows(self, leader: str) -> bool:
        """Whether a picture with that text shows the vote's present text; an O counts as a 0."""
        return leader == self.vote.leader or same_text(leader, self.vote.leader)

    def begin_with(self, far: LiveTrack) -> None:
        """Takes over when and where a vehicle was first seen before it could be read, but not its text."""
        self.motion.join(far.motion)
        if far.motion.first_us <= self.motion.first_us:
            self._first_box = far._first_box

    def absorb(self, other: LiveTrack) -> None:
        """Takes over what another pass saw of the same vehicle; keeps its own best picture."""
        self.looks += other.looks
        self._given.join(other._given)
        self._views.join(other._views)
        fewer = other.motion.sightings < self.motion.sightings
        if not (fewer and self.vote.settled and not same_text(self.vote.leader, other.vote.leader)):
            self.vote.join(other.vote)
        self.begin_with(other)
        if other._look_us > self._look_us:
            self._look_us, self._look_box = other._look_us, other._look_box
            self._read_box, self._read_at_edge = other._read_box, other._read_at_edge
        self._widest_read = max(self._widest_read, other._widest_read)
        self._top_plateness = max(self._top_plateness, other._top_plateness)

    @property
    def picture_quality(self) -> float:
        """How well the kept picture shows the vote's text."""
        if self._best is None:
            return -math.inf
        return self._best.quality - (0.0 if self._shows(self._best.leader) else _NOT_SHOWN)

    @property
    def text(self) -> PlateText:
        """The vote's present text."""
        return self.vote.verdict().text

    def spelt_like(self, reading: PlateReading) -> bool:
        """Whether a reading has this plate's text, or its rival's."""
        rival = self.rival is not None and near_text(self.rival.vote.leader, reading.leader)
        return rival or near_text(self.vote.leader, reading.leader)

    def likeness(self, reading: PlateReading) -> Likeness:
        """Whether a reading is of this plate: by its text and, in doubt, by its columns.

        ``misread``: as good as the same, since one of the two is unsure where they differ. ``neighbor``: both
        are sure and differ in a character; only the place can show whether they are one plate.
        """
        mine, its = self.vote.leader, reading.leader
        far = min(self._best_px, reading.box.width_px) < _ALIKE_PX
        if same_text(mine, its) or (far and self._given.often(its)):
            return "same"
        if is_part(mine, its) or is_part(its, mine) or reading.evidence.cut or self.vote.cut:
            return self._unless_different(reading)
        whole_seen = is_rest(its, mine) and self.vote.frames_of_leader >= WITNESSES
        if whole_seen and _narrower(_aspect(reading), self._widest_read):
            return "unclear"  # something hides a part; the character at its side is cut and misread
        other_kinds = far and of_other_kinds(mine, its)  # at close range they are two plates, of two series
        if other_kinds or near_text(mine, its):
            sure = min(self.vote.confidence, reading.confidence)
            if sure >= TRUSTED and (other_kinds or self._may_be_misread(reading)):
                return "misread"
            return "neighbor" if sure >= SURE else "unclear"
        return self._unless_different(reading)

    def _unless_different(self, reading: PlateReading) -> Likeness:
        mine, its = self.vote.leader, reading.leader
        if is_part(mine, its) or is_part(its, mine):
            return "unclear"
        alike = shared(mine, its) >= DIFFERENT_SHARE
        sure = sorted((self.vote.confidence, reading.confidence)) if alike else [0.0]  # costs a verdict
        if alike and (sure[0] < TRUSTED or sure[1] < SURE):
            return "unclear"
        if self.vote.supports(reading.evidence) < DIFFERENT_NATS:
            return "different"
        return "neighbor" if sure[0] >= SURE else "unclear"

    def _may_be_misread(self, reading: PlateReading) -> bool:
        """Whether one of this vote and a reading is unsure of the slot in which they differ."""
        return (
            self.vote.supports(reading.evidence) >= MISREAD_NATS
            or self.vote.allows(reading.leader) >= MISREAD_NATS
        )

    def wants_text(self, now_us: int, box: PlateBox, frame_shape: tuple[int, int]) -> bool | str:
        """Whether another reading of this plate is worth its time; or its text, for a look to confirm.

        A settled text is read again if a part of the plate was hidden or outside the picture, or if it is
        doubtful and more frames may make it sure.
        """
        if self.rival is not None or not self.vote.settled:
            return True
        if self._shows_more(box):
            return True
        if self._read_at_edge and not runs_out(box, frame_shape):
            return True
        (x0, y0), (x1, y1) = box.corners[0], self._look_box.corners[0]
        moved = math.hypot(x1 - x0, y1 - y0) > _MOVED_WIDTHS * box.width_px
        due = moved or now_us - self._look_us >= self._recheck_us
        if due and self.vote.confidence >= SURE:
            return self.vote.leader
        return due

    @property
    def tells_nothing(self) -> bool:
        """Whether this plate could not be read, since it was too far away or visible only for a moment."""
        if self.came_near and self.motion.sightings >= _FEW:
            return False
        if self.is_far:
            return seen_from(self._best_px, self.vote.confidence) < _UNSURE
        return self.vote.confidence < TELLS_NOTHING

    def begins(self, near: LiveTrack) -> bool:
        """Whether a nearer pass may show this plate, which was too far away to be read, or read right.

        A sure text yields only to a plate that came nearer; other vehicles pass by as far away.
        """
        if self.is_far and same_text(from_afar(self.vote.leader), from_afar(near.vote.leader)):
            return True
        nearer = self.vote.confidence < _UNSURE or near._best_px > _GREW * self._best_px
        return nearer and self.tells_nothing

    def spelt_nearly(self, near: LiveTrack) -> bool:
        """Whether this text may be a misreading of a nearer pass's text."""
        mine, its = self.vote.leader, near.vote.leader
        far = self.is_far and near_text(from_afar(mine), from_afar(its))
        return far or near_text(mine, its)

    @property
    def came_near(self) -> bool:
        """Whether the best picture shows this plate near enough for consistent readings."""
        return self._best_px >= _NEAR_PX

    @property
    def is_far(self) -> bool:
        """Whether the best picture shows this plate from so far away that readings differ."""
        return self._best_px < _FAR_PX

    @property
    def yields_text(self) -> bool:
        """Whether another text in exactly this place, without a gap, is a better reading of this plate."""
        once = self.looks == 1 and not self.came_near
        sure = seen_from(self._best_px, self.vote.confidence)
        return sure < (SURE if self.is_far or once else TELLS_NOTHING)

    def is_misread_by(self, rival: LiveTrack) -> bool:
        """Whether a rival that was followed without a gap is only another reading of the same view.

        No vehicle reaches exactly another's px within a few frames. Comparing the patches rules out pictures
        that are shown to the camera one after the other.
        """
        if self._best is None or rival._best is None:
            return False
        if not on_same_px(self._motion_before.box, rival._began_box):
            return False
        return alike(self._best.patch, rival._best.patch) >= _SAME_VIEW

    def uncovers(self, hidden: LiveTrack) -> bool:
        """Whether this plate is the one seen in exactly this place before, no longer partly hidden.

        The last visible character was cut in half and misread, so that the old text is no part of this one.
        """
        wider = _narrower(hidden.motion.box.aspect, self.motion.box.aspect)
        return wider and is_rest(hidden.vote.leader, self.vote.leader)

    def shows_rest_of(self, whole: LiveTrack) -> bool:
        """Whether this text is the visible part of another's plate, with its end misread.

        The other's plate began where this one is and was wider for its height. It shares one end of the text
        but for a character, or one end of the box and at least half of the text.
        """
        if self._best is None:
            return False
        mine, its = self.vote.leader, whole.vote.leader
        if is_rest(mine, its) and _narrower(self._widest_read, whole._widest_read):
            return True
        end = shared_end(self._best.box, whole._first_box)
        at_least = max((len(its) + 1) // 2, LEAST_CHARACTERS - 1)
        if end == "left":
            return mine[:at_least] == its[:at_least]
        return end == "right" and mine[-at_least:] == its[-at_least:]

    def nears(self, far: LiveTrack) -> bool:
        """Whether this pass begins or ends nearer than another's single sighting, which was far away."""
        if far.motion.sightings > 1 or far.came_near:
            return False
        after = self.began_us > far.motion.last_us
        return (self._began_box if after else self.motion.box).width_px > far.motion.box.width_px

    @property
    def _best_px(self) -> float:
        """Width of the plate in the best picture."""
        return 0.0 if self._best is None else self._best.box.width_px

    @property
    def worth_telling(self) -> bool:
        """Whether this is a vehicle's plate rather than clutter that briefly looked like one."""
        text = self.text
        if text.readable < _LEAST_READABLE:
            return False
        if self.is_far and self.motion.sightings < _FEW:
            guessed = self.vote.frames == 1 and seen_from(self._best_px, text.confidence) < _GUESSED
            if guessed or text.confidence < TELLS_NOTHING:
                return False
        too_far = not self.came_near
        if too_far and text.confidence < _LEAST_CONFIDENCE:
            return False
        if self.motion.sightings >= 2:
            return self._top_plateness >= _SURE_PLATE or text.confidence >= _SURE_TEXT
        return self._top_plateness >= _GLIMPSE_PLATE or (text.confidence >= _SURE_TEXT and not too_far)

    def ended(self, together: SeeTogether) -> VehiclePass:
        """The pass as reported, with a lower confidence if the plate never came near or if looks differ.

        together: what a reader sees in the average of the frames. It may make another text win but makes none
        surer, since the average may err as its frames do. The text of a plate that never moved is only as
        sure as one of its frames: frames of one view err alike.
        """
        best = self._best
        if best is None:
            raise ValueError("a track without a reading is not a pass")
        average = self._seen_together(together)
        vote = self.vote if average is None else self.vote.with_average(average)
        text, sure = vote.text, min(vote.confidence, self.vote.confidence)
        if self.motion.unmoved:
            sure = min(sure, self.vote.confidence_of_one)
        sure = seen_from(self._best_px, sure)
        return VehiclePass(
            pass_id=self.pass_id,
            text=replace(text, confidence=sure * self._given.trust(vote.leader)),
            frames_voted=self.vote.frames_given,
            frames_seen=self.motion.sightings,
            first_us=self.motion.first_us,
            last_us=self.motion.last_us,
            direction=self.motion.direction,
            first_box=self._first_box,
            last_box=self.motion.box,
            best_sequence=best.sequence,
            best_box=best.box,
            best_patch=best.patch,
        )

    def _seen_together(self, together: SeeTogether) -> Evidence | None:
        """Reads the average of its frames, once per number of looks; not needed for a wide plate."""
        if self._best_px >= _WIDE_PX:
            return None
        if self._average[0] != self.looks:
            self._average = self.looks, together(self._views.as_long_as(self.vote.leader))
        return self._average[1]


def _aspect(reading: PlateReading) -> float:
    """The width over the height of what was read."""
    return reading.evidence.aspect or reading.box.aspect


def _narrower(aspect: float, than: float) -> bool:
    """Whether a box is narrower for its height than another, so that something may hide a part of it."""
    return _WIDENED * aspect < than


def _quality(box: PlateBox, sureness: float, trust: float = 1.0, *, cut: bool) -> float:
    """How well a picture shows its text: clear, near and whole."""
    near = 0.08 * math.log2(max(box.width_px, 1.0) / 100.0)
    whole = 0.3 * math.log(max(box.aspect, 0.1))  # an obstacle at an end of the plate makes its box narrower
    return trust * math.pow(sureness, _CLEAR) + near + whole - (_CUT if cut else 0.0)
