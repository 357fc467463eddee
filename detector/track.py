"""Follows plates over frames: decides which sightings are one vehicle's pass, and when it has ended.

A sighting belongs to the pass whose predicted place and size it fits; the texts count too. The same text in
another place is the same vehicle (a low frame rate, a shaken camera). A clearly different text in the same
place is another vehicle: at once after a gap, otherwise as soon as a second frame agrees, since a single
reading may be a glint. Texts that differ in one character may be two vehicles of one fleet: they are one
vehicle only if the place fits, or if one of the readings is unsure of that slot.
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

# How long a plate may be out of sight within one pass
_PATIENCE_US = 2_000_000
_HIDDEN_PATIENCE_US = 2_900_000  # in the middle of the picture: behind something, from a moving car
_FADING_PX = 30.0  # a receding plate that is narrower than this will not be seen again
_PARKED_PATIENCE_US = 8_000_000  # people and cars pass in front of a parked one
_LONGEST_INTERVAL_US = 5_000_000
_FRAGMENT_US = 1_000_000  # between a part that the picture's edge cut off and its plate
_STALLED_US = 1_000_000
_DOUBLE_WIDTHS = 2.0  # a second box of one plate is nearer, in its widths; two vehicles are farther


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivePass:
    """A pass that has not ended. ``Tracker.so_far`` gives its text.

    ``frames_looked``: how many frames were read or confirmed its text. ``settled``: more frames would not
    change it.
    """

    pass_id: int
    frames_looked: int
    frames_seen: int
    last_box: PlateBox
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackStep:
    """What one frame changed.

    ``best_for``: passes whose best frame is now this one. ``dropped``: ids of discarded passes, whose
    pictures can be deleted. Handle ``best_for`` before ``ended``.
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
    """The default for ``together``: no reader, so nothing is seen."""


