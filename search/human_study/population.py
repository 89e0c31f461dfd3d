"""Mean strengths over pictures and participants at large, from answers about a few of each.

A plain Bradley-Terry model takes all answers about a pair of conditions for answers to one
question. But codecs suit some pictures more than others, and people differ, so that 1,000 answers
about 10 pictures tell less about pictures at large than their number suggests: its intervals are
too short, and its strengths too close to each other. Here the strength of condition c of codec k
in picture p for participant j is

    s_c (1 + a_p + b_j) + u_{c,p} + v_{k,p} + w_{k,j}

with normal deviations of mean 0: a and b of the sensitivity to all differences, v and w of the
liking for a codec, and u of the condition. A share of the answers are lapses, which prefer either
side with equal probability. The reported quantities are functions of s.

The posterior is sampled by Gibbs' method with the Polya-Gamma variables of Polson, Scott and Windle
(2013, JASA 108), which make every conditional distribution one that is drawn exactly. Their draws
are those of the package polyagamma. A Laplace approximation, as in most packages for mixed models,
was tried first: its strengths are too close to each other, and its 90 % intervals covered 73 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from polyagamma import random_polyagamma
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import expit

from search.human_study.preference import FloatArray, IntArray, fit

TYPICAL_STD = {
    "condition in picture": 0.2,
    "codec in picture": 0.2,
    "codec of participant": 0.1,
    "sensitivity in picture": 0.1,
    "sensitivity of participant": 0.1,
}
"""Kinds of deviations, with the medians of the half-Cauchy priors of their standard deviations: in
log odds, and for sensitivities relative to the mean. These priors permit 0 (Gelman 2006, Bayesian
Analysis 1); ones that exclude it make strengths too different where nobody differs."""
_TYPICAL = np.array(list(TYPICAL_STD.values()))
PRIOR_LAPSES = 0.5, 24.5
"""Parameters of the beta prior of the share of lapses, whose mean is 2 %."""
WARM_UP, DRAWS = 200, 600
"""Draws from the posterior that are discarded at the start, and that are kept."""


@dataclass(frozen=True)
class Answers:
    """n answers, in which conditions, pictures and participants are numbered from 0."""

    first: IntArray
    second: IntArray
    preferred: FloatArray
    """1.0 where the first condition was preferred, 0.0 where the second was [n]."""
    picture: IntArray
    participant: IntArray


@dataclass(frozen=True)
class Population:
    """Draws from the posterior of strengths over pictures and participants at large."""

    strengths: FloatArray
    """Strengths [draws, items], in log odds. Only their differences have a meaning."""
    deviations: Mapping[str, FloatArray]
    """Standard deviations [draws] by kind; see TYPICAL_STD."""
    lapses: FloatArray
    """Share of answers that do not depend on the pictures [draws]."""


@dataclass(frozen=True)
class _Design:
    """Matrix [n, size] with a few entries per row. Entries in the same column add up."""

    columns: IntArray
    """Columns of the entries [n, entries]."""
    size: int

    @cached_property
    def _places(self) -> IntArray:
        """Place in the Gram matrix of the products of each row's entries."""
        return (self.columns[:, :, None] * self.size + self.columns[:, None]).ravel()

    def times(self, entries: FloatArray, effects: FloatArray) -> FloatArray:
        """Product [n] of the matrix with these `entries` and a vector [size]."""
        return (entries * effects[self.columns]).sum(axis=1)

    def transposed_times(self, entries: FloatArray, target: FloatArray) -> FloatArray:
        """Product [size] of the transposed matrix and a vector [n]."""
        products = (entries * target[:, None]).ravel()
        return np.bincount(self.columns.ravel(), products, self.size).astype(np.float64)

    def gram(self, entries: FloatArray, weight: FloatArray) -> FloatArray:
        """Sum [size, size] of the outer products of the rows, times their weights [n]."""
        products = entries[:, :, None] * (entries * weight[:, None])[:, None]
        total = np.bincount(self._places, products.ravel(), self.size**2)
        return total.reshape(self.size, self.size).astype(np.float64)


