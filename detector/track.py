"""Follows plates over frames: which sightings are one vehicle's pass, and when it has ended.

A sighting belongs to the pass whose predicted place and size it fits; the texts have a say too. The
same text at another place is the same vehicle (a low frame rate, a shaken camera); a clearly other
text at the same place is another vehicle: after a gap at once, without one as soon as a second
frame agrees, for a single reading may be a glint. Texts that differ in one character may be two vehicles
of one fleet: they are one vehicle only where the place fits, or where one of them is in doubt of that slot.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .assign import cheapest_pairs
from .frame_average import SeeTogether, View
from .likeness import TRUSTED, is_part, same_text
from .meetings import Meetings, apart
from .pairing import PATIENCE_INTERVALS, Pace, pair_cost
from .passes import LiveTrack, Sighting
from .place_fit import at_its_place, overlap
from .plates import FrameReadings, PlateBox, PlateReading, VehiclePass
from .vote import Decoding

# How long a plate may be out of sight within one pass.
_PATIENCE_US = 2_000_000
_HIDDEN_PATIENCE_US = 2_900_000  # in the middle of the picture: behind something, from a moving car
_FADING_PX = 30.0  # a narrower plate that drove away is out of sight for good
_PARKED_PATIENCE_US = 8_000_000  # people and cars pass in front of a parked one
_LONGEST_INTERVAL_US = 5_000_000
_FRAGMENT_US = 1_000_000  # between what an edge cut off of a plate and the plate
_STALLED_US = 1_000_000
_DOUBLE_WIDTHS = 2.0  # how near a second box of a plate is, in its widths; two vehicles are farther apart


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivePass:
    """A pass that has not ended; its text so far: ``Tracker.so_far``.

    ``frames_looked``: how many were read or confirmed its text. ``settled``: more would not change it.
    """

    pass_id: int
    frames_looked: int
    frames_seen: int
    last_box: PlateBox
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackStep:
    """What one frame changed.

    ``best_for``: passes whose best frame is now this one. ``dropped``: ids of discarded passes;
    what was kept for them can be deleted. Handle ``best_for`` before ``ended``.
    """

    ended: tuple[VehiclePass, ...]
    live: tuple[LivePass, ...]
    best_for: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


class _Changes:
    """What a step has changed so far."""

    __slots__ = ("best_for", "dropped", "ended")

    def __init__(self) -> None:
        self.ended: list[VehiclePass] = []
        self.best_for: list[int] = []
        self.dropped: list[int] = []


def _nothing(_views: Sequence[View]) -> None:
    """What is seen together without a reader's eyes."""


