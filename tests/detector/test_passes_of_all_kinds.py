"""Passes of every kind through tracker and vote: one read per vehicle, with its text."""

from __future__ import annotations

import os

import pytest
from detector_twins import DECODING
from pass_twins import play_without_pictures, wrong

from detector.training.render.passes import KINDS, draw_clip

pytestmark = pytest.mark.slow

CLIPS_A_KIND = 14 if os.environ.get("ALPR_FAULTS") == "full" else 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_vehicle_is_one_read_with_its_text(kind: str) -> None:
    first = list(KINDS).index(kind)
    clips = [draw_clip(first + len(KINDS) * number) for number in range(CLIPS_A_KIND)]
    assert {clip.kind for clip in clips} == {kind}
    outcomes = [play_without_pictures(clip, DECODING) for clip in clips]
    assert sum(one.countable for clip in outcomes for one in clip.vehicles) >= CLIPS_A_KIND // 2
    assert wrong(outcomes) == []
