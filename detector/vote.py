"""Votes over one vehicle's frames: adds up the log-likelihoods of all candidate texts, says when settled.

A single frame is a vote of one. The order of the frames does not matter. No I/O, no clock.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from .ballot import head_scores, many_text_scores, one_slot_scores, text_scores
from .card import ConfidenceRules, TextRules
from .confidence import Features, confidence, log_odds, within
from .ctc import Labels, labels_of, spelt
from .frame_counts import MOST_TEXTS, FrameCounts
from .hidden import Explained, explain_hidden, longer_text_shown
from .jurisdictions import LEAST_TOLD, FormatPrior, join_chances, name_places
from .likeness import is_part
from .plates import CLASSES, NO_CHARACTER, UNREADABLE, Evidence, PlateText
from .thin_strokes import lacks_strokes
from .twins import TWIN_CLASSES, among_twins, as_twin, twins_among

F64 = NDArray[np.float64]

MOST_FRAMES = 32  # frames of a pass whose evidence is kept, about 30 kB each
_TEXTS_TOLD = 5
SETTLED_FRAMES = 3  # two frames may share a glint; three in a row rarely do
SETTLED_POSTERIOR = 0.99
SETTLED_SLOT = 0.9
SETTLED_AGREEMENT = 0.7  # of the single looks: with one in three against it, a text is not settled
STROKE_TRUST = 0.78  # in a text with fewer I and 1 than the frames show; a rim may look like one too
MINORITY_TRUST = 0.5  # in a text of which most frames show only a part, although their boxes were as wide
CONTRADICTED_TRUST = 0.6  # in a text of which more frames show an end with another character
# In a text that this share of a still's cuts shows as part of a longer one: 15 of 21 such texts were wrong,
# among 914 drawn plates that were looked at often.
MANY_LOOKS, LONGER_SHARE, LONGER_TRUST = 5, 0.2, 0.7
DISPUTED_SHARE, DISPUTED_TRUST = 0.5, 0.8  # of a pass's looks gave the text: 3 of 48 such texts were wrong
LONGER_IN_FRAMES = 1 / 3  # as LONGER_SHARE, of a pass's frames: the others may show a part
# Frames narrower than this share of the third widest have no vote; above READABLE_PX, all are equally good.
NEAREST, FAR_SHARE, READABLE_PX = 3, 0.62, 80.0
NEAR_POWER = 1.5  # of the width, up to READABLE_PX: the weight of a frame beside wider ones, which show more
# Weight of the average of a pass's frames (frame_average.py) beside the frames themselves. Of 28 passes that
# were read wrongly, 1 makes five right, 0.5 three; of 291 right ones, none is lost from 0.25 to 3.
AVERAGE_WEIGHT = 1.0
AVERAGE_SHARE, AVERAGE_TRUST = 0.5, 0.6  # of its looks gave the text, or the frames another
ENOUGH_FRAMES = 24  # what this many frames could not decide, more will not


@dataclass(frozen=True, slots=True)
class Decoding:
    """The card's numbers and the prior, shared by every vote of a reader."""

    text: TextRules
    confidence: ConfidenceRules
    prior: FormatPrior


@dataclass(frozen=True, slots=True)
class VoteVerdict:
    """A vote's outcome: the text and the features of its confidence."""

    text: PlateText
    features: Features


@dataclass(frozen=True, slots=True)
class _Ranking:
    """The texts ranked by all frames: jurisdiction chances (J,), log-probabilities (N,), best first."""

    chances: F64
    totals: F64
    order: list[int]
    posterior: F64
    leader: str


