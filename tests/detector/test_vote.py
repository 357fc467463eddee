"""A vote adds frames in any order, says what it cannot read, and knows when it is settled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detector_twins import CODES, DECODING, TEXT, evidence, labels, slot_logits
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import vote as voting
from detector.card import ConfidenceRules, TextRules
from detector.ctc import best_path
from detector.jurisdictions import NO_PLACE, FormatPrior
from detector.plates import NO_CHARACTER, UNREADABLE, Evidence
from detector.two_lines import join_columns
from detector.vote import Decoding, Vote

plates = st.text("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", min_size=3, max_size=8)


def blurred(text: str, slot: int, other: str, *, share: float = 0.5) -> Evidence:
    """A frame in which one slot could just as well be another character."""
    first, second = evidence(text), evidence(text[:slot] + other + text[slot + 1 :])
    columns = (1 - share) * first.columns + share * second.columns
    return Evidence(
        columns=columns,
        slots=None,
        jurisdiction=first.jurisdiction,
        candidates=tuple(sorted({*first.candidates, *second.candidates})),
        paths=first.paths,
        width_px=100.0,
        score=0.8,
    )


@settings(max_examples=40, deadline=None)
@given(plates)
def test_a_clear_frame_gives_its_text(text: str) -> None:
    verdict = Vote(DECODING, [evidence(text)]).verdict()
    assert verdict.text.text == text
    assert verdict.text.candidates[0][0] == text
    assert verdict.text.slots.shape == (len(text), 37)
    assert verdict.text.slots.sum(axis=1) == pytest.approx(np.ones(len(text)), abs=1e-4)
    # many places use one die for O and 0, or I and 1: no single frame makes those slots sure
    for character, sure in zip(text, verdict.text.char_confidences, strict=True):
        assert sure > (0.5 if character in "O0I1" else 0.9)


@pytest.mark.parametrize(
    ("looks", "doubted"),
    [
        pytest.param(["ABC12"] * 10, False, id="every cut alike"),
        pytest.param(["ABC12"] * 8 + ["7ABC12"] * 2, True, id="two of ten are longer at the front"),
        pytest.param(["ABC12"] * 8 + ["ABC123"] * 2, True, id="two of ten are longer at the end"),
        pytest.param(["ABC12"] * 9 + ["ABC123"], False, id="one of ten is longer"),
        pytest.param(["ABC12"] * 8 + ["AB012"] * 2, False, id="two of ten are another text"),
        pytest.param(["ABC12", "ABC12", "ABC123"], False, id="few looks, as in a pass"),
    ],
)
def test_a_text_that_a_stills_cuts_show_as_part_of_a_longer_one_is_doubted(
    looks: list[str], *, doubted: bool
) -> None:
    one = replace(evidence("ABC12"), paths=tuple(labels(text) for text in looks))
    alone = replace(evidence("ABC12"), paths=(labels("ABC12"),) * len(looks))
    sure, usual = Vote(DECODING, [one]).confidence, Vote(DECODING, [alone]).confidence
    assert (sure < 0.8 * usual) == doubted
    assert Vote(DECODING, [one] * 3).confidence > 0.8 * Vote(DECODING, [alone] * 3).confidence  # a pass


def test_many_frames_that_err_alike_on_twins_do_not_outvote_the_format() -> None:
    one = evidence("LSI5EBC", sure=5.0, noise=0.0)
    clear = Vote(DECODING, [one] * 30).verdict()
    alone = Vote(DECODING, [one]).verdict()
    assert clear.text.candidates[0][0] == alone.text.candidates[0][0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["7ABC123", "7A8C123", "7ABC12"]), min_size=2, max_size=7), st.randoms())
def test_order_of_the_frames_does_not_matter(texts: list[str], random: object) -> None:
    frames = [evidence(text, sure=5.0, noise=0.7, seed=seed) for seed, text in enumerate(texts)]
    shuffled = list(frames)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = Vote(DECODING, frames).verdict().text, Vote(DECODING, shuffled).verdict().text
    assert first.text == second.text
    assert first.slots == pytest.approx(second.slots, abs=1e-6)
    assert first.confidence == pytest.approx(second.confidence, abs=1e-6)


def test_many_frames_outvote_a_single_clear_one() -> None:
    frames = [evidence("7ABC123", sure=6.0)] * 4 + [evidence("7XYZ987", sure=12.0)]
    assert Vote(DECODING, frames).verdict().text.text == "7ABC123"


def test_frames_that_are_each_unsure_are_sure_together() -> None:
    frames = [blurred("7ABC123", 2, "8", share=0.4), blurred("7ABC123", 5, "Z", share=0.4)] * 2
    alone = Vote(DECODING, frames[:1]).verdict().text
    together = Vote(DECODING, frames).verdict().text
    assert together.text == "7ABC123"
    assert together.confidence > alone.confidence


def test_an_unreadable_slot_is_a_question_mark_with_its_probabilities() -> None:
    frame = evidence("7ABC123")
    columns = frame.columns.copy()
    at = int(np.argmax(columns[0, :, labels("B")[0]]))
    columns[0, at] = 1 / 37
    weak = Evidence(
        columns=columns,
        slots=None,
        jurisdiction=frame.jurisdiction,
        candidates=frame.candidates,
        paths=frame.paths,
        width_px=100.0,
        score=0.8,
    )
    text = Vote(DECODING, [weak]).verdict().text
    assert len(text.text) == 7
    assert text.text[2] == UNREADABLE
    assert text.text.count(UNREADABLE) == 1
    assert text.readable == 6
    assert text.slots[2, :NO_CHARACTER].max() < TEXT.unreadable_below


def test_a_frame_without_a_character_gives_an_empty_text_and_no_confidence() -> None:
    blank = evidence("")
    text = Vote(DECODING, [blank]).verdict().text
    assert text.text == ""
    assert text.slots.shape == (0, 37)
    nothing = Evidence(
        columns=blank.columns,
        slots=None,
        jurisdiction=blank.jurisdiction,
        candidates=(),
        paths=((),),
        width_px=100.0,
        score=0.5,
    )
    assert Vote(DECODING, [nothing]).verdict().text.confidence == 0.0


def test_the_formats_distinguish_o_from_zero_where_the_pixels_do_not() -> None:
    california = np.array([0.97, 0.01, 0.01, 0.01], np.float32)
    frame = blurred("7ABC1O3", 5, "0")
    told = Evidence(
        columns=frame.columns,
        slots=None,
        jurisdiction=california,
        candidates=frame.candidates,
        paths=frame.paths,
        width_px=100.0,
        score=0.8,
    )
    assert Vote(DECODING, [told]).verdict().text.text == "7ABC103"


def test_an_issuer_without_a_name_is_given_as_none() -> None:
    codes = (*CODES[:-1], NO_PLACE)
    rules = replace(TEXT, jurisdictions=codes)
    decoding = Decoding(rules, ConfidenceRules(), FormatPrior(codes))
    chances = np.array([0.02, 0.02, 0.02, 0.94], np.float32)
    told = Vote(decoding, [replace(evidence("7ABC123"), jurisdiction=chances)]).verdict().text.jurisdiction
    assert NO_PLACE not in dict(told)
    assert all(chance < 0.5 for _, chance in told)


@pytest.mark.parametrize("text", ["OHYEAH", "7O8I23", "GOFAST1", "A1B2C3D4"])
def test_clear_pixels_win_against_the_formats(text: str) -> None:
    assert Vote(DECODING, [evidence(text)]).verdict().text.text == text


def test_a_vote_settles_once_frames_agree_and_not_before() -> None:
    vote = Vote(DECODING)
    for number in range(voting.SETTLED_FRAMES):
        assert not vote.settled
        vote.add(evidence("7ABC123", seed=number))
    assert vote.settled


def test_frames_that_contradict_each_other_do_not_settle_soon() -> None:
    vote = Vote(DECODING)
    for number in range(6):
        vote.add(evidence("7ABC123" if number % 2 else "4XYZ999"))
        assert not vote.settled


def test_an_unreadable_plate_settles_after_enough_frames() -> None:
    vote = Vote(DECODING)
    for number in range(voting.ENOUGH_FRAMES):
        assert not vote.settled
        vote.add(evidence("7ABC123", sure=0.6, noise=1.0, seed=number))
    assert vote.settled


def test_memory_of_a_long_pass_stays_bounded() -> None:
    vote = Vote(DECODING)
    for number in range(voting.MOST_FRAMES + 9):
        vote.add(evidence("7ABC123", sure=4.0, noise=0.7, seed=number))
    assert vote.frames == voting.MOST_FRAMES
    assert vote.frames_given == voting.MOST_FRAMES + 9
    assert vote.verdict().text.text == "7ABC123"


def test_a_frame_of_the_same_plate_is_supported_and_of_another_is_not() -> None:
    vote = Vote(DECODING, [evidence("7ABC123")] * 2)
    assert vote.supports(evidence("7ABC123", seed=4)) > -0.1
    assert vote.supports(evidence("4XYZ999")) < -10


def test_votes_that_share_evidence_say_what_votes_of_fresh_evidence_say() -> None:
    def frames() -> list[Evidence]:
        spelt = [evidence("7ABC123", sure=4.0, noise=0.7, seed=seed) for seed in range(6)]
        return [replace(frame) for frame in spelt]  # the same columns, with nothing computed yet

    shared = frames()
    for frame in shared:
        Vote(DECODING, [frame]).verdict()
    first, second = Vote(DECODING, shared).verdict(), Vote(DECODING, frames()).verdict()
    assert first.features.as_dict() == pytest.approx(second.features.as_dict())
    assert first.text.text == second.text.text
    assert dict(first.text.candidates) == pytest.approx(dict(second.text.candidates))
    assert first.text.slots == pytest.approx(second.text.slots, abs=1e-6)


def test_the_leader_is_the_verdicts_best_text() -> None:
    vote = Vote(DECODING)
    for seed in range(8):
        vote.add(evidence("7ABC123", sure=2.0, noise=1.0, seed=seed))
        assert vote.leader == vote.verdict().text.candidates[0][0]
        assert vote.confidence == vote.verdict().text.confidence


def test_the_second_head_decides_what_the_columns_leave_open() -> None:
    frame = blurred("7ABC123", 6, "8")
    head = np.exp(slot_logits("7ABC123"))
    head /= head.sum(axis=1, keepdims=True)
    rules = TextRules(jurisdictions=CODES, slots_weight=1.0, prior_weight=0.0)
    decoding = Decoding(rules, ConfidenceRules(), FormatPrior(CODES))
    told = Evidence(
        columns=frame.columns,
        slots=head.astype(np.float32),
        jurisdiction=frame.jurisdiction,
        candidates=frame.candidates,
        paths=frame.paths,
        width_px=100.0,
        score=0.8,
    )
    text = Vote(decoding, [told]).verdict().text
    assert text.text == "7ABC123"
    assert text.slots[6, labels("3")[0]] > 0.9


def test_a_text_never_shows_in_a_repr() -> None:
    from detector_twins import box_at, reading

    seen = reading("7ABC123", box_at(100, 100))
    for thing in (seen, seen.text, seen.evidence, str(seen.text)):
        assert "7ABC" not in repr(thing)
        assert "ABC" not in repr(thing)


def test_a_vote_without_a_frame_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="without a frame"):
        Vote(DECODING).verdict()


def shown(text: str, aspect: float, count: int) -> list[Evidence]:
    """Frames that show a text in a box of this aspect."""
    return [replace(evidence(text, seed=seed), aspect=aspect) for seed in range(count)]


@pytest.mark.parametrize("part", ["ABC123", "7ABC12", "BC1", "7AB23"])
@pytest.mark.parametrize("hidden", [1, 4, 12])
def test_frames_that_show_a_part_do_not_outvote_those_that_show_the_whole(part: str, hidden: int) -> None:
    vote = Vote(DECODING, shown(part, 2.2 * len(part) / 7, hidden) + shown("7ABC123", 2.2, 3))
    assert vote.leader == vote.verdict().text.text == "7ABC123"
    assert vote.confidence > 0.9
    assert vote.settled


def test_a_vote_is_not_settled_once_a_longer_text_was_seen() -> None:
    vote = Vote(DECODING, shown("ABC123", 1.8, 4))
    assert vote.settled
    vote.add(shown("7ABC123", 2.2, 1)[0])
    assert not vote.settled


def test_a_character_that_few_frames_show_in_a_box_as_wide_is_never_sure() -> None:
    vote = Vote(DECODING, shown("ABC123", 2.2, 8) + shown("7ABC123", 2.2, 4))
    assert vote.confidence <= voting.MINORITY_TRUST


def test_a_single_frame_with_a_character_more_wins_nothing() -> None:
    vote = Vote(DECODING, shown("ABC123", 2.2, 8) + shown("7ABC123", 2.2, 1))
    assert vote.verdict().text.text == "ABC123"


def test_a_plate_that_every_frame_cuts_off_is_never_sure() -> None:
    frames = [replace(one, cut=True, trust=0.4) for one in shown("ABC123", 1.8, 8)]
    vote = Vote(DECODING, frames)
    assert vote.confidence <= 0.4
    assert not vote.settled


def test_a_frame_at_the_edge_counts_for_nothing_beside_one_inside() -> None:
    cut = [replace(one, cut=True, trust=0.4) for one in shown("ABC123", 1.8, 8)]
    vote = Vote(DECODING, cut + shown("7ABC123", 2.2, 2))
    assert vote.verdict().text.text == "7ABC123"
    assert vote.confidence > 0.9


def in_two_lines(upper: str, lower: str, count: int) -> list[Evidence]:
    """Frames that were read line by line, each line with its own look."""
    frames = []
    for seed in range(count):
        parts = [evidence(text, seed=seed).columns[0] for text in (upper, lower)]
        columns = join_columns(*parts)
        path = best_path(columns.astype(np.float64))
        both = replace(
            evidence(lower),
            columns=columns[None],
            candidates=(path,),
            paths=(path,),
            aspect=1.8,
            trust=0.8,
            lines=2,
        )
        frames.append(both)
    return frames


@pytest.mark.parametrize("doubled", [1, 2, 4])
def test_a_name_over_the_plate_is_not_a_part_of_a_text_that_other_frames_show_in_one_line(
    doubled: int,
) -> None:
    vote = Vote(DECODING, in_two_lines("NW", "HFX685", doubled) + shown("HFX685", 1.8, doubled + 1))
    assert vote.verdict().text.text == "HFX685"


def test_a_plate_of_two_lines_keeps_both_though_some_frames_show_one() -> None:
    vote = Vote(DECODING, in_two_lines("12", "AB34", 3) + in_two_lines("2", "AB34", 2) + shown("34", 1.2, 2))
    assert vote.verdict().text.text == "12AB34"


@pytest.mark.parametrize(("parts", "sure"), [(2, False), (6, True)])
def test_a_part_of_a_text_that_one_of_few_frames_shows_whole_is_not_sure(parts: int, sure: bool) -> None:
    vote = Vote(DECODING, shown("9YLY526", 1.8, 1) + shown("YLY526", 1.8, parts))
    assert vote.leader == "YLY526"
    assert (vote.confidence > voting.LONGER_TRUST) is sure


def test_a_name_over_the_plate_in_one_of_few_frames_doubts_no_text() -> None:
    vote = Vote(DECODING, in_two_lines("NA", "HFX685", 1) + shown("HFX685", 1.8, 2))
    assert vote.leader == "HFX685"
    assert vote.confidence > 0.9


@pytest.mark.parametrize(
    ("widths", "leader"),
    [((40, 43, 62), "KEP187"), ((62, 62, 62), "KEB187"), ((90, 120, 200), "KEB187")],
)
def test_a_near_frame_counts_more_than_as_many_from_afar(widths: tuple[int, ...], leader: str) -> None:
    """Two frames give B; one, slightly surer, gives P."""
    told = [blurred("KEP187", 2, "B", share=share) for share in (0.75, 0.75, 0.2)]
    frames = [replace(one, width_px=float(width)) for one, width in zip(told, widths, strict=True)]
    assert Vote(DECODING, frames).leader == leader


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("second", "sure"), [(("0FMJ254", "0FMJ254"), True), (("0FMJ254", "8FMJ254"), False)]
)
def test_a_text_that_most_looks_of_a_pass_do_not_give_is_not_sure(
    second: tuple[str, ...], sure: bool
) -> None:
    """Each frame's looks together give the text; of single looks three of four do, or two."""
    clear = evidence("0FMJ254")
    frames = [
        replace(clear, paths=tuple(labels(text) for text in looks))
        for looks in (("OFMJ254", "BFMJ254"), second)
    ]
    vote = Vote(DECODING, frames)
    assert vote.leader == "0FMJ254"
    assert (vote.confidence > voting.DISPUTED_TRUST) is sure
