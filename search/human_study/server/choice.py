"""The choice of a participant's next trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from search.human_study.answers import CATCH, COMPARISON, TRAINING
from search.human_study.manifest import Study
from search.human_study.pairs import next_pair
from search.human_study.server.database import ORIGINAL, SPOILT, Answer
from search.human_study.server.schedule import REPEAT
from search.human_study.server.strengths import Strengths

T = TypeVar("T")


def choose(kind: str, done: Sequence[Answer], study: Study, strengths: Strengths) -> Answer:
    """A trial of a kind that `schedule` names, for a participant who has `done` the others.

    Its id, participant and number are left open. Sides are random, and exchanged in a repetition.
    """
    rng = np.random.default_rng()
    compared = [answer for answer in done if answer.kind == COMPARISON]
    if kind in (TRAINING, CATCH):
        return _known(kind, done, study, rng)
    if kind == REPEAT:
        return _repetition(compared, rng)
    return _comparison(compared, study, strengths, rng)


def _known(kind: str, done: Sequence[Answer], study: Study, rng: np.random.Generator) -> Answer:
    """The original against an obvious loss, on one of the pictures that were seen least."""
    seen = Counter(answer.picture for answer in done)
    return Answer(
        kind=kind,
        picture=_least([picture.id for picture in study.pictures], lambda id: seen[id], rng),
        first=ORIGINAL,
        second=SPOILT,
        first_on_left=bool(rng.integers(2)),
    )


def _repetition(compared: Sequence[Answer], rng: np.random.Generator) -> Answer:
    """One of the earlier comparisons that were not repeated yet."""
    repeated = {answer.repeat_of for answer in compared}
    open_ones = [each for each in compared if not each.repeat_of and each.id not in repeated]
    earlier = open_ones[int(rng.integers(len(open_ones)))]
    return Answer(
        kind=COMPARISON,
        picture=earlier.picture,
        first=earlier.first,
        second=earlier.second,
        first_on_left=not earlier.first_on_left,
        repeat_of=earlier.id,
    )


def _comparison(
    compared: Sequence[Answer], study: Study, strengths: Strengths, rng: np.random.Generator
) -> Answer:
    """The most informative pair of conditions, on a picture where the participant has not seen it.

    Among such pictures, it is one for which fewest people were asked about this pair.
    """
    seen = {(answer.picture, strengths.pair(answer)) for answer in compared}
    times = Counter(pair for _, pair in seen)
    allowed = [pair for pair in strengths.pairs if times[pair] < len(study.pictures)]
    pair = next_pair(strengths.posterior(), allowed, rng, strengths.wanted)
    unseen = [picture.id for picture in study.pictures if (picture.id, pair) not in seen]
    first, second = rng.permutation(pair)
    return Answer(
        kind=COMPARISON,
        picture=_least(unseen, lambda id: strengths.asked(id, pair), rng),
        first=strengths.labels[first],
        second=strengths.labels[second],
        first_on_left=bool(rng.integers(2)),
    )


def _least(items: Sequence[T], count: Callable[[T], int], rng: np.random.Generator) -> T:
    """One of the items with the smallest count, at random."""
    least = min(map(count, items))
    rarest = [item for item in items if count(item) == least]
    return rarest[int(rng.integers(len(rarest)))]
