"""Votes over one vehicle's frames: adds the log-likelihoods of all candidate texts, says when settled.

A single frame is a vote of one. Order does not matter; no I/O, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .card import ConfidenceRules, TextRules
from .confidence import Features, confidence, log_odds, within
from .ctc import Labels, log_scores, slot_scores
from .jurisdictions import FormatPrior
from .plates import ALPHABET, CLASSES, F32, NO_CHARACTER, UNREADABLE, Evidence, PlateText

F64 = NDArray[np.float64]

MOST_FRAMES = 32  # evidence kept of one pass, about 10 kB a frame
MOST_TEXTS = 48
_TWINS = str.maketrans("OI", "01")
_TWIN_CLASSES = tuple([ALPHABET.index(a), ALPHABET.index(b)] for a, b in ("O0", "I1"))
_TEXTS_TOLD = 5
_PLACES_TOLD = 5
_LEAST_TOLD = 0.005  # a candidate less likely than this is not worth a line
SETTLED_FRAMES = 3  # two frames may share a glint; three in a row seldom
SETTLED_POSTERIOR = 0.99
SETTLED_SLOT = 0.9
SETTLED_AGREEMENT = 0.7  # of the single looks: one in three against it is not settled
ENOUGH_FRAMES = 24  # what as many frames could not tell, more of the same will not


@dataclass(frozen=True, slots=True)
class Decoding:
    """The card's numbers and the prior that every vote of one reader shares."""

    text: TextRules
    confidence: ConfidenceRules
    prior: FormatPrior


@dataclass(frozen=True, slots=True)
class Verdict:
    """A vote's outcome: the text and what its confidence was made of."""

    text: PlateText
    features: Features


@dataclass(slots=True)
class _Ballot:
    """One frame's evidence with its scores: texts (N,) in the vote's order, slots (S, 37) of the winner."""

    evidence: Evidence
    texts: F64
    slots: F64 | None = None


