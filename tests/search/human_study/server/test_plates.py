from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from search.human_study.server.plates import (
    GREY_KINDS,
    KINDS,
    LONG,
    MIDDLE,
    NUMBERS,
    SIDE,
    dot_colour,
    plate,
)

# Machado, Oliveira and Fernandes (2009), severity 1.0: linear RGB as a dichromat sees it.
MACHADO = {
    LONG: np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    MIDDLE: np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def hue_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Difference of two colours without their lightness, which plates make random."""
    chromaticities = [colour / colour.sum() for colour in (first, second)]
    return float(np.linalg.norm(chromaticities[0] - chromaticities[1]))


@pytest.mark.parametrize("kind", [LONG, MIDDLE])
def test_digits_vanish_for_people_who_lack_a_kind_of_cone(kind: str) -> None:
    """By a model of colour deficiency other than the one that the plates are made by."""
    digits, ground = dot_colour(kind, True), dot_colour(kind, False)
    seen = hue_difference(digits, ground)
    without = hue_difference(MACHADO[kind] @ digits, MACHADO[kind] @ ground)
    assert without < 0.25 * seen


def test_colours_can_be_shown() -> None:
    for kind in (LONG, MIDDLE):
        for part in (True, False):
            assert (dot_colour(kind, part) >= 0).all()
            assert (1.25 * dot_colour(kind, part) <= 1).all()


@pytest.mark.parametrize("kind", GREY_KINDS)
def test_grey_plates_have_two_greys_a_few_steps_apart(kind: str) -> None:
    pixels = np.asarray(Image.open(BytesIO(plate(kind, 26))))
    greys = {int(pixels.min()), int(pixels.max())}
    assert 5 <= max(greys) - min(greys) <= 15
    assert max(greys) < 25 or min(greys) > 230


def test_every_plate_is_of_one_size_and_differs_from_the_others() -> None:
    seen = set()
    for kind in KINDS:
        for number in NUMBERS:
            data = plate(kind, number)
            assert Image.open(BytesIO(data)).size == (SIDE, SIDE)
            seen.add(data)
    assert len(seen) == len(KINDS) * len(NUMBERS)
