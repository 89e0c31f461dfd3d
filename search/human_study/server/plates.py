"""Plates for the check of the screen and of colour vision: a number of two digits to be read.

On two plates the digits are a few steps of grey from the ground, near black and near white, which a
screen that is too dark or too bright does not separate. Two plates after Ishihara (1917) have dots
in two colours that excite one kind of cones differently and the others equally, with random
lightness: the long-wave cones, whose lack is protanopia, or the middle-wave cones, whose lack is
deuteranopia. They are a rough check and no diagnosis, since a screen without calibration shows
other colours than meant.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIDE = 320
"""Width and height of a plate in pixels."""
SCALE = 2
"""Plates are drawn this much larger and then reduced, which smooths the dots' edges."""
DARK, LIGHT, LONG, MIDDLE = "dark", "light", "long", "middle"
KINDS = (DARK, LIGHT, LONG, MIDDLE)
GREY_KINDS = (DARK, LIGHT)
GREYS = {DARK: (6, 18), LIGHT: (250, 240)}
"""8-bit sRGB grey of the ground and of the digits."""
NUMBERS = (26, 29, 35, 45, 53, 58, 62, 74, 83, 96)
"""Numbers whose digits are hard to take for others."""
RGB_TO_LMS = np.array(
    [
        [17.8824, 43.5161, 4.11935],
        [3.45565, 27.1554, 3.86714],
        [0.0299566, 0.184309, 1.46709],
    ]
)
"""Excitations of the three kinds of cones by linear RGB (Vienot, Brettel and Mollon 1999,
equation 4)."""
GROUND = np.array([0.30, 0.27, 0.08])
"""Mean colour of a colour plate in linear RGB, a yellowish brown."""
CONTRAST = {LONG: 0.15, MIDDLE: 0.2}
"""Change of the cone's excitation from the mean colour to the digits and to the ground, relative to
that of the mean colour, with opposite signs."""
LIGHTNESS = (0.45, 1.25)
"""Range of the random factors of lightness, in linear light."""
RADII = (7.5, 6.0, 4.6, 3.4, 2.6)
"""Radii of the dots in pixels, the largest first."""
TRIES = 4000
"""Places that are tried for the dots of each radius."""


@lru_cache(maxsize=len(KINDS) * len(NUMBERS))
def plate(kind: str, number: int) -> bytes:
    """PNG of the plate of a kind, one of KINDS, that shows a number, one of NUMBERS."""
    rng = np.random.default_rng([KINDS.index(kind), number])
    inside = _digits(number)
    # The surround is mid-grey, like that of the pictures.
    image = Image.new("RGB", (SIDE * SCALE, SIDE * SCALE), (119, 119, 119))
    draw = ImageDraw.Draw(image)
    if kind in GREYS:
        ground, figure = GREYS[kind]
        grey = np.where(inside, figure, ground).astype(np.uint8)
        image = Image.fromarray(np.repeat(grey[..., None], 3, axis=2))
    else:
        means = {part: dot_colour(kind, part) for part in (True, False)}
        for x, y, radius in _dots():
            mean = means[bool(inside[round(y * SCALE), round(x * SCALE)])]
            box = [SCALE * v for v in (x - radius, y - radius, x + radius, y + radius)]
            draw.ellipse(box, fill=_srgb(rng.uniform(*LIGHTNESS) * mean))
    file = BytesIO()
    image.resize((SIDE, SIDE), Image.Resampling.BOX).save(file, "PNG")
    return file.getvalue()


def draw_all() -> None:
    """Draw all plates, so that none has to be drawn while many people wait for theirs."""
    for kind, number in product(KINDS, NUMBERS):
        plate(kind, number)


def dot_colour(kind: str, in_digits: bool) -> NDArray[np.float64]:
    """Mean linear RGB [3] of the dots of a colour plate, in the digits or around them."""
    cone = (LONG, MIDDLE).index(kind)
    excitation = RGB_TO_LMS @ GROUND
    change = np.zeros(3)
    change[cone] = CONTRAST[kind] * excitation[cone] * (1 if in_digits else -1)
    colour: NDArray[np.float64] = np.linalg.solve(RGB_TO_LMS, excitation + change)
    return colour


def _srgb(linear: NDArray[np.float64]) -> tuple[int, int, int]:
    """8-bit sRGB of a colour in linear RGB (IEC 61966-2-1)."""
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (int(value) for value in np.rint(255 * curved))
    return red, green, blue


def _digits(number: int) -> NDArray[np.bool_]:
    """Mask of the digits [SIDE * SCALE, SIDE * SCALE]."""
    image = Image.new("1", (SIDE * SCALE, SIDE * SCALE))
    middle = SIDE * SCALE // 2
    ImageDraw.Draw(image).text(
        (middle, middle),
        str(number),
        fill=1,
        font=ImageFont.load_default(size=215 * SCALE),
        anchor="mm",
        stroke_width=6 * SCALE,
    )
    return np.asarray(image)


@lru_cache(maxsize=1)
def _dots() -> tuple[tuple[float, float, float], ...]:
    """Centres and radii of dots that fill a disc without touching each other."""
    rng = np.random.default_rng(0)
    placed = np.empty((0, 3))
    edge = SIDE / 2 - 4
    for radius in RADII:
        for x, y in rng.uniform(0, SIDE, (TRIES, 2)):
            if np.hypot(x - SIDE / 2, y - SIDE / 2) + radius > edge:
                continue
            gaps = np.hypot(placed[:, 0] - x, placed[:, 1] - y) - placed[:, 2] - radius
            if not len(gaps) or gaps.min() > 1.2:
                placed = np.vstack([placed, (x, y, radius)])
    return tuple((float(x), float(y), float(radius)) for x, y, radius in placed)