class Tracker:
    """One camera's passes. Deterministic, no I/O; times come from the caller."""

    def __init__(self, decoding: Decoding, together: SeeTogether = _nothing) -> None:
        """decoding: how texts are voted, a reader's ``decoding``. together: its ``see_together``."""
        self._decoding = decoding
        self._together = together
        self._tracks: list[LiveTrack] = []
        self._next_id = 1
        self._now_us: int | None = None
        self._fresh_us = 0  # the last frame that was not the one before it once more
        self._pace = Pace()
        self._spared: dict[PlateBox, LiveTrack] = {}
        self._meetings = Meetings()
        self._wholes: dict[int, LiveTrack] = {}  # by pass: the one of whose plate it shows a part

    def wants_text(self, box: PlateBox) -> bool | str:
        """False when the pass that this box continues is settled: reading it again would be wasted.

        Now and then its text instead: a look that confirms it is enough. Asked for the boxes of the frame
        that the next ``update`` takes, before it.
        """
        if self._now_us is None:
            return True
        expected_us = self._now_us + int(self._pace.interval_us)
        there = (track for track in self._tracks if not track.gave_way)
        here = [track for track in there if at_its_place(track.motion, expected_us, box)]
        if len(here) != 1 or here[0] in self._spared.values():
            return True  # no pass, two, or a second box of one pass: another vehicle's
        (track,) = here
        unseen_us = expected_us - track.motion.last_us
        if unseen_us >= self._pace.gap_us:
            return True
        wish = track.wants_text(expected_us, box, self._pace.frame_shape)
        if wish is not True:
            self._spared[box] = track
        return wish

    def update(
        self, sequence: int, time_us: int, frame_shape: tuple[int, int], seen: FrameReadings
    ) -> TrackStep:
        """Takes one frame's plates; frame_shape: (H, W) of the full frame.

        A picture that repeats the one before it is no sighting, so that a stream that stalls stops no
        vehicle; after a second it is, for where nothing moves, a coding may leave the noise out.
        Raises ValueError when time falls.
        """
        if seen.repeats and self._now_us is not None and time_us - self._fresh_us < _STALLED_US:
            return TrackStep(ended=(), live=tuple(_live(track) for track in self._tracks))
        if not seen.repeats:
            self._fresh_us = time_us
        self._keep_time(time_us, frame_shape)
        sightings = [Sighting(sequence, time_us, reading.box, reading) for reading in seen.readings]
        sightings += [Sighting(sequence, time_us, box, None) for box in seen.unread]
        sightings += [Sighting(sequence, time_us, one.box, None, one) for one in seen.confirmed]
        changes = _Changes()
        self._end_late(time_us, frame_shape, changes)
        pairs = cheapest_pairs(
            [[self._cost(track, sighting) for sighting in sightings] for track in self._tracks]
        )
        taken = {column for _, column in pairs}
        matched = [(self._tracks[row], sightings[column]) for row, column in pairs]
        present = []
        for track, sighting in matched:
            self._meetings.again(track, sighting.time_us, sighting.box, self._tracks, self._pace)
            present.append(self._continue(track, sighting, changes))
        for column, sighting in enumerate(sightings):
            if column not in taken:
                self._begin(sighting, present, changes)
        self._join_torn(present, changes)
        self._find_parts(present)
        self._spared = {}
        live = tuple(_live(track) for track in self._tracks)
        return TrackStep(
            ended=tuple(changes.ended),
            live=live,
            best_for=tuple(changes.best_for),
            dropped=tuple(changes.dropped),
        )

    def so_far(self, pass_id: int) -> VehiclePass | None:
        """A live pass as it would be reported now; None if it would be discarded.

        Raises KeyError when no such pass is live.
        """
        for track in self._tracks:
            if track.pass_id == pass_id:
                return track.ended(self._together) if track.worth_telling else None
        raise KeyError(pass_id)

    def flush(self) -> tuple[VehiclePass, ...]:
        """Ends every pass that is still live, as at the end of a replay.

        A pass that it does not return was discarded: the caller forgets all kept frames after it.
        """
        changes = _Changes()
        for track in tuple(self._tracks):
            self._end(track, changes)
            self._without(changes.dropped)
        self._tracks = []
        return tuple(changes.ended)

    def _keep_time(self, time_us: int, frame_shape: tuple[int, int]) -> None:
        interval_us = self._pace.interval_us
        if self._now_us is not None:
            if time_us < self._now_us:
                raise ValueError(f"time falls: {time_us} us after {self._now_us} us")
            step = min(time_us - self._now_us, _LONGEST_INTERVAL_US)
            share = 1.0 if not interval_us else 0.2
            interval_us += share * (step - interval_us)
        self._now_us = time_us
        self._pace = Pace(interval_us=interval_us, frame_shape=frame_shape)

    def _end_late(self, time_us: int, frame_shape: tuple[int, int], changes: _Changes) -> None:
        """Ends the passes that were out of sight for too long: from half a frame after they were seen."""
        late = [
            track
            for track in self._tracks
            if time_us - track.motion.last_us - self._pace.interval_us / 2
            > max(_patience_us(track, time_us, frame_shape), PATIENCE_INTERVALS * self._pace.interval_us)
        ]
        gone: set[int] = set()
        for track in late:
            if track.pass_id in gone:
                continue
            gone.add(track.pass_id)
            for rest in self._rests_of(track, time_us):
                gone.add(rest.pass_id)
                track.begin_with(rest)
                changes.dropped.append(rest.pass_id)
            self._without(changes.dropped)
            self._end(track, changes)
            self._without(changes.dropped)
        if gone:
            self._without(gone)
            ids = {track.pass_id for track in self._tracks}
            self._meetings.forget(ids)
            self._wholes = {
                one: whole for one, whole in self._wholes.items() if one in ids and whole.pass_id in ids
            }

    def _without(self, gone: Collection[int]) -> None:
        """Forgets passes by their ids: whatever joined a dropped one later would be lost with it."""
        self._tracks = [track for track in self._tracks if track.pass_id not in gone]

    def _rests_of(self, track: LiveTrack, time_us: int) -> list[LiveTrack]:
        """What was seen of the vehicle of a pass that ends as other passes, which outlive it.

        They would be reported as more vehicles.
        """
        return [
            other
            for other in self._tracks
            if other is not track
            and other.rival is None
            and time_us - other.motion.last_us >= self._pace.gap_us
            and (self._wholes.get(other.pass_id) is track or self._is_rest(other, track))
        ]

    def _is_rest(self, part: LiveTrack, track: LiveTrack) -> bool:
        """Whether a pass shows the vehicle of another pass: misread, for it was far, hidden or shaken."""
        if not self._meetings.may_be_one(track, part):
            return False
        if self._meetings.is_glimpse(part, track, self._pace):
            return True
        if part.motion.first_us < track.motion.first_us and self._began_as(part, track):
            return True
        return apart(track, part) > 0 and part.tells_nothing and part.spelt_nearly(track)

    def _end(self, track: LiveTrack, changes: _Changes) -> None:
        if track.rival is not None:
            changes.dropped.append(track.rival.pass_id)  # one reading without a gap: a glint
        whole = self._whole_of(track) or self._torn_from(track)
        nearer = None if whole is not None else self._nearer_of(track) or self._wholes.get(track.pass_id)
        if whole is not None:
            whole.absorb(track)
            changes.dropped.append(track.pass_id)
        elif nearer is not None:
            nearer.begin_with(track)
            changes.dropped.append(track.pass_id)
        elif track.worth_telling:
            changes.ended.append(track.ended(self._together))
        else:
            changes.dropped.append(track.pass_id)

    def _whole_of(self, fragment: LiveTrack) -> LiveTrack | None:
        """The live pass that a pass is a fragment of: only ever seen where the picture's edge cut it."""
        if not fragment.vote.cut:
            return None
        for track in self._tracks:
            if track is fragment or track.vote.cut or self._meetings.met(track, fragment):
                continue
            if apart(track, fragment) <= _FRAGMENT_US and is_part(fragment.vote.leader, track.vote.leader):
                return track
        return None

    def _torn_from(self, glimpse: LiveTrack) -> LiveTrack | None:
        """The live pass that a moment of another is: its text misread where an unsteady picture jumped.

        The one was missed in the frames that showed the other, near there, and no vehicle is in view for
        so short a time.
        """
        for track in self._tracks:
            if track is not glimpse and self._meetings.is_glimpse(glimpse, track, self._pace):
                return track
        return None

    def _nearer_of(self, far: LiveTrack) -> LiveTrack | None:
        """The live pass of the vehicle that a pass showed while it could not be read yet.

        One of the two began near where the other was missed, and no frame showed both.
        """
        for track in self._tracks:
            if track is not far and self._meetings.may_be_one(track, far) and self._began_as(far, track):
                return track
        return None

    def _began_as(self, early: LiveTrack, track: LiveTrack) -> bool:
        """Whether a pass showed another's vehicle from too far, or in part, before it could be read."""
        apart_us = apart(track, early)
        return early.begins(track) or (0 < apart_us <= _FRAGMENT_US and early.shows_rest_of(track))

    def _cost(self, track: LiveTrack, sighting: Sighting) -> float:
        """How badly a sighting fits a pass; infinite when it cannot be of the same vehicle."""
        if track.pass_id in self._wholes:
            return math.inf  # what comes there now is the whole plate, or another vehicle
        if sighting.reading is None and self._spared.get(sighting.box, track) is not track:
            return math.inf  # left unread for another pass's sake
        if track.gave_way and not _is_again(track, sighting.reading):
            return math.inf  # another vehicle is at its place
        return pair_cost(track, sighting, self._pace)

    def _continue(self, track: LiveTrack, sighting: Sighting, changes: _Changes) -> LiveTrack:
        """Gives a pass its sighting, or lets a rival for its place grow; the pass that is there now."""
        reading = sighting.reading
        alike = "same" if reading is None else track.likeness(reading)
        rival = track.rival
        if alike == "different" and reading is not None:
            track_gone = rival is not None and rival.likeness(reading) != "different"
            if rival is not None and track_gone:
                track.rival = None
                if track.is_misread_by(rival):
                    track.absorb(rival)
                    changes.dropped.append(rival.pass_id)
                    return _taken(track, sighting, changes)
                track.yield_place()
                if track.yields_text or rival.uncovers(track):
                    # at the very place without a gap: the plate that could not be read so far, or not whole
                    rival.begin_with(track)
                    changes.dropped.append(track.pass_id)
                    self._tracks[self._tracks.index(track)] = rival
                else:
                    missed = (other for other in self._tracks if other is not track)
                    self._meetings.begin(rival, missed, sighting.time_us, sighting.box)
                    self._tracks.append(rival)  # the other one may be hidden behind it
                return _taken(rival, sighting, changes)
            if rival is not None:
                changes.dropped.append(rival.pass_id)
            track.follow(sighting)
            track.rival = self._new(sighting, changes)
            return track
        if rival is not None and reading is not None and alike == "same":
            changes.dropped.append(rival.pass_id)
            track.rival = None
        return _taken(track, sighting, changes)

    def _join_torn(self, present: list[LiveTrack], changes: _Changes) -> None:
        """Makes one pass of two with one text that no frame showed both: one was torn off the other."""
        if len(self._tracks) < 2:
            return
        self._meetings.show(present)
        for track in present:
            for other in self._tracks:
                if other is track or self._meetings.met(track, other) or not _one_plate(track, other):
                    continue
                kept, gone = sorted((track, other), key=lambda one: -one.picture_quality)
                kept.absorb(gone)
                changes.dropped.append(gone.pass_id)
                if gone.rival is not None:
                    changes.dropped.append(gone.rival.pass_id)
                self._tracks.remove(gone)
                return  # a frame tears at most one off

    def _find_parts(self, present: list[LiveTrack]) -> None:
        """Remembers which missed passes show a part of a present one's plate, while its place is known.

        An obstacle across a plate leaves two boxes, of which only one grows into the whole.
        """
        for part in self._tracks:
            if part not in present and part.pass_id not in self._wholes:
                whole = next((track for track in present if _shows_part(part, track)), None)
                if whole is not None:
                    self._wholes[part.pass_id] = whole

    def _begin(self, sighting: Sighting, present: list[LiveTrack], changes: _Changes) -> None:
        """A sighting that no pass expected: a new one, unless it repeats a plate that is in this frame."""
        reading = sighting.reading
        if reading is None:
            return  # its pass went to a nearer box; unread it can be no pass of its own
        # a plate that a pass of this very frame shows: a second box
        if any(_shown_twice(track, sighting.box, reading) for track in present):
            return
        track = self._new(sighting, changes)
        if track is not None:
            missed = [other for other in self._tracks if other not in present]
            self._meetings.begin(track, missed, sighting.time_us, sighting.box)
            self._tracks.append(track)
            present.append(track)

    def _new(self, sighting: Sighting, changes: _Changes) -> LiveTrack | None:
        if sighting.reading is None:
            return None
        track = LiveTrack(self._next_id, self._decoding, sighting, sighting.reading)
        self._next_id += 1
        changes.best_for.append(track.pass_id)
        return track