class Tracker:
    """One camera's passes. Deterministic, no I/O; times come from the caller."""

    def __init__(self, decoding: Decoding, together: SeeTogether = _nothing) -> None:
        """decoding: a reader's ``decoding``, by which texts are voted. together: its ``see_together``."""
        self._decoding = decoding
        self._together = together
        self._tracks: list[LiveTrack] = []
        self._next_id = 1
        self._now_us: int | None = None
        self._fresh_us = 0  # the last frame that did not repeat the one before it
        self._pace = Pace()
        self._spared: dict[PlateBox, LiveTrack] = {}
        self._meetings = Meetings()
        self._wholes: dict[int, LiveTrack] = {}  # pass id to the pass of whose plate it shows a part

    def wants_text(self, box: PlateBox) -> bool | str:
        """Returns False if the pass that this box continues is settled, so that reading it would be a waste.

        Occasionally returns the pass's text instead: one look that confirms it is enough. Call this for the
        boxes of a frame before passing that frame to ``update``.
        """
        if self._now_us is None:
            return True
        expected_us = self._now_us + int(self._pace.interval_us)
        there = (track for track in self._tracks if not track.gave_way)
        here = [track for track in there if at_its_place(track.motion, expected_us, box)]
        if len(here) != 1 or here[0] in self._spared.values():
            return True  # no pass, two passes, or a second box of one pass: another vehicle
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

        A picture that repeats the one before it is not a sighting, so that a stalled stream does not make
        vehicles stop. After a second it is one: where nothing moves, the video coding may drop the noise.
        Raises ValueError if time goes backward.
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
        """Returns a live pass as it would be reported now, or None if it would be discarded.

        Raises KeyError if there is no such live pass.
        """
        for track in self._tracks:
            if track.pass_id == pass_id:
                return track.ended(self._together) if track.worth_telling else None
        raise KeyError(pass_id)

    def flush(self) -> tuple[VehiclePass, ...]:
        """Ends every live pass, as at the end of a replay.

        A pass that is not returned was discarded; afterwards the caller can delete all kept frames.
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
        """Ends the passes that were out of sight too long, from half a frame after they were last seen."""
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
        """Forgets passes by id: whatever joined a dropped one later would be lost with it."""
        self._tracks = [track for track in self._tracks if track.pass_id not in gone]

    def _rests_of(self, track: LiveTrack, time_us: int) -> list[LiveTrack]:
        """Other live passes of an ending pass's vehicle; they would be reported as further vehicles."""
        return [
            other
            for other in self._tracks
            if other is not track
            and other.rival is None
            and time_us - other.motion.last_us >= self._pace.gap_us
            and (self._wholes.get(other.pass_id) is track or self._is_rest(other, track))
        ]

    def _is_rest(self, part: LiveTrack, track: LiveTrack) -> bool:
        """Whether a pass shows another pass's vehicle, misread because it was far, hidden or shaken."""
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
        """The live pass of which a pass is a fragment, seen only where the picture's edge cut the plate."""
        if not fragment.vote.cut:
            return None
        for track in self._tracks:
            if track is fragment or track.vote.cut or self._meetings.met(track, fragment):
                continue
            if apart(track, fragment) <= _FRAGMENT_US and is_part(fragment.vote.leader, track.vote.leader):
                return track
        return None

    def _torn_from(self, glimpse: LiveTrack) -> LiveTrack | None:
        """The live pass to which a brief one belongs: an unsteady picture jumped and its text was misread.

        The live one was missed, near there, in the frames that showed the brief one, and no vehicle is in
        view for so short a time.
        """
        for track in self._tracks:
            if track is not glimpse and self._meetings.is_glimpse(glimpse, track, self._pace):
                return track
        return None

    def _nearer_of(self, far: LiveTrack) -> LiveTrack | None:
        """The live pass of a vehicle that another pass showed before it could be read.

        One of the two began near the place where the other was missed, and no frame showed both.
        """
        for track in self._tracks:
            if track is not far and self._meetings.may_be_one(track, far) and self._began_as(far, track):
                return track
        return None

    def _began_as(self, early: LiveTrack, track: LiveTrack) -> bool:
        """Whether a pass showed another's vehicle before it could be read: too far away, or only a part."""
        apart_us = apart(track, early)
        return early.begins(track) or (0 < apart_us <= _FRAGMENT_US and early.shows_rest_of(track))

    def _cost(self, track: LiveTrack, sighting: Sighting) -> float:
        """How badly a sighting fits a pass; infinite if it cannot be the same vehicle."""
        if track.pass_id in self._wholes:
            return math.inf  # what comes there now is the whole plate, or another vehicle
        if sighting.reading is None and self._spared.get(sighting.box, track) is not track:
            return math.inf  # it was left unread because of another pass
        if track.gave_way and not _is_again(track, sighting.reading):
            return math.inf  # another vehicle is at its place
        return pair_cost(track, sighting, self._pace)

    def _continue(self, track: LiveTrack, sighting: Sighting, changes: _Changes) -> LiveTrack:
        """Adds a sighting to a pass, or to a rival for its place; returns the pass that is there now."""
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
                    # in exactly the same place, without a gap: the plate that could not be read, or not whole
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
        """Joins two passes with the same text that no frame showed together: one was torn off the other."""
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
                return  # a frame tears off at most one

    def _find_parts(self, present: list[LiveTrack]) -> None:
        """Notes which missed passes show a part of a present one's plate, while its place is known.

        An obstacle across a plate leaves two boxes; only one of them grows into the whole plate.
        """
        for part in self._tracks:
            if part not in present and part.pass_id not in self._wholes:
                whole = next((track for track in present if _shows_part(part, track)), None)
                if whole is not None:
                    self._wholes[part.pass_id] = whole

    def _begin(self, sighting: Sighting, present: list[LiveTrack], changes: _Changes) -> None:
        """Starts a pass with a sighting that no pass expected, unless it repeats a plate of this frame."""
        reading = sighting.reading
        if reading is None:
            return  # its pass went to a nearer box, and an unread box cannot start a pass
        # a second box of a plate that another pass shows in this frame
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
    """Adds a sighting to a pass and returns the pass."""
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
    """Whether a reading shows a plate that gave way to another vehicle in its place."""
    return reading is not None and hidden.likeness(reading) in ("same", "misread")


def _one_plate(one: LiveTrack, other: LiveTrack) -> bool:
    """Whether two passes have the same text and are sure of it."""
    if not same_text(one.vote.leader, other.vote.leader):
        return False
    return min(one.vote.confidence, other.vote.confidence) >= TRUSTED


def _shown_twice(track: LiveTrack, box: PlateBox, reading: PlateReading) -> bool:
    """Whether a reading repeats the plate of a pass that this frame already shows.

    The same text, surely read, is a second box if it is near; a different text only if it is in the same
    place. Two plates in two places are two vehicles, however alike: a copied plate may drive beside its
    original.
    """
    if same_text(track.vote.leader, reading.leader) and reading.confidence >= TRUSTED:
        apart = math.dist(track.motion.box.center, box.center)
        return apart <= _DOUBLE_WIDTHS * max(track.motion.box.width_px, box.width_px)
    return overlap(track.motion.box, box) and track.likeness(reading) in ("same", "misread", "unclear")


def _shows_part(fragment: LiveTrack, track: LiveTrack) -> bool:
    """Whether a pass shows a part of another's plate: a part of its text, where that plate was then."""
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