class Vote:
    """Evidence of one plate, one frame or many."""

    def __init__(self, decoding: Decoding, frames: Iterable[Evidence] = ()) -> None:
        self._decoding = decoding
        self._texts: list[Labels] = []
        self._ballots: list[_Ballot] = []
        self._slots_of: Labels | None = None
        self._verdict: Verdict | None = None
        self._leader: Labels | None = None
        self.frames_given = 0
        for evidence in frames:
            self.add(evidence)

    @property
    def frames(self) -> int:
        """Frames whose evidence counts at present."""
        return len(self._ballots)

    def add(self, evidence: Evidence) -> None:
        """Counts one more frame. Beyond MOST_FRAMES the frame that says least goes."""
        self.frames_given += 1
        self._verdict = self._leader = None
        new = sorted(set(evidence.candidates) - set(self._texts))
        if new and self._ballots:
            rows = self._score([ballot.evidence for ballot in self._ballots], new)
            for ballot, row in zip(self._ballots, rows, strict=True):
                ballot.texts = np.concatenate([ballot.texts, row])
        self._texts += new
        self._ballots.append(_Ballot(evidence, self._score([evidence], self._texts)[0]))
        if len(self._ballots) > MOST_FRAMES:
            del self._ballots[int(np.argmin([ballot.texts.max() for ballot in self._ballots]))]
        if len(self._texts) > MOST_TEXTS:
            self._forget_texts()

    def verdict(self) -> Verdict:
        """The winning text. Raises ValueError before the first frame."""
        if not self._ballots:
            raise ValueError("a vote without a frame has no verdict")
        if self._verdict is None:
            self._verdict = self._decide()
        return self._verdict

    @property
    def settled(self) -> bool:
        """Whether more frames like these would not change the text."""
        if len(self._ballots) < SETTLED_FRAMES:
            return False
        if self.frames_given >= ENOUGH_FRAMES:
            return True
        text, features = self.verdict().text, self.verdict().features
        return (
            bool(text.candidates)
            and text.candidates[0][1] >= SETTLED_POSTERIOR
            and min(text.char_confidences, default=0.0) >= SETTLED_SLOT
            and features.agreement >= SETTLED_AGREEMENT
        )

    def supports(self, evidence: Evidence) -> float:
        """How well a frame fits this vote's text: log p(text) less log p(its own best), at most 0."""
        winner = self._winner()
        scores = self._score([evidence], [winner, *evidence.candidates])[0]
        return float(scores[0] - scores.max())

    def _score(self, frames: list[Evidence], texts: list[Labels]) -> F64:
        """Log-likelihood (F, N) of texts: mean of a frame's looks, and the second head's share."""
        looks = [len(frame.columns) for frame in frames]
        scores = log_scores(np.concatenate([frame.columns for frame in frames]).astype(np.float64), texts)
        starts = np.cumsum([0, *looks[:-1]])
        total = np.add.reduceat(scores, starts, axis=0) / np.array(looks)[:, None]
        weight = self._decoding.text.slots_weight
        if weight > 0 and texts:
            for row, frame in enumerate(frames):
                if frame.slots is not None:
                    total[row] += weight * _slot_head_scores(frame.slots, texts)
        return np.asarray(np.maximum(total, -700.0))

    def _weight(self) -> float:
        """What each frame's log-likelihood counts: n frames weigh n ** pass_exponent, for they err alike."""
        return math.pow(len(self._ballots), self._decoding.text.pass_exponent - 1.0)

    def _chances(self) -> F64:
        """Jurisdiction probabilities (J,) by the net, geometric mean over the frames."""
        logs = np.mean(
            [np.log(np.maximum(ballot.evidence.jurisdiction, 1e-6)) for ballot in self._ballots],
            axis=0,
            dtype=np.float64,
        )
        chances = np.exp(logs - logs.max(initial=0.0))
        return np.asarray(chances / max(float(chances.sum()), 1e-300))

    def _totals(self, chances: F64) -> F64:
        """Log-probability (N,) of each text, prior included, up to a constant."""
        mean = np.mean([ballot.texts for ballot in self._ballots], axis=0)
        summed = self._weight() * len(self._ballots) * mean
        rules, prior = self._decoding.text, self._decoding.prior
        if rules.prior_weight <= 0:
            return np.asarray(summed)
        lifts = np.array([prior.log_prior(_spelt(text), chances) for text in self._texts])
        groups: dict[str, list[int]] = {}
        for index, text in enumerate(self._texts):
            groups.setdefault(_spelt(text).translate(_TWINS), []).append(index)
        totals = np.empty(len(self._texts))
        for group in groups.values():
            totals[group] = _among_twins(summed[group], mean[group], lifts[group], rules.prior_weight)
        return totals

    def _winner(self) -> Labels:
        if not self._texts:
            return ()
        if self._leader is None:
            totals = self._totals(self._chances())
            self._leader = self._texts[min(range(len(totals)), key=lambda i: (-totals[i], self._texts[i]))]
        return self._leader

    def _forget_texts(self) -> None:
        totals = self._totals(self._chances())
        kept = np.sort(np.argsort(-totals, kind="stable")[: MOST_TEXTS // 2])
        self._texts = [self._texts[index] for index in kept]
        for ballot in self._ballots:
            ballot.texts = ballot.texts[kept]

    def _decide(self) -> Verdict:
        rules, prior = self._decoding.text, self._decoding.prior
        chances = self._chances()
        if not self._texts:
            return self._nothing(chances)
        totals = self._totals(chances)
        order = sorted(range(len(totals)), key=lambda i: (-totals[i], self._texts[i]))
        posterior = np.exp(totals - totals[order[0]])
        posterior /= posterior.sum()
        winner = self._leader = self._texts[order[0]]
        slots = self._slot_posterior(winner, chances)
        spelt = _spelt(winner)
        sure = slots[np.arange(len(winner)), list(winner)] if winner else np.zeros(0)
        text = "".join(
            c if p >= rules.unreadable_below else UNREADABLE for c, p in zip(spelt, sure, strict=True)
        )
        features = self._features(winner, order[0], float(posterior[order[0]]), sure, chances)
        told = [(_spelt(self._texts[i]), float(posterior[i])) for i in order[:_TEXTS_TOLD]]
        return Verdict(
            PlateText(
                text=text,
                confidence=confidence(features, self._decoding.confidence),
                slots=slots.astype(np.float32),
                candidates=tuple(pair for pair in told if pair[1] >= _LEAST_TOLD),
                jurisdiction=_named(prior.codes, prior.informed(spelt, chances, rules.prior_weight)),
            ),
            features,
        )

    def _nothing(self, chances: F64) -> Verdict:
        """No frame showed a single character."""
        features = self._features((), -1, 0.0, np.zeros(0), chances)
        text = PlateText(
            text="",
            confidence=0.0,
            slots=np.zeros((0, CLASSES), np.float32),
            candidates=(),
            jurisdiction=_named(self._decoding.prior.codes, chances),
        )
        return Verdict(text, features)

    def _slot_posterior(self, winner: Labels, chances: F64) -> F64:
        """Probability (S, 37) of each class in each slot of the winner, the other slots as they are."""
        if not winner:
            return np.zeros((0, CLASSES))
        if self._slots_of != winner:
            self._slots_of = winner
            for ballot in self._ballots:
                ballot.slots = None
        for ballot in self._ballots:
            if ballot.slots is None:
                ballot.slots = self._slot_scores(ballot.evidence, winner)
        mean = np.mean([ballot.slots for ballot in self._ballots if ballot.slots is not None], axis=0)
        summed = self._weight() * len(self._ballots) * mean
        rules = self._decoding.text
        total = summed
        if rules.prior_weight > 0:
            lifts = self._decoding.prior.log_slot_prior(_spelt(winner), chances)
            total = summed + rules.prior_weight * lifts
            for slot in range(len(winner)):
                for pair in _TWIN_CLASSES:
                    total[slot, pair] = _among_twins(
                        summed[slot, pair], mean[slot, pair], lifts[slot, pair], rules.prior_weight
                    )
        total -= total.max(axis=1, keepdims=True)
        np.exp(total, out=total)
        return np.asarray(total / total.sum(axis=1, keepdims=True))

    def _slot_scores(self, evidence: Evidence, winner: Labels) -> F64:
        scores = slot_scores(evidence.columns.astype(np.float64), winner).mean(axis=0)
        scores = np.maximum(scores, -700.0)
        weight = self._decoding.text.slots_weight
        if evidence.slots is not None and weight > 0:
            logs = np.log(evidence.slots.astype(np.float64))
            fits = min(len(winner), len(logs))
            whole = _slot_head_scores(evidence.slots, [winner])[0]
            head = np.full(scores.shape, whole)
            own = logs[np.arange(fits), list(winner[:fits])]
            head[:fits] += logs[:fits] - own[:, None]
            shorter = [winner[:slot] + winner[slot + 1 :] for slot in range(len(winner))]
            head[:, NO_CHARACTER] = _slot_head_scores(evidence.slots, shorter)
            scores += weight * head
        return np.asarray(scores)

    def _features(self, winner: Labels, index: int, posterior: float, sure: F64, chances: F64) -> Features:
        frames = [ballot.evidence for ballot in self._ballots]
        heads = [frame.slots for frame in frames if frame.slots is not None]
        looks = [path == winner for frame in frames for path in frame.paths]
        per_slot = [_slot_head_scores(head, [winner])[0] / len(head) for head in heads]
        likelihood = (
            float(np.mean([ballot.texts[index] for ballot in self._ballots])) if index >= 0 else -20.0
        )
        return Features(
            posterior=log_odds(posterior),
            likelihood=within(likelihood, -20.0, 0.0),
            weakest=log_odds(float(sure.min(initial=1.0)) if len(sure) else 0.0),
            agreement=sum(looks) / len(looks) if looks else 0.0,
            slots=within(float(np.mean(per_slot)), -5.0, 0.0) if per_slot else 0.0,
            width=within(math.log2(max(frame.width_px for frame in frames) / 100.0), -3.0, 2.0),
            score=log_odds(max(frame.score for frame in frames), 5.0),
            format=self._decoding.prior.fits(_spelt(winner), chances) if winner else 0.0,
            frames=math.log2(len(frames)),
        )


def _among_twins(summed: F64, mean: F64, lifts: F64, prior_weight: float) -> F64:
    """Totals of texts that differ in nothing but O/0 and I/1.

    Many jurisdictions press both with one die, and then every frame errs alike: what the twins have
    together is as all frames say; between them all frames count as one, and the formats in full.
    """
    together = np.logaddexp.reduce(summed + prior_weight * lifts)
    share = mean + lifts
    return np.asarray(together + share - np.logaddexp.reduce(share))


def _slot_head_scores(slots: F32, texts: list[Labels]) -> F64:
    """log p (N,) of texts under the second head (S, 37): each slot its character, the rest none."""
    logs = np.log(slots.astype(np.float64))
    places = len(logs)
    out = np.full(len(texts), 0.0)
    labels = np.full((len(texts), places), NO_CHARACTER, np.intp)
    for row, text in enumerate(texts):
        labels[row, : min(len(text), places)] = text[:places]
        out[row] = -10.0 * max(len(text) - places, 0)
    return np.asarray(out + logs[np.arange(places), labels].sum(axis=1))


def _spelt(text: Labels) -> str:
    return "".join(ALPHABET[label] for label in text)


def _named(codes: tuple[str, ...], chances: F64) -> tuple[tuple[str, float], ...]:
    """The likeliest codes with their probabilities."""
    order = np.argsort(-chances, kind="stable")[:_PLACES_TOLD]
    return tuple((codes[i], float(chances[i])) for i in order if chances[i] >= _LEAST_TOLD)