class _Chain:
    """State of the sampler: all unknowns, of which `sweep` draws each in turn."""

    def __init__(
        self, answers: Answers, codecs: IntArray, prior_std: float, rng: np.random.Generator
    ) -> None:
        self.answers, self.rng, self.items = answers, rng, len(codecs)
        self.pictures = int(answers.picture.max()) + 1
        self.participants = int(answers.participant.max()) + 1
        kinds = int(codecs.max()) + 1
        pair = np.stack([answers.first, answers.second], axis=1)
        picture, participant = answers.picture[:, None], answers.participant[:, None]
        places = [
            pair, picture * self.items + pair, picture * kinds + codecs[pair],
            participant * kinds + codecs[pair],
        ]  # fmt: skip
        self.sizes = np.array(
            [self.items, self.pictures * self.items, self.pictures * kinds,
             self.participants * kinds]
        )  # fmt: skip
        starts = np.cumsum(self.sizes) - self.sizes
        columns = [place + start for place, start in zip(places, starts, strict=True)]
        self.design = _Design(np.concatenate(columns, axis=1), int(self.sizes.sum()))
        self.who = _Design(
            np.concatenate([picture, self.pictures + participant], axis=1),
            self.pictures + self.participants,
        )
        self.prior_precision = prior_std**-2
        plain = fit(answers.first, answers.second, answers.preferred, self.items, prior_std)
        self.effects = np.zeros(self.design.size)
        self.effects[: self.items] = plain.mean
        self.sensitivity = np.zeros(self.who.size)
        self.stds, self.scales = _TYPICAL, _TYPICAL**2
        self.lapses = PRIOR_LAPSES[0] / sum(PRIOR_LAPSES)

    def sweep(self) -> None:
        """Draw all unknowns once, each given all others."""
        entries = np.tile([1.0, -1.0], (len(self.answers.first), len(self.sizes)))
        entries[:, :2] *= 1 + self.sensitivity[self.who.columns].sum(axis=1)[:, None]
        odds = self.design.times(entries, self.effects)
        attentive = self._draw_attention(odds)
        weight = attentive * random_polyagamma(1.0, odds, random_state=self.rng)
        target = attentive * (self.answers.preferred - 0.5)
        precision = np.repeat([self.prior_precision, *self.stds[:3] ** -2], self.sizes)
        self.effects = self._draw_normal(self.design, entries, weight, target, precision)

        parts = self.effects[self.design.columns]
        mean_odds = parts[:, 0] - parts[:, 1]
        rest = (parts[:, ::2] - parts[:, 1::2]).sum(axis=1)
        precision = np.repeat(self.stds[3:] ** -2, [self.pictures, self.participants])
        self.sensitivity = self._draw_normal(
            self.who,
            mean_odds[:, None].repeat(2, axis=1),
            weight,
            target - weight * rest,
            precision,
        )
        self._draw_stds()

    def _draw_attention(self, odds: FloatArray) -> FloatArray:
        """0.0 for answers that are lapses, else 1.0; then the share of lapses."""
        likely = expit(np.where(self.answers.preferred == 1, odds, -odds)) * (1 - self.lapses)
        attentive = self.rng.random(len(odds)) > (self.lapses / 2) / (self.lapses / 2 + likely)
        lapsed = len(odds) - attentive.sum()
        self.lapses = self.rng.beta(PRIOR_LAPSES[0] + lapsed, PRIOR_LAPSES[1] + attentive.sum())
        return attentive.astype(np.float64)

    def _draw_normal(
        self,
        design: _Design,
        entries: FloatArray,
        weight: FloatArray,
        target: FloatArray,
        precision: FloatArray,
    ) -> FloatArray:
        """Draw the effects of the design given the weights and targets of the answers."""
        total = design.gram(entries, weight)
        total.flat[:: design.size + 1] += precision
        factor = cho_factor(total, lower=True, overwrite_a=True, check_finite=False)
        mean = cho_solve(factor, design.transposed_times(entries, target), check_finite=False)
        noise = self.rng.standard_normal(design.size)
        return mean + solve_triangular(factor[0], noise, lower=True, trans="T", check_finite=False)

    def _draw_stds(self) -> None:
        """Draw the standard deviations given all deviations, and the scales of their priors.

        A half-Cauchy distribution is a mixture of inverse gamma distributions (Makalic and Schmidt
        2016, IEEE Signal Processing Letters 23).
        """
        ends = np.cumsum(self.sizes)[:-1]
        deviations = [
            *np.split(self.effects, ends)[1:],
            *np.split(self.sensitivity, [self.pictures]),
        ]
        squares = np.array([part @ part for part in deviations])
        shape = (1 + np.array([len(part) for part in deviations])) / 2
        variances = (1 / self.scales + squares / 2) / self.rng.gamma(shape)
        self.scales = (1 / variances + _TYPICAL**-2) / self.rng.exponential(size=len(variances))
        self.stds = np.sqrt(variances)


def sample_population(
    answers: Answers,
    codecs: IntArray,
    prior_std: float,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Population:
    """Draw from the posterior of strengths over pictures and participants at large.

    Args:
        answers: At least one answer.
        codecs: Number of the codec of each condition [items], from 0.
        prior_std: Standard deviation of strengths a priori, in log odds.
        rng: Source of the draws, which are the same for the same state of it.
        draws: Number of draws.
    """
    chain = _Chain(answers, codecs, prior_std, rng)
    for _ in range(WARM_UP):
        chain.sweep()
    strengths, stds, lapses = [], [], []
    for _ in range(draws):
        chain.sweep()
        strengths.append(chain.effects[: chain.items])
        stds.append(chain.stds)
        lapses.append(chain.lapses)
    deviations = dict(zip(TYPICAL_STD, np.transpose(stds), strict=True))
    return Population(np.array(strengths), deviations, np.array(lapses))