def _taken(track: LiveTrack, sighting: Sighting, changes: _Changes) -> LiveTrack:
    """The pass, with one more sighting."""
    if track.take(sighting):
        changes.best_for.append(track.pass_id)
    return track


def _patience_us(track: LiveTrack, time_us: int, frame_shape: tuple[int, int]) -> int:
    """How long a plate may be out of sight within its pass."""
    motion = track.motion
    if motion.direction == "parked":
        return _PARKED_PATIENCE_US
    if motion.leaves(time_us, frame_shape):
        return _PATIENCE_US // 2
    if motion.direction == "away" and motion.box.width_px < _FADING_PX:
        return _PATIENCE_US
    return _HIDDEN_PATIENCE_US


def _is_again(hidden: LiveTrack, reading: PlateReading | None) -> bool:
    """Whether a reading is of a plate that gave way to another vehicle at its place."""
    return reading is not None and hidden.likeness(reading) in ("same", "misread")


def _one_plate(one: LiveTrack, other: LiveTrack) -> bool:
    """Whether two passes have the same text, and are sure of it."""
    if not same_text(one.vote.leader, other.vote.leader):
        return False
    return min(one.vote.confidence, other.vote.confidence) >= TRUSTED


def _shown_twice(track: LiveTrack, box: PlateBox, reading: PlateReading) -> bool:
    """Whether a reading repeats the plate of a pass that this very frame shows elsewhere.

    The same text, surely read, is a second box's if it is near; another one only in the same place. Two
    plates at two places are two vehicles, however alike: a copied plate may drive beside its original.
    """
    if same_text(track.vote.leader, reading.leader) and reading.confidence >= TRUSTED:
        apart = math.dist(track.motion.box.center, box.center)
        return apart <= _DOUBLE_WIDTHS * max(track.motion.box.width_px, box.width_px)
    return overlap(track.motion.box, box) and track.likeness(reading) in ("same", "misread", "unclear")


def _shows_part(fragment: LiveTrack, track: LiveTrack) -> bool:
    """Whether a pass is a part of another's plate: of its text, and where that plate was at the time."""
    if not is_part(fragment.vote.leader, track.vote.leader):
        return False
    x, y, width = track.motion.predicted(fragment.motion.last_us)
    box = fragment.motion.box
    inside = abs(box.center[0] - x) <= width / 2 and abs(box.center[1] - y) <= box.height_px / 2
    return inside and box.width_px < width


def _live(track: LiveTrack) -> LivePass:
    return LivePass(
        pass_id=track.pass_id,
        frames_looked=track.looks,
        frames_seen=track.motion.sightings,
        last_box=track.motion.box,
        settled=track.vote.settled,
    )
