"""Records which passes frames showed together, and which only while another was missed nearby."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .likeness import is_rest
from .pairing import Pace
from .passes import LiveTrack
from .place_fit import between, may_have_strayed
from .plates import PlateBox

_GLIMPSE, _GLIMPSE_US = 2, 200_000  # sightings that a jump of the picture tore off; time beside its pass
_MOST_BETWEEN, _MISSED_US = 5, 400_000  # most sightings of it while its pass was missed, and for how long
_WIDER = 1.25
_TURNS = 4  # two passes seen in turn this often, never together, are one plate read in two ways
_SPARSE_INTERVALS = 2.5  # at a few frames per second: the frame that shows it, and both that show its pass

Pair = tuple[int, int]


class Meetings:
    """The meetings of live passes, by their ids."""

    def __init__(self) -> None:
        self._met: set[Pair] = set()  # one frame showed both
        self._near: set[Pair] = set()  # one began where the other was missed
        self._between: dict[Pair, int] = {}  # sightings of the later one while the earlier was briefly missed
        self._turns: dict[Pair, int] = {}  # how often one was briefly missed while the other was seen

    def met(self, one: LiveTrack, other: LiveTrack) -> bool:
        """Whether a frame showed both, so that they are two vehicles."""
        return _pair(one, other) in self._met

    def may_be_one(self, one: LiveTrack, other: LiveTrack) -> bool:
        """Whether one of two passes began near where the other was missed, and no frame showed both."""
        pair = _pair(one, other)
        return pair in self._near and pair not in self._met

    def show(self, present: Iterable[LiveTrack]) -> None:
        """Records the passes that one frame shows."""
        ids = sorted(track.pass_id for track in present)
        self._met.update((one, other) for one in ids for other in ids if one < other)

    def begin(self, track: LiveTrack, missed: Iterable[LiveTrack], time_us: int, box: PlateBox) -> None:
        """Records a new pass, in a frame in which the others were missed."""
        self._near.update(
            _pair(track, other) for other in missed if may_have_strayed(other.motion, time_us, box)
        )

    def again(
        self, track: LiveTrack, time_us: int, box: PlateBox, tracks: Iterable[LiveTrack], pace: Pace
    ) -> None:
        """Before a pass takes a sighting, counts what was seen while it was missed."""
        last_us = track.motion.last_us
        for other in tracks:
            if other.motion.last_us <= last_us:
                continue
            pair = _pair(track, other)
            moment = self._is_moment(track, other, time_us, box, pace)
            if moment:
                self._turns[pair] = self._turns.get(pair, 0) + 1
            if other.pass_id > track.pass_id:
                still = moment and self._between.get(pair, 0) >= 0
                self._between[pair] = other.motion.sightings if still else -1

    def _is_moment(self, track: LiveTrack, other: LiveTrack, time_us: int, box: PlateBox, pace: Pace) -> bool:
        missed_us = time_us - track.motion.last_us
        if not self.may_be_one(track, other):
            return False
        if missed_us <= _MISSED_US:
            return _as_wide(other.motion.box, track.motion.box, box)
        sparse = missed_us <= _SPARSE_INTERVALS * pace.interval_us
        return sparse and between(track.motion, other.motion, time_us, box)

    def is_glimpse(self, glimpse: LiveTrack, track: LiveTrack, pace: Pace) -> bool:
        """Whether a pass is a moment of another that was missed; no vehicle is in view for so short a time.

        At a few frames per second one may be, but not far away just before or after the other was nearer,
        nor in exactly the other's place between two of its sightings.
        """
        if not self.may_be_one(glimpse, track):
            return False
        sightings, apart_us = glimpse.motion.sightings, apart(track, glimpse)
        within = self._between.get(_pair(track, glimpse))
        # the part that glare left of it in a few frames
        rest = (
            sightings <= _MOST_BETWEEN and apart_us <= 0 and is_rest(glimpse.vote.leader, track.vote.leader)
        )
        if within == sightings <= _MOST_BETWEEN:
            return rest or glimpse.spelt_nearly(track) or (sightings == 1 and glimpse.is_far)
        if rest or not glimpse.spelt_nearly(track):
            return rest
        if self._turns.get(_pair(track, glimpse), 0) >= _TURNS and not glimpse.came_near:
            return True
        if pace.interval_us > _GLIMPSE_US:
            return 0 < apart_us < pace.gap_us and track.nears(glimpse)
        return within != -1 and sightings <= _GLIMPSE and apart_us <= _GLIMPSE_US

    def forget(self, kept: Collection[int]) -> None:
        """Forgets all passes but those kept, by id."""
        ids = set(kept)
        self._met = {pair for pair in self._met if ids.issuperset(pair)}
        self._near = {pair for pair in self._near if ids.issuperset(pair)}
        self._between = {pair: count for pair, count in self._between.items() if ids.issuperset(pair)}
        self._turns = {pair: count for pair, count in self._turns.items() if ids.issuperset(pair)}


def _as_wide(moment: PlateBox, before: PlateBox, after: PlateBox) -> bool:
    """Whether a plate is about as wide as the missed one: as far away, which another lane would not be."""
    least, most = sorted((before.width_px, after.width_px))
    return least / _WIDER <= moment.width_px <= most * _WIDER


def apart(one: LiveTrack, other: LiveTrack) -> int:
    """Microseconds between the sightings of two passes; at most 0 if they overlap."""
    return max(one.began_us - other.motion.last_us, other.began_us - one.motion.last_us)


def _pair(one: LiveTrack, other: LiveTrack) -> Pair:
    """Both pass ids, the older first."""
    return min(one.pass_id, other.pass_id), max(one.pass_id, other.pass_id)
