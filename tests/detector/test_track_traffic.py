"""Random traffic and boxes of every kind: no pass is lost, and none is reported twice."""

from __future__ import annotations

from dataclasses import dataclass

from detector_twins import box_at, frame, reading
from hypothesis import given, settings
from hypothesis import strategies as st
from tracker_twins import TEXTS, Replay, near, texts

from detector.plates import PlateBox, PlateReading


@dataclass(frozen=True)
class Drive:
    """One car: when it comes into view, for how long, where and how it moves, and which frames miss it."""

    text: str
    enters: int
    frames: int
    x: float
    y: float
    speed_x: float
    growth: float
    missed: frozenset[int]

    def at(self, step: int) -> PlateReading | None:
        age = step - self.enters
        if not 0 <= age < self.frames or age in self.missed:
            return None
        return near(self.text, self.x + age * self.speed_x, self.y, 70 * self.growth**age)


@st.composite
def traffic(draw: st.DrawFn) -> list[Drive]:
    """Up to four cars with different plates, each in a lane, which overtake and cross at random."""
    drives = []
    for lane, text in enumerate(TEXTS[: draw(st.integers(1, 4))]):
        frames = draw(st.integers(3, 14))
        missed = draw(st.frozensets(st.integers(1, 12), max_size=frames // 3))
        drives.append(
            Drive(
                text=text,
                enters=draw(st.integers(0, 30)),
                frames=frames,
                x=draw(st.floats(150, 1000)),
                y=150 + 130 * lane + draw(st.floats(-30, 30)),
                speed_x=draw(st.floats(-45, 45)),
                growth=draw(st.floats(0.97, 1.05)),
                missed=missed,
            )
        )
    return drives


@settings(max_examples=40, deadline=None)
@given(traffic(), st.sampled_from([8.0, 15.0, 30.0]))
def test_in_any_traffic_no_pass_is_lost_and_none_reported_twice(drives: list[Drive], fps: float) -> None:
    replay = Replay(fps)
    for step in range(48):
        replay.look(*[seen for drive in drives if (seen := drive.at(step)) is not None])
    passes = replay.finish()
    assert texts(passes) == sorted(drive.text for drive in drives)
    assert len({one.pass_id for one in passes}) == len(passes)
    for one in passes:
        drive = next(drive for drive in drives if drive.text == one.text.text)
        assert one.frames_seen == sum(drive.at(step) is not None for step in range(48))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.builds(box_at, st.floats(0, 1280), st.floats(0, 720), st.floats(5, 400), st.floats(0.3, 0.99)),
            max_size=4,
        ),
        max_size=12,
    ),
    st.lists(st.integers(0, 4_000_000), min_size=12, max_size=12),
)
def test_any_boxes_at_any_times_give_each_kept_frame_back(
    frames: list[list[PlateBox]], steps_us: list[int]
) -> None:
    replay = Replay()
    for boxes, step_us in zip(frames, steps_us, strict=False):
        plates = [reading(TEXTS[index], box) for index, box in enumerate(boxes)]
        replay.show(frame(*plates[:2], unread=boxes[2:]), after_s=step_us / 1e6)
    seen = sum(min(len(boxes), 2) for boxes in frames)
    assert len(replay.finish()) <= seen