class Vote:
    """The evidence for one plate from one or more frames."""

    def __init__(self, decoding: Decoding, frames: Iterable[Evidence] = ()) -> None:
        self._decoding = decoding
        self._frames: list[Evidence] = []
        self._texts: list[Labels] = []
        self._scores = np.empty((0, 0))  # log-likelihoods (F, N)
        self._lifts = np.empty((0, len(decoding.prior.codes)))  # of the formats, (N, J)
        self._twins: list[list[int]] = []  # texts that differ only in O/0 and I/1
        self._forget()
        self._doubt = 1.0  # factor for the confidence of a text that few frames show
        self._average: Evidence | None = None
        self._alone: Labels = ()  # what the frames give without the average
        self._counts = FrameCounts()
        self.frames_given = 0
        for evidence in frames:
            self.add(evidence)

    def _forget(self) -> None:
        """Drops what was worked out from the frames and counts before."""
        self._hidden: tuple[Explained | None] | None = None  # what explains the frames, once that is known
        self._ranking: _Ranking | None = None
        self._slots: F64 | None = None
        self._verdict: VoteVerdict | None = None
        self._contradicted = False  # in the verdict
        self._settled: bool | None = None
        self._whole: Vote | None = None  # the vote of the frames that show the whole text

    @property
    def frames(self) -> int:
        """How many frames count at present."""
        return len(self._frames)

    @property
    def cut(self) -> bool:
        """Whether the plate ran out of the picture in every frame so far."""
        return all(frame.cut for frame in self._frames)

    def add(self, evidence: Evidence) -> None:
        """Counts one more frame. Drops frames from much farther away; above MOST_FRAMES, the weakest one."""
        self.frames_given += 1
        self._forget()
        self._add_texts(sorted(set(evidence.candidates) - set(self._texts)))
        scores = text_scores(evidence, self._texts, self._slots_weight)
        self._scores = np.concatenate([self._scores, scores[None]])
        self._frames.append(evidence)
        self._drop_far()
        if len(self._frames) > MOST_FRAMES:
            self._drop([int(np.argmin(self._scores.max(axis=1, initial=-math.inf)))])
        if len(self._texts) > MOST_TEXTS:
            best = np.argsort(-self._rank().totals, kind="stable")[: MOST_TEXTS // 2]
            self._keep_texts(np.sort(best))

    def count(self, text: str, frames: int) -> None:
        """Counts frames that gave a text and are not weighed themselves."""
        if frames <= 0:
            return
        self._counts.add(labels_of(text), frames)
        if self._whole is not self or self._explained() is not None:
            self._forget()
        elif self._verdict and self._counts.contradict(self._winner(), self._own()) != self._contradicted:
            self._verdict = None  # if no frame is hidden, this is all that counts decide

    def _drop_far(self) -> None:
        """Drops the frames that show the plate much smaller than a few others: they all err alike."""
        if len(self._frames) <= NEAREST:
            return
        widths = [frame.width_px for frame in self._frames]
        least = FAR_SHARE * min(sorted(widths)[-NEAREST], READABLE_PX)
        self._drop([index for index, width in enumerate(widths) if width < least])

    def _drop(self, frames: list[int]) -> None:
        if frames:
            gone = set(frames)
            self._frames = [frame for index, frame in enumerate(self._frames) if index not in gone]
            self._scores = np.delete(self._scores, frames, axis=0)

    def join(self, other: Vote) -> None:
        """Adds the frames of another vote on the same plate."""
        given = self.frames_given + other.frames_given
        for evidence in other._frames:
            self.add(evidence)
        self._counts.join(other._counts)
        self.frames_given = given

    def with_average(self, average: Evidence) -> Vote:
        """Returns a vote that also weighs the average of the frames, for texts as long as theirs."""
        vote = copy.copy(self._of_whole())
        vote._alone = vote._winner()
        vote._texts = list(vote._texts)
        new = {text for text in average.candidates if len(text) == len(vote._alone)}
        vote._add_texts(sorted(new - set(vote._texts)))
        vote._forget()
        vote._average, vote._whole = average, vote
        return vote

    def verdict(self) -> VoteVerdict:
        """The winning text. Raises ValueError before the first frame."""
        if not self._frames:
            raise ValueError("a vote without a frame has no verdict")
        if self._verdict is None:
            whole = self._of_whole()
            self._verdict = self._decide() if whole is self else whole.verdict()
        return self._verdict

    @property
    def leader(self) -> str:
        """The likeliest text, doubtful characters included; costs a fraction of a verdict."""
        return self._of_whole()._rank().leader

    @property
    def text(self) -> PlateText:
        """The verdict's."""
        return self.verdict().text

    @property
    def confidence(self) -> float:
        """The verdict's."""
        return self.verdict().text.confidence

    @property
    def confidence_of_one(self) -> float:
        """Median confidence of a single frame; frames of one view together are no surer than that."""
        return median(Vote(self._decoding, (frame,)).confidence for frame in self._frames)

    @property
    def features(self) -> Mapping[str, float]:
        """The verdict's, by name."""
        return self.verdict().features.as_dict()

    @property
    def settled(self) -> bool:
        """Whether more frames like these would not change the text."""
        if self._settled is None:
            self._settled = self._is_settled()
        return self._settled

    def _is_settled(self) -> bool:
        if self.frames_given >= ENOUGH_FRAMES:
            return True
        if self._of_whole() is not self:
            return self._of_whole().settled
        if len(self._frames) < SETTLED_FRAMES or any(frame.cut for frame in self._frames):
            return False
        winner, ranking = self._winner(), self._rank()
        if not winner or ranking.posterior[ranking.order[0]] < SETTLED_POSTERIOR:
            return False
        if self._agreement(winner) < SETTLED_AGREEMENT or longer_text_shown(winner, self._frames):
            return False
        sure = self._winners_slots()[:, :NO_CHARACTER].max(axis=1)
        return bool(sure.min().astype(np.float32) >= SETTLED_SLOT)

    def _of_whole(self) -> Vote:
        """The vote of the frames that show the whole plate; this vote if all or none do."""
        if self._whole is None:
            self._whole = self._without_hidden()
        return self._whole

    def _without_hidden(self) -> Vote:
        inside = [frame for frame in self._frames if not frame.cut and frame.candidates]
        if inside and len(inside) < len(self._frames):
            vote = Vote(self._decoding, inside)
            vote._counts = self._counts
            return vote._of_whole()
        explained = self._explained()
        if explained is None:
            return self
        first = self._rank().order[0]
        hidden = explained.hidden[:, first]
        if not hidden.any():
            return self
        shown = [frame for frame, part in zip(self._frames, hidden.tolist(), strict=True) if not part]
        whole = Vote(self._decoding, shown)
        whole._counts = self._counts.with_each(
            text for text, part in zip(self._own(), hidden.tolist(), strict=True) if part
        )
        if int((hidden & ~explained.narrow[:, first]).sum()) > len(shown):
            whole._doubt = MINORITY_TRUST
        return whole

    def _explained(self) -> Explained | None:
        if self._hidden is None:
            self._hidden = (explain_hidden(self._scores, self._texts, self._frames, self._counts),)
        return self._hidden[0]

    def _own(self) -> list[Labels]:
        """The text that each frame gives on its own."""
        return [self._texts[first] for first in self._scores.argmax(axis=1)] if self._texts else []

    @property
    def frames_of_leader(self) -> int:
        """How many frames gave the likeliest text on their own, weighed or not."""
        whole = self._of_whole()
        return whole._counts.given(whole._own())[as_twin(whole._winner())]

    def supports(self, evidence: Evidence) -> float:
        """How well a frame fits this vote's text: log p(text) minus log p(its own best), at most 0."""
        winner = self._of_whole()._winner()
        scores = text_scores(evidence, [winner, *evidence.candidates], self._slots_weight)
        return float(scores[0] - scores.max())

    def allows(self, text: str) -> float:
        """How well another text fits all frames: its weighted log-likelihood minus the winner's."""
        whole = self._of_whole()
        if whole is not self:
            return whole.allows(text)
        texts = [labels_of(text), self._winner()]
        scores = many_text_scores(self._frames, texts, self._slots_weight).sum(axis=0)
        return self._weight() * float(scores[0] - scores[1])

    @property
    def _slots_weight(self) -> float:
        return self._decoding.text.slots_weight

    def _add_texts(self, new: list[Labels]) -> None:
        if not new:
            return
        older = many_text_scores(self._frames, new, self._slots_weight)
        self._scores = np.concatenate([self._scores, older], axis=1)
        lifts = [self._decoding.prior.lifts(spelt(text)) for text in new]
        self._lifts = np.concatenate([self._lifts, lifts])
        self._texts += new
        self._twins = twins_among(self._texts)

    def _keep_texts(self, kept: NDArray[np.intp]) -> None:
        self._texts = [self._texts[index] for index in kept]
        self._scores, self._lifts = self._scores[:, kept], self._lifts[kept]
        self._twins = twins_among(self._texts)
        self._hidden = self._ranking = None

    def _weight(self) -> float:
        """The weight of each frame's log-likelihood: n frames weigh n ** pass_exponent as they err alike."""
        return math.pow(len(self._frames), self._decoding.text.pass_exponent - 1.0)

    def _mean(self, scores: F64) -> F64:
        """Mean over the frames, (F, ...) to (...); frames that show the plate wider count more."""
        widths = np.minimum([frame.width_px for frame in self._frames], READABLE_PX)
        shares = (widths / max(float(widths.sum()), 1e-9)) ** NEAR_POWER
        return np.asarray(np.tensordot(shares / shares.sum(), scores, axes=1))

    def _chances(self) -> F64:
        """Jurisdiction probabilities (J,) from the net: the geometric mean over the frames."""
        return join_chances([frame.jurisdiction for frame in self._frames])

    def _places(self, chances: F64) -> F64:
        """Jurisdiction probabilities (J,) to report: from the frames that the namer saw, else ``chances``."""
        seen = [frame.place for frame in self._frames if frame.place is not None]
        return join_chances(seen) if seen else chances

    def _rank(self) -> _Ranking:
        """Log-probabilities of the texts, prior included, up to a constant."""
        if self._ranking is not None:
            return self._ranking
        chances, weight = self._chances(), self._decoding.text.prior_weight
        explained = self._explained()
        mean = self._mean(self._scores if explained is None else explained.scores)
        summed = self._weight() * len(self._frames) * mean
        if self._average is not None:
            summed = summed + AVERAGE_WEIGHT * self._average_scores(self._average)
        totals = summed
        if weight > 0:
            lifts = np.log(np.maximum(self._lifts @ chances, 1e-300))
            totals = summed + weight * lifts
            for group in self._twins:
                totals[group] = among_twins(summed[group], mean[group], lifts[group], weight)
        order = sorted(range(len(totals)), key=lambda i: (-totals[i], self._texts[i]))
        posterior = np.exp(totals - totals.max(initial=-math.inf))
        leader = spelt(self._texts[order[0]]) if order else ""
        self._ranking = _Ranking(chances, totals, order, posterior / posterior.sum(), leader)
        return self._ranking

    def _winner(self) -> Labels:
        return self._texts[self._rank().order[0]] if self._texts else ()

    def _decide(self) -> VoteVerdict:
        rules, prior = self._decoding.text, self._decoding.prior
        if not self._texts:
            return self._nothing()
        ranking = self._rank()
        first = ranking.order[0]
        winner = self._texts[first]
        slots = self._winners_slots()
        self._contradicted = self._counts.contradict(winner, self._own())
        leader = spelt(winner)
        sure = slots[np.arange(len(winner)), list(winner)] if winner else np.zeros(0)
        text = "".join(
            c if p >= rules.unreadable_below else UNREADABLE for c, p in zip(leader, sure, strict=True)
        )
        features = self._features(first, float(ranking.posterior[first]), sure, ranking.chances)
        told = [(spelt(self._texts[i]), float(ranking.posterior[i])) for i in ranking.order[:_TEXTS_TOLD]]
        return VoteVerdict(
            PlateText(
                text=text,
                confidence=confidence(features, self._decoding.confidence) * self._trust(winner),
                slots=slots.astype(np.float32),
                candidates=tuple(pair for pair in told if pair[1] >= LEAST_TOLD),
                jurisdiction=name_places(
                    prior.codes, prior.informed(leader, self._places(ranking.chances), rules.prior_weight)
                ),
            ),
            features,
        )

    def _trust(self, winner: Labels) -> float:
        """The factor for the confidence, by what the boxes show of the plates in their frames."""
        doubts = (
            (STROKE_TRUST, lacks_strokes(winner, [frame.strokes for frame in self._frames])),
            (LONGER_TRUST, self._may_be_longer(winner)),
            (DISPUTED_TRUST, self._is_disputed(winner)),
            (AVERAGE_TRUST, self._average_disputes(winner)),
            (CONTRADICTED_TRUST, self._contradicted),
        )
        shares = (share for share, holds in doubts if holds)
        return math.prod(shares, start=self._doubt) * median(frame.trust for frame in self._frames)

    def _is_disputed(self, winner: Labels) -> bool:
        """Whether most looks at a pass's frames gave other texts, however similar, all of which lost."""
        if len(self._frames) < 2:
            return False
        mine = as_twin(winner)
        looks = [as_twin(path) == mine for frame in self._frames for path in frame.paths]
        return sum(looks) <= DISPUTED_SHARE * len(looks)

    def _average_scores(self, average: Evidence) -> F64:
        """Log-likelihood (N,) of texts in the average; a text of another length scores as the frames' own.

        Whatever hides a part of the plate, or merges with it, does so in the average too.
        """
        scores = text_scores(average, [*self._texts, self._alone], 0.0)
        as_long = [len(text) == len(self._alone) for text in self._texts]
        return np.where(as_long, scores[:-1], scores[-1])

    def _average_disputes(self, winner: Labels) -> bool:
        """Whether the average shows another text, apart from O/0 and I/1, or made this one win."""
        if self._average is None:
            return False
        mine, paths = as_twin(winner), self._average.paths
        for_it = sum(as_twin(path) == mine for path in paths)
        return as_twin(self._alone) != mine or for_it <= AVERAGE_SHARE * len(paths)

    def _may_be_longer(self, winner: Labels) -> bool:
        """Whether several of a still's many cuts, or one of few frames, show a longer text containing this.

        Readings line by line are ignored: they may add a name printed above or below the number.
        """
        if len(self._frames) > 1:
            texts = [
                self._texts[first]
                for first, frame in zip(self._scores.argmax(axis=1), self._frames, strict=True)
                if frame.lines == 1
            ]
            return sum(is_part(winner, text) for text in texts) >= LONGER_IN_FRAMES * len(self._frames)
        paths = self._frames[0].paths
        if len(paths) < MANY_LOOKS:
            return False
        return sum(is_part(winner, path) for path in paths) >= LONGER_SHARE * len(paths)

    def _nothing(self) -> VoteVerdict:
        """The verdict if no frame showed any character."""
        chances = self._chances()
        features = self._features(None, 0.0, np.zeros(0), chances)
        text = PlateText(
            text="",
            confidence=0.0,
            slots=np.zeros((0, CLASSES), np.float32),
            candidates=(),
            jurisdiction=name_places(self._decoding.prior.codes, self._places(chances)),
        )
        return VoteVerdict(text, features)

    def _winners_slots(self) -> F64:
        """What ``_slot_posterior`` gives for the winner, worked out once."""
        if self._slots is None:
            self._slots = self._slot_posterior(self._winner(), self._rank().chances)
        return self._slots

    def _slot_posterior(self, winner: Labels, chances: F64) -> F64:
        """Probability (S, 37) of each class in each slot of the winner, with the other slots fixed."""
        if not winner:
            return np.zeros((0, CLASSES))
        scores = [one_slot_scores(frame, winner, self._slots_weight) for frame in self._frames]
        mean = scores[0] if len(scores) == 1 else self._mean(np.array(scores))
        total = self._weight() * len(self._frames) * mean
        if self._average is not None:
            total = total + AVERAGE_WEIGHT * one_slot_scores(self._average, winner, 0.0)
        weight = self._decoding.text.prior_weight
        if weight > 0:
            summed, lifts = total, self._decoding.prior.log_slot_prior(spelt(winner), chances)
            total = summed + weight * lifts
            for pair in TWIN_CLASSES:
                total[:, pair] = among_twins(summed[:, pair], mean[:, pair], lifts[:, pair], weight)
        total -= total.max(axis=1, keepdims=True)
        np.exp(total, out=total)
        return np.asarray(total / total.sum(axis=1, keepdims=True))

    def _agreement(self, winner: Labels) -> float:
        """Share of the looks that gave the winner on their own."""
        looks = [path == winner for frame in self._frames for path in frame.paths]
        return sum(looks) / len(looks) if looks else 0.0

    def _features(self, first: int | None, posterior: float, sure: F64, chances: F64) -> Features:
        winner = () if first is None else self._texts[first]
        headed = [frame for frame in self._frames if frame.slots is not None]
        places = [len(frame.slots) for frame in headed if frame.slots is not None]
        heads = head_scores(headed, [winner])[:, 0] / places if headed else np.zeros(1)
        likelihood = -20.0 if first is None else float(self._scores[:, first].mean())
        return Features(
            posterior=log_odds(posterior),
            likelihood=within(likelihood, -20.0, 0.0),
            weakest=log_odds(float(sure.min(initial=1.0)) if len(sure) else 0.0),
            agreement=self._agreement(winner),
            slots=within(float(np.mean(heads)), -5.0, 0.0),
            width=within(math.log2(max(frame.width_px for frame in self._frames) / 100.0), -3.0, 2.0),
            score=log_odds(max(frame.score for frame in self._frames), 5.0),
            format=self._decoding.prior.fits(spelt(winner), chances) if winner else 0.0,
            frames=math.log2(len(self._frames)),
        )
