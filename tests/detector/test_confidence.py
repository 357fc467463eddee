"""What a confidence is made of: bounded features, each with its own weight from the card."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from detector_twins import DECODING, evidence, labels

from detector import vote as voting
from detector.ballot import head_scores, many_text_scores, text_scores
from detector.card import ConfidenceRules
from detector.confidence import FAR_PX, Features, confidence, log_odds, seen_from, within
from detector.errors import NetAnswerError
from detector.vote import Vote

NAMES = [one.name for one in fields(Features)]
NOTHING = Features(**dict.fromkeys(NAMES, 0.0))
UNWEIGHED = replace(ConfidenceRules(), bias=0.0, **dict.fromkeys(NAMES, 0.0))


@pytest.mark.parametrize("name", NAMES)
def test_each_feature_counts_with_its_own_weight(name: str) -> None:
    rules = replace(UNWEIGHED, bias=0.5, **{name: 2.0})
    sure = confidence(replace(NOTHING, **{name: 0.75}), rules)
    assert sure == pytest.approx(1 / (1 + math.exp(-2.0)))
    assert confidence(NOTHING, rules) == pytest.approx(1 / (1 + math.exp(-0.5)))


def test_no_confidence_is_beyond_what_a_number_holds() -> None:
    for bias, sure in ((1e9, 1 / (1 + math.exp(-30))), (-1e9, 1 / (1 + math.exp(30)))):
        assert confidence(NOTHING, replace(UNWEIGHED, bias=bias)) == pytest.approx(sure)


@pytest.mark.parametrize(
    ("width_px", "sure", "left"),
    [(FAR_PX, 0.9, 0.9), (90.0, 0.9, 0.9), (28.0, 0.9, 0.713), (20.0, 0.9, 0.425), (20.0, 0.0, 0.0)],
)
def test_a_text_that_was_never_near_is_less_sure(width_px: float, sure: float, left: float) -> None:
    assert seen_from(width_px, sure) == pytest.approx(left, abs=0.001)
    assert seen_from(0.0, 1.0) < 1.0


@pytest.mark.parametrize(
    ("p", "odds"), [(0.5, 0.0), (0.9, math.log(9)), (0.1, -math.log(9)), (0, -9), (1, 9)]
)
def test_log_odds_are_bounded_either_way(p: float, odds: float) -> None:
    assert log_odds(p) == pytest.approx(odds)
    assert log_odds(p, 2.0) == pytest.approx(max(-2.0, min(2.0, odds)))


def test_what_is_not_a_number_is_refused_and_not_bounded() -> None:
    assert [within(value, -1.0, 2.0) for value in (-5.0, 0.5, 5.0)] == [-1.0, 0.5, 2.0]
    with pytest.raises(NetAnswerError, match="is not a number"):
        within(math.nan, 0.0, 1.0)
    with pytest.raises(NetAnswerError, match="is not a number"):
        log_odds(math.nan)


def test_the_features_of_a_pass_are_those_of_its_best_look() -> None:
    frames = [
        replace(evidence("7ABC123", seed=at), width_px=100.0 * (1 + at), score=0.5 + at / 10) for at in (0, 1)
    ]
    found = Vote(DECODING, frames).features
    assert found["width"] == pytest.approx(1.0)
    assert found["score"] == pytest.approx(math.log(0.6 / 0.4))
    assert found["frames"] == pytest.approx(1.0)
    assert found["agreement"] == 1.0
    half = [frames[0], replace(frames[1], paths=(labels("7ABC12"),))]
    assert Vote(DECODING, half).features["agreement"] == pytest.approx(0.5)


def test_a_plate_much_smaller_than_a_few_others_has_no_vote() -> None:
    wide = [replace(evidence("7ABC123", seed=at), width_px=70.0) for at in range(3)]
    limit = voting.FAR_SHARE * 70.0
    for width, kept in ((limit, 4), (limit - 0.01, 3)):
        assert Vote(DECODING, [*wide, replace(evidence("7ABC123", seed=9), width_px=width)]).frames == kept
    near = [replace(one, width_px=width) for one, width in zip(wide, (10.0, 20.0, 30.0), strict=True)]
    assert Vote(DECODING, near).frames == 3  # among so few, none counts as far
    large = [replace(one, width_px=400.0) for one in wide]
    beside = replace(evidence("7ABC123", seed=9), width_px=voting.FAR_SHARE * voting.READABLE_PX)
    assert Vote(DECODING, [*large, beside]).frames == 4


def test_of_too_many_frames_the_one_that_says_least_goes() -> None:
    clear = [evidence("7ABC123", seed=at) for at in range(voting.MOST_FRAMES)]
    poor = evidence("4XYZ999", sure=0.5, noise=1.0, seed=99)
    vote = Vote(DECODING, [poor, *clear])
    assert vote.frames == voting.MOST_FRAMES
    assert vote.features["agreement"] == 1.0
    assert vote.frames_given == voting.MOST_FRAMES + 1


def test_frames_of_two_votes_count_once_each() -> None:
    one, other = Vote(DECODING, [evidence("7ABC123")] * 2), Vote(DECODING, [evidence("7ABC123")] * 3)
    one.join(other)
    assert (one.frames, one.frames_given) == (5, 5)


def test_a_few_texts_are_given_the_likeliest_first_and_none_that_is_hardly_likely() -> None:
    told = Vote(DECODING, [evidence("7ABC123", sure=1.0, noise=1.0, seed=3)]).text.candidates
    chances = [chance for _, chance in told]
    assert 1 < len(told) <= 5
    assert chances == sorted(chances, reverse=True)
    assert min(chances) >= 0.005


def test_texts_are_weighed_alike_alone_and_among_many_frames() -> None:
    frames = [evidence("7ABC123", sure=3.0, noise=1.0, seed=at) for at in range(3)]
    texts = [labels(one) for one in ("7ABC123", "7ABC12", "4XYZ999")]
    many = many_text_scores(frames, texts, 0.5)
    assert many.shape == (3, 3)
    for row, frame in zip(many, frames, strict=True):
        assert text_scores(replace(frame), texts, 0.5) == pytest.approx(row)
    assert many_text_scores([], texts, 0.5).shape == (0, 3)
    assert many_text_scores(frames, [], 0.5).shape == (3, 0)


def test_the_second_head_counts_each_slot_and_what_is_beyond_its_last() -> None:
    head = np.full((3, 37), 0.01, np.float32)
    for slot, character in enumerate("7AB"):
        head[slot, labels(character)[0]] = 0.64
    frame = replace(evidence("7AB"), slots=head)
    none = replace(evidence("7AB"), slots=None)
    scores = head_scores([frame, none], [labels("7AB"), labels("7A"), labels("7ABC1")])
    whole, short = 3 * math.log(0.64), 2 * math.log(0.64) + math.log(0.01)
    assert scores[0] == pytest.approx([whole, short, whole - 20.0], rel=1e-5)
    assert scores[1] == pytest.approx([0.0, 0.0, 0.0])


def test_another_text_is_allowed_as_far_as_all_frames_allow_it() -> None:
    vote = Vote(DECODING, [evidence("7ABC123", seed=at) for at in range(3)])
    assert vote.allows("7ABC123") == pytest.approx(0.0)
    assert vote.allows("4XYZ999") < vote.allows("7ABC128") < -1.0
