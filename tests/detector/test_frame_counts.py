"""What frames without a vote decide, and that asking a vote in between changes nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from detector_twins import DECODING, evidence, labels
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.ctc import Labels
from detector.frame_counts import MOST_TEXTS, FrameCounts
from detector.plates import Evidence
from detector.vote import CONTRADICTED_TRUST, Vote

WHOLE, MISREAD_END, PART, OTHER = "7ABC12", "8BC12", "7ABC1", "7ABC13"


def frame(text: str, aspect: float = 2.0, *, cut: bool = False) -> Evidence:
    return replace(evidence(text), aspect=aspect, cut=cut)


FRAMES = st.builds(
    frame, st.sampled_from((WHOLE, MISREAD_END, PART, OTHER)), st.sampled_from((2.0, 1.4)), cut=st.booleans()
)
COUNTS = st.tuples(st.sampled_from((WHOLE, "7A8C12", MISREAD_END, PART, OTHER)), st.integers(0, 40))


@settings(max_examples=150, deadline=None)
@given(FRAMES, st.lists(FRAMES | COUNTS, max_size=9))
def test_a_vote_that_is_asked_in_between_says_what_one_asked_at_the_end_says(
    first: Evidence, rest: list[Evidence | tuple[str, int]]
) -> None:
    asked, silent = Vote(DECODING, [first]), Vote(DECODING, [first])
    for one in rest:
        asked.verdict(), asked.settled, asked.frames_of_leader
        for vote in (asked, silent):
            vote.add(one) if isinstance(one, Evidence) else vote.count(*one)
    assert asked.text.candidates == silent.text.candidates
    assert (asked.confidence, asked.settled) == (silent.confidence, silent.settled)
    assert asked.frames_of_leader == silent.frames_of_leader


def test_a_look_that_confirms_the_text_leaves_the_verdict_as_it_is() -> None:
    vote = Vote(DECODING, [frame(WHOLE) for _ in range(3)])
    verdict = vote.verdict()
    vote.count(WHOLE, 5)
    vote.count(OTHER, 5)
    assert vote.verdict() is verdict


def test_ends_with_another_character_doubt_a_text_until_more_looks_give_it() -> None:
    vote = Vote(DECODING, [frame(WHOLE), frame(WHOLE)])
    sure = vote.confidence
    vote.count(MISREAD_END, 3)
    assert vote.confidence == pytest.approx(CONTRADICTED_TRUST * sure)
    vote.count(WHOLE, 1)
    assert vote.confidence == sure


@pytest.mark.parametrize(
    ("frames", "text", "count"),
    [
        pytest.param(
            [frame(WHOLE)] * 3 + [frame(MISREAD_END, 1.4)] * 2,
            MISREAD_END,
            40,
            id="so many ends are not hidden",
        ),
        pytest.param(
            [frame(WHOLE)] * 2 + [frame(MISREAD_END, 1.4)] * 13,
            WHOLE,
            9,
            id="so many wholes explain the ends",
        ),
        pytest.param(
            [frame(WHOLE), frame(OTHER, cut=True)], MISREAD_END, 3, id="a frame at the edge has no vote"
        ),
    ],
)
def test_counts_decide_the_same_after_a_verdict_as_before_it(
    frames: list[Evidence], text: str, count: int
) -> None:
    asked, silent = Vote(DECODING, frames), Vote(DECODING, frames)
    before = asked.confidence
    asked.count(text, count)
    silent.count(text, count)
    assert (asked.leader, asked.confidence) == (silent.leader, silent.confidence)
    assert asked.confidence != before


def test_counts_of_many_texts_keep_the_most_frequent() -> None:
    counts, often = FrameCounts(), labels(WHOLE)
    counts.add(often, 2)
    add = partial(counts.add, frames=1)
    for number in range(MOST_TEXTS):
        add(labels(f"AB{number:02}"))
    assert counts.of(often) == 2
    assert counts.given([]).total() == 2 + MOST_TEXTS // 2 - 1


def test_joined_counts_add_up_and_twins_count_as_one() -> None:
    counts, other = FrameCounts(), FrameCounts()
    one: Labels = labels("AB01")
    counts.add(one, 2)
    other.add(labels("ABOI"), 3)
    counts.join(other)
    more = counts.with_each([one])
    assert (counts.of(one), more.of(one), other.of(one)) == (2, 3, 0)
    assert more.given([one]) == {one: 7}
