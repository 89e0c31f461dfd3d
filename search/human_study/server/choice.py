"""The choice of a participant's next trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from search.human_study.answers import CATCH, COMPARISON, TRAINING
from search.human_study.manifest import Study
from search.human_study.pairs import next_question
from search.human_study.server.database import ORIGINAL, SPOILT, Answer
from search.human_study.server.schedule import REPEAT
from search.human_study.server.strengths import Strengths


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
    return _comparison(compared, strengths, rng)


def _known(kind: str, done: Sequence[Answer], study: Study, rng: np.random.Generator) -> Answer:
    """The original against an obvious loss, on one of the pictures that were seen least."""
    seen = Counter(answer.picture for answer in done)
    return Answer(
        kind=kind,
        picture=_rarest([picture.id for picture in study.pictures], seen, rng),
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
    compared: Sequence[Answer], strengths: Strengths, rng: np.random.Generator
) -> Answer:
    """The most informative comparison that the participant has not seen, by `next_question`."""
    asked = strengths.asked()
    seen = np.zeros(asked.shape, dtype=bool)
    for answer in compared:
        seen[strengths.place(answer)] = True
    k, picture = next_question(
        strengths.posterior(), strengths.pairs, seen, asked, rng, strengths.wanted
    )
    first, second = rng.permutation(strengths.pairs[k])
    return Answer(
        kind=COMPARISON,
        picture=strengths.pictures[picture],
        first=strengths.labels[first],
        second=strengths.labels[second],
        first_on_left=bool(rng.integers(2)),
    )


def _rarest(pictures: Sequence[str], seen: Counter[str], rng: np.random.Generator) -> str:
    """One of the pictures that were seen least, at random."""
    least = min(seen[picture] for picture in pictures)
    rarest = [picture for picture in pictures if seen[picture] == least]
    return rarest[int(rng.integers(len(rarest)))]
