"""ColorVideoVDP: visible differences on a stated display (Mantiuk et al., 2024)."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from search.metrics.interface import Metric, same

DISPLAY = "standard_4k"
"""Name of cvvdp's default display. It has 30 inches, 3840x2160 px and 200 cd/m2, and is seen from
0.75 m, at 75 px/degree."""


def score(original: Tensor, reconstruction: Tensor) -> Tensor:
    """ColorVideoVDP score [N] in JOD (just-objectionable differences); 10 for equal images.

    Of two images whose scores differ by one JOD, three of four people prefer the one with the
    higher score.
    """
    model = _model(str(original.device))
    pairs = zip(original.split(1), reconstruction.clamp(0, 1).split(1), strict=True)
    return torch.stack([model.predict(y, x, dim_order="BCHW")[0].reshape(()) for x, y in pairs])


def loss(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Training loss [N]: 10 minus the score in JOD."""
    return 10 - score(original, reconstruction)


@cache
def _model(device: str) -> Any:
    # The import takes seconds.
    import pycvvdp

    return pycvvdp.cvvdp(display_name=DISPLAY, device=torch.device(device), quiet=True)


CVVDP = Metric(
    name="cvvdp",
    label="ColorVideoVDP (JOD)",
    higher_is_better=True,
    best=10.0,
    score=score,
    scale=same,
    loss=loss,
)
